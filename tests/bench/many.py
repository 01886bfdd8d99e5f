"""An exporter with very many series: how long it takes to start, and what a scrape costs then."""

import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.clock import now_microseconds
from tests.bench import forms, streams
from tests.bench.harness import Outcome, Say, Scale, figure
from tests.bench.load import Line, drive
from tests.bench.servers import resident
from tests.support.exporter_process import ExporterProcess

PATIENCE_SECONDS = 120
# One series in so many changes.
SPARSE = 100


def series(scale: Scale, say: Say) -> Outcome:
    """Start ``serve`` over a file of very many series, scrape it as Prometheus does, and let one in 100 change."""
    count = scale.many
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        say(f"Filling a file with {count:,} series")
        url = streams.populate(directory / "bench.db", count, scale.ratings, now_microseconds())
        exporter = ExporterProcess(
            directory / "exporter", url, environment={"FEEDBACK_EXPORTER_SERIES_LIMIT": f"{count}"}
        )
        say(f"Starting with {count:,} series")
        began = time.perf_counter()
        stack.enter_context(exporter)
        ready = time.perf_counter() - began
        first = _scrape(exporter.port)
        memory = resident(exporter.worker)
        steady, changed = [], []
        batches = forms.one_each(count, SPARSE)
        for number in range(scale.pairs):
            say(f"Scrape of {count:,} series, run {number + 1}")
            steady.append(_scrape(exporter.port))
            drive(exporter.port, batches(), PATIENCE_SECONDS)
            changed.append(_scrape(exporter.port))
        after = resident(exporter.worker)
    dearer = [(one - other) / len(range(0, count, SPARSE)) for one, other in zip(changed, steady, strict=True)]
    return Outcome(
        [
            figure(f"{count:,} series: from start to ready", [ready], "s"),
            figure(f"{count:,} series: the first scrape", [first], "s"),
            figure(f"{count:,} series: a scrape, nothing changed", steady, "s"),
            figure(f"{count:,} series: a scrape, 1 in {SPARSE} changed", changed, "s"),
            figure(f"{count:,} series: a scrape, more for each changed series", dearer, "s"),
            figure(f"{count:,} series: resident after the first scrape", [memory], "B"),
            figure(f"{count:,} series: resident after these scrapes", [after], "B"),
        ]
    )


def _scrape(port: int) -> float:
    with Line(port, 200) as line:
        return line.ask(forms.get("/metrics", compressed=True))
