"""The demo from its start to its end: programs up, a good day, then live ratings, until the alert is there and after.

It ends by itself after some minutes, or on Ctrl-C, SIGTERM and SIGHUP, and leaves neither a process nor a file.
"""

import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import click

from config.stack import web
from config.stack.ratings import DECLINED, DECLINING, live, past_day
from config.stack.servers import Ports, Processes, check_free, ports, servers

TREE = Path(__file__).parents[2]
START_SECONDS = 60
LIVE_SECONDS = 2.0
REPORT_SECONDS = 15
START_PAUSE_SECONDS = 0.2
# A signal is seen after this long at most.
SLEEP_SECONDS = 0.05

NAME = f"{DECLINING.workflow}/{DECLINING.stage} on tier {DECLINING.tier}"


class Clock:
    """The time since the start, and whether the end has come."""

    def __init__(self, limit: float) -> None:
        """Begin now, end after ``limit`` seconds or when it is told to."""
        self.told = False
        self._began = time.monotonic()
        self.limit = limit

    def tell(self, *_: object) -> None:
        """Let the end come; a signal handler."""
        self.told = True

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def over(self) -> bool:
        """Whether to end."""
        return self.told or self.seconds > self.limit

    def ticks(self, pause: float) -> Iterator[float]:
        """Yield the time every ``pause`` seconds, until the end."""
        due = self.seconds
        while not self.over:
            if self.seconds >= due:
                yield self.seconds
                due += pause
            time.sleep(SLEEP_SECONDS)

    def say(self, text: str) -> None:
        """Print a line that begins with the time."""
        minutes, seconds = divmod(int(self.seconds), 60)
        click.echo(f"{minutes:2}:{seconds:02}  {text}")


class Demo:
    """Sends ratings, and tells what the programs make of them."""

    def __init__(self, where: Ports, clock: Clock, calm: float) -> None:
        """Send nothing yet; ``calm`` seconds after the first live rating a stage will decline."""
        self.arrived: set[tuple[str, str]] = set()
        self._where = where
        self._clock = clock
        self._calm = calm
        self._random = Random(7)  # noqa: S311 - repeatable ratings, no secret
        self._states: dict[str, str] = {}

    def run(self, processes: Processes) -> None:
        """Send and watch until the end."""
        sent = web.post(self._where.exporter, past_day(time.time(), self._random))
        self._clock.say(f"{sent} ratings of the last day are in, and live ones follow.")
        start = reported = self._clock.seconds
        declined = False
        for now in self._clock.ticks(LIVE_SECONDS):
            processes.check()
            if not declined and now - start >= self._calm:
                declined = True
                self._clock.say(
                    f"From now on answers of {NAME} are bad: {DECLINED.quality} on average, after {DECLINING.quality}."
                )
            web.post(self._where.exporter, list(live(self._random, declined=declined)))
            self._watch()
            if now - reported >= REPORT_SECONDS and not self.arrived:
                reported = now
                self._report()

    def _watch(self) -> None:
        """Tell what is new at Prometheus and Alertmanager."""
        states = web.rule_states(self._where.prometheus)
        for named, state in states.items() - self._states.items():
            self._clock.say(f"Prometheus: {named} is {state}.")
        self._states = states
        for (name, about), alert in web.arrived(self._where.alertmanager).items():
            if (name, about) not in self.arrived:
                self.arrived.add((name, about))
                self._clock.say(f"Alertmanager: {name} ({alert.severity}) of {about} HAS ARRIVED.")
                click.echo(f"       {alert.description}\n       It goes to receiver {alert.receiver}.")

    def _report(self) -> None:
        stats = web.declining_stats(self._where.exporter)
        self._clock.say(
            f"{NAME}: trend {stats['recent_trend']:+.2f}, at most {stats['trend_upper_bound']:+.2f}; "
            f"{stats['sample_count']} ratings"
        )


def _start(processes: Processes, tree: Path, where: Ports, clock: Clock) -> None:
    """Start all, and return as soon as all answer, or at the end."""
    todo = servers(tree, where)
    for server in todo:
        check_free(server)
    clock.say(f"Starting exporter, Prometheus and Alertmanager, which end after {clock.limit / 60:g} min or at Ctrl-C.")
    click.echo("       In a few seconds, open:")
    for url, content in web.pages(where).items():
        click.echo(f"       {url}\n         {content}")
    for server in todo:
        processes.start(server)
    for now in clock.ticks(START_PAUSE_SECONDS):
        processes.check()
        if all(web.answers(server.address) for server in todo):
            return
        if now > START_SECONDS:
            raise click.ClickException(f"the programs do not answer within {START_SECONDS} seconds")


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0), default=10, show_default=True, help="When to end.")
@click.option("--calm", type=click.FloatRange(min=0), default=15, show_default=True, help="Seconds before the decline.")
@click.option(
    "--prometheus", metavar="HOST:PORT", default="127.0.0.1:9090", show_default=True, help="Where Prometheus listens."
)
@click.option("--tree", type=click.Path(path_type=Path), default=TREE, help="Where config/ and alerts/ are: here.")
def main(minutes: float, calm: float, prometheus: str, tree: Path) -> None:
    """Run exporter, Prometheus and Alertmanager by the shipped files, and send ratings of which one stage declines.

    The exporter and Alertmanager listen where config/targets/*.yml says.
    """
    clock = Clock(minutes * 60)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, clock.tell)
    where = ports(tree, prometheus)
    with tempfile.TemporaryDirectory(prefix="llm-feedback-stack-") as directory, Processes(Path(directory)) as running:
        _start(running, tree.absolute(), where, clock)
        demo = Demo(where, clock, calm)
        if not clock.over:
            demo.run(running)
        clock.say("Ending.")
    if not demo.arrived and not clock.told:
        raise click.ClickException(f"no alert has arrived within {minutes:g} minutes")


if __name__ == "__main__":
    main(prog_name="python -m config.stack")
