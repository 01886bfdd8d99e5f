"""``python -m tests.bench.alert_delay``: how long it takes from the first bad rating of a stage to the notification.

Exporter, Prometheus and Alertmanager run with the shipped configuration and rules; only ports, paths and a webhook
for the receivers are changed, and the interval where it is not the 15 s that are shipped. Many stages fail, each of
a workflow of its own, so that none is told of together with another; each begins at some moment by chance.
"""

import os
import platform
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table

from alerts.quality import DECLINING
from exporter import FeedbackLoop
from tests.support.alertmanager_process import AlertmanagerProcess
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.prometheus_process import PrometheusProcess
from tests.support.waiting import eventually
from tests.support.webhook import Webhook

HISTORY = 50
HOUR = 3600
# A run gives up after as long.
LIMIT_SECONDS = 300
GOOD, BAD = 0.9, 0.3
FALLS = ((0.9, 0.3), (0.9, 0.5), (0.9, 0.6), (0.9, 0.7), (0.8, 0.5), (1.0, 0.0))
SPREAD = 0.1


class Kind(NamedTuple):
    """How the bad ratings come: so many at first, and so many more every some seconds."""

    name: str
    first: int
    more: int
    every: int = 1


KINDS = (
    Kind("30 at once, no more", 30, 0),
    Kind("one every 5 s", 1, 1, 5),
    Kind("one a second", 1, 1),
    Kind("five a second", 5, 5),
)


class Delay(NamedTuple):
    """Seconds from the first bad rating to the notification, None if there was none; the bad ratings until then."""

    interval: str
    kind: Kind
    seconds: float | None
    ratings: int


class Stack(NamedTuple):
    """What a run needs of the programs."""

    interval: str
    exporter: ExporterProcess
    webhook: Webhook

    def rate(self, workflow: str, mean: float, times: Sequence[float]) -> None:
        """Post one rating of each of these times."""
        entry = {"workflow_name": workflow, "stage_name": "answer", "tier": "cheap"}
        with self.exporter.client() as client:
            answer = client.post([{**entry, "quality_score": score(mean), "timestamp": each} for each in times])
        if answer.status != 202:
            raise AssertionError(answer.text)

    def arrival(self, workflow: str) -> float | None:
        """Time at which a decline of the workflow was notified."""
        group = {("workflow", workflow), ("alertname", DECLINING.name)}
        for place, notification in enumerate(self.webhook.notifications):
            if group <= notification.group:
                return self.webhook.arrived(place)
        return None


def score(mean: float) -> float:
    """One rating: near the mean, never beyond what there is."""
    return min(max(random.gauss(mean, SPREAD), 0), 1)


@contextmanager
def stack(directory: Path, interval: str, workflows: Sequence[str]) -> Iterator[Stack]:
    """Start the programs; inside, Prometheus knows the good past of the workflows."""
    with (
        ExporterProcess(directory / "exporter", sqlite_url(directory)) as exporter,
        Webhook() as webhook,
        AlertmanagerProcess(directory / "alertmanager", webhook.url, hurried=False) as alertmanager,
        PrometheusProcess(
            directory / "prometheus", exporter.port, alertmanager=alertmanager.port, interval=interval
        ) as prometheus,
    ):
        ready = Stack(interval, exporter, webhook)
        now = time.time()
        for workflow in workflows:
            ready.rate(workflow, GOOD, [now - 24 * HOUR + place * HOUR / 3 for place in range(HISTORY)])
        known = f"count(series:llm_feedback_window_samples:max == {HISTORY}) == {len(workflows)}"
        eventually(lambda: prometheus.query(known), known, LIMIT_SECONDS)
        yield ready


def run(running: Stack, kind: Kind, workflow: str) -> Delay:
    """Let the quality of a workflow fall at some moment, and wait for the notification."""
    time.sleep(random.uniform(0, 60))
    begun = time.time()
    sent = kind.first
    running.rate(workflow, BAD, [begun] * sent)
    for second in range(1, LIMIT_SECONDS):
        time.sleep(max(0, begun + second - time.time()))
        arrived = running.arrival(workflow)
        if arrived is not None:
            return Delay(running.interval, kind, arrived - begun, sent)
        if kind.more and second % kind.every == 0:
            running.rate(workflow, BAD, [time.time()] * kind.more)
            sent += kind.more
    return Delay(running.interval, kind, None, sent)


def delays(directory: Path, interval: str, runs: int) -> list[Delay]:
    """Let ``runs`` workflows fail in each way, all at the same time."""
    todo = {f"{kind.name} {number}": kind for kind in KINDS for number in range(runs)}
    with stack(directory, interval, list(todo)) as running, ThreadPoolExecutor(len(todo)) as pool:
        return list(pool.map(lambda workflow: run(running, todo[workflow], workflow), todo))


def needed(good: float, bad: float) -> int | None:
    """Count the bad ratings, after as many good ones as HISTORY, until the comparison in the rule is true."""
    names = ("w", "s", "cheap")
    with FeedbackLoop("sqlite://") as loop:
        for _ in range(HISTORY):
            loop.record_feedback(*names, score(good))
        for number in range(1, 101):
            loop.record_feedback(*names, score(bad))
            stats = loop.get_quality_stats("w", "s")
            if stats and stats.recent_trend < -0.2 and stats.trend_upper_bound < 0:
                return number
    return None


def needs() -> Table:
    """Show for several falls how many bad ratings the rule needs: least, median and most of a hundred tries."""
    table = Table("ratings fall", "bad ratings until the rule is true: least", "median", "most")
    for good, bad in FALLS:
        numbers = [needed(good, bad) or float("inf") for _ in range(100)]
        table.add_row(f"{good} to {bad}", *(f"{each:g}" for each in (min(numbers), median(numbers), max(numbers))))
    return table


def summary(found: Sequence[Delay]) -> Table:
    """Show the delays, by interval and by how the bad ratings came."""
    table = Table("scrape and evaluation", "bad ratings", "told", "min", "median", "max", "ratings until then, median")
    table.title = f"From the first bad rating to the notification of {DECLINING.name}; given up after {LIMIT_SECONDS} s"
    for interval, kind in dict.fromkeys((each.interval, each.kind) for each in found):
        these = [each for each in found if (each.interval, each.kind) == (interval, kind)]
        seconds = [each.seconds for each in these if each.seconds is not None]
        figures = [min(seconds), median(seconds), max(seconds)] if seconds else []
        ratings = [each.ratings for each in these if each.seconds is not None]
        table.add_row(
            interval,
            kind.name,
            f"{len(seconds)} of {len(these)}",
            *(f"{each:.0f} s" for each in figures),
            *([f"{median(ratings):g}"] if ratings else []),
        )
    return table


@click.command()
@click.option("--interval", "intervals", multiple=True, default=["15s", "1m"], show_default=True)
@click.option("--stacks", default=2, show_default=True, help="Sets of programs an interval: each has its own phases.")
@click.option("--runs", default=6, show_default=True, help="Declines a set, of each kind.")
def main(intervals: Sequence[str], stacks: int, runs: int) -> None:
    """Measure the time from the first bad rating to the notification; it takes some minutes."""
    console = Console()
    console.print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors; {datetime.now(UTC):%Y-%m-%d}"
    )
    console.print(needs())
    todo = [interval for interval in intervals for _ in range(stacks)]
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(len(todo)) as pool:
        started = [
            pool.submit(delays, Path(directory) / f"{number}", interval, runs) for number, interval in enumerate(todo)
        ]
        console.print(summary([delay for each in started for delay in each.result()]))


if __name__ == "__main__":
    main(prog_name="python -m tests.bench.alert_delay")
