"""How many ratings a second are taken over HTTP, against an empty Flask route on the same server."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import Progress

from tests.bench import streams
from tests.bench.harness import Figure, Scale, medians, rate, ratio
from tests.bench.load import Target, free_port, requests_a_second, served

SERIES = 50
BATCHES = (1, 500)


def over_http(scale: Scale, progress: Progress) -> list[Figure]:
    """Post batches to ``serve`` over a SQLite file, and the same bytes to the empty route."""
    steps = progress.track(range(scale.runs), description="over HTTP")
    with _exporter() as exporter, _empty_route() as empty:
        for port, path in ((exporter, "/api/v1/feedback"), (empty, "/")):
            requests_a_second(Target(port, path, _body(1)), scale.http_seconds)
        figures = medians([_run(exporter, empty, scale.http_seconds) for _ in steps])
    return [figure for batch in BATCHES for figure in _figures(batch, figures)]


def _run(exporter: int, empty: int, seconds: float) -> dict[str, float]:
    figures = {}
    for batch in BATCHES:
        body = _body(batch)
        figures[f"exporter {batch}"] = requests_a_second(Target(exporter, "/api/v1/feedback", body), seconds)
        figures[f"empty {batch}"] = requests_a_second(Target(empty, "/", body), seconds)
    return figures


def _figures(batch: int, figures: dict[str, float]) -> list[Figure]:
    ours, empty = figures[f"exporter {batch}"], figures[f"empty {batch}"]
    return [
        rate(f"ratings taken, {batch} a request", ours * batch, "ratings"),
        rate(f"requests of the empty route, {batch} a request", empty, "requests"),
        ratio(f"ratings taken in the time of one empty request, {batch} a request", ours * batch / empty),
    ]


def _body(batch: int) -> bytes:
    entries = [
        {"workflow_name": key.workflow, "stage_name": key.stage, "tier": key.tier, "quality_score": 0.8}
        for key in islice(cycle(streams.keys(SERIES)), batch)
    ]
    return json.dumps(entries).encode()


@contextmanager
def _exporter() -> Iterator[int]:
    with TemporaryDirectory(prefix="llm-feedback-bench-") as directory:
        port = free_port()
        store = f"sqlite:///{Path(directory) / 'bench.db'}"
        command = [sys.executable, "-m", "exporter", "serve", "--store", store, "--listen", f"127.0.0.1:{port}"]
        with served(command, port):
            yield port


@contextmanager
def _empty_route() -> Iterator[int]:
    port = free_port()
    with served([sys.executable, "-m", "tests.bench.empty_route", f"{port}"], port):
        yield port
