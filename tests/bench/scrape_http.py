"""What a scrape costs over HTTP: against an empty route with the very same bytes, and Pushgateway with the samples."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from exporter.clock import now_microseconds
from exporter.rules import Rules
from exporter.store import open_store
from exporter.view import View
from tests.bench import forms, rival, streams
from tests.bench.harness import Figure, Outcome, Say, Scale, alternate, at_least, at_most, figure, ratio, seconds
from tests.bench.load import Line, drive
from tests.bench.scrape import THEIRS
from tests.bench.servers import EmptyRoute, Pushgateway
from tests.support.exporter_process import ExporterProcess
from tests.support.http import Client

# Scrapes in one measurement, where one alone is short.
SCRAPES = 5
PATIENCE_SECONDS = 120
JOB = "bench"

Times = dict[str, list[float]]


class SamplesMissing(Exception):
    """Pushgateway does not hold what the exporter shows: the comparison means nothing."""


def over_http(scale: Scale, say: Say) -> Outcome:
    """Scrape ``serve``, the empty route and Pushgateway in turn, plain and as gzip."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        say("Filling a file and a Pushgateway")
        now = now_microseconds()
        url = streams.populate(directory / "bench.db", scale.series, scale.ratings, now)
        exporter = stack.enter_context(ExporterProcess(directory / "exporter", url))
        texts = _texts(exporter.port, directory)
        empty = stack.enter_context(EmptyRoute(directory / "empty", files=texts))
        gateway = stack.enter_context(Pushgateway(directory / "pushgateway"))
        push = _pusher(gateway.port, texts[0].read_bytes())
        push()
        _check_holds(gateway.port, texts[0].read_bytes())
        ports = {"exporter": exporter.port, "empty route": empty.port, "Pushgateway": gateway.port}
        actions: dict[str, Callable[[], float]] = {
            f"{server}, {coding}": partial(_scrape, port, SCRAPES, compressed=coding == "gzip")
            for coding in ("plain", "gzip")
            for server, port in ports.items()
        }
        actions[THEIRS] = _generate_latest(url, now)
        actions["all change, exporter"] = _all_change(exporter.port, scale.series)
        actions["all change, Pushgateway"] = lambda: push() + _scrape(gateway.port, 1, compressed=True)
        return Outcome(_figures(alternate(scale.pairs, actions, say, "Scrape over HTTP")))


def _texts(port: int, directory: Path) -> list[Path]:
    """Files with what a scrape of the exporter brings, plain and as gzip."""
    files = [directory / "plain", directory / "gzip"]
    with Client(port, PATIENCE_SECONDS) as client:
        for file, coding in zip(files, ("identity", "gzip"), strict=True):
            file.write_bytes(client.get("/metrics", headers={"Accept-Encoding": coding}).body)
    return files


def _pusher(port: int, text: bytes) -> Callable[[], float]:
    """Give what pushes all samples and returns the seconds that takes."""
    head = f"PUT /metrics/job/{JOB} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(text)}\r\n\r\n"

    def push() -> float:
        with Line(port, 200) as line:
            return line.ask(head.encode() + text)

    return push


def _check_holds(port: int, text: bytes) -> None:
    """Check that Pushgateway shows every sample that it was given.

    Raises:
        SamplesMissing: it does not.

    """
    pushed = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    with Client(port, PATIENCE_SECONDS) as client:
        shown = client.get("/metrics").body.count(f'job="{JOB}"'.encode())
    # It adds two samples of its own about the push.
    if shown != pushed + 2:
        raise SamplesMissing(f"Pushgateway shows {shown} samples, it was given {pushed}")


def _scrape(port: int, times: int, *, compressed: bool) -> float:
    request = forms.get("/metrics", compressed=compressed)
    # A connection that waits for its turn would be closed meanwhile.
    with Line(port, 200) as line:
        return mean(line.ask(request) for _ in range(times))


def _generate_latest(url: str, now: int) -> Callable[[], float]:
    with closing(open_store(url)) as store:
        view = View(store, Rules())
        view.refresh(now)
    families = list(rival.families(view))
    return lambda: seconds(lambda: rival.render(families))


def _all_change(port: int, series: int) -> Callable[[], float]:
    """Give what posts a rating of every series, then scrapes, and returns the seconds that both take."""
    batches = forms.one_each(series)

    def change() -> float:
        return drive(port, batches(), PATIENCE_SECONDS).seconds + _scrape(port, 1, compressed=True)

    return change


def _figures(times: Times) -> list[Figure]:
    figures = [
        ratio(
            f"nothing changed, {coding}: exporter / empty route, same bytes",
            times[f"exporter, {coding}"],
            times[f"empty route, {coding}"],
            at_most(2),
        )
        for coding in ("plain", "gzip")
    ]
    return [
        *figures,
        ratio(f"{THEIRS} / nothing changed, gzip", times[THEIRS], times["exporter, gzip"], at_least(50)),
        *(
            ratio(
                f"nothing changed, {coding}: Pushgateway / exporter",
                times[f"Pushgateway, {coding}"],
                times[f"exporter, {coding}"],
            )
            for coding in ("plain", "gzip")
        ),
        ratio(
            "every series changes once and is scraped: Pushgateway / exporter",
            times["all change, Pushgateway"],
            times["all change, exporter"],
        ),
        *(figure(f"one scrape: {name}", taken, "s") for name, taken in times.items()),
    ]
