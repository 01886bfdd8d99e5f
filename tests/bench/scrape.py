"""What a scrape costs: against prometheus-client, and as history grows."""

import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import Metric
from rich.progress import Progress

from exporter.exposition import Exposition
from exporter.rules import Rules
from exporter.store import open_store
from exporter.store.base import Store
from exporter.view import View
from tests.bench import rival, streams
from tests.bench.harness import Figure, Scale, below, medians, megabytes, milliseconds, ratio, seconds

SCRAPES = 3
NOTHING_CHANGED = "nothing changed"
RENDERING = "everything changed, rendering only"
WITH_REFRESH = "everything changed, with the refresh"


class TextsDiffer(Exception):
    """The texts that are compared in time hold different samples: the comparison means nothing."""


def against_prometheus_client(scale: Scale, progress: Progress) -> list[Figure]:
    """Compare a scrape with ``prometheus_client.generate_latest`` of the same samples, built beforehand."""
    with filled(scale.series, scale.ratings, progress) as store:
        view = View(store, Rules())
        exposition = Exposition(view)
        view.refresh(streams.NOW)
        exposition.render()
        steps = progress.track(range(scale.runs), description="against prometheus-client")
        figures = medians([_compare(store, view, exposition, scale.series, run) for run in steps])
        check_equal(rival.families(view), exposition)
    goals = {NOTHING_CHANGED: 10, RENDERING: 6, WITH_REFRESH: 2}
    return [
        *(milliseconds(name, figures[name]) for name in ("generate_latest", *goals)),
        *(ratio(f"times faster, {name}", figures[f"ratio, {name}"], goal) for name, goal in goals.items()),
    ]


def _compare(store: Store, view: View, exposition: Exposition, series: int, run: int) -> dict[str, float]:
    """Measure one run; before each timing of a change, every series gets one more rating."""
    now = streams.NOW + 2 * run + 1

    def scrape() -> None:
        view.refresh(now + 1)
        exposition.render()

    streams.touch(store, series, 2 * run + 1)
    view.refresh(now)
    # What the view computes when it is first asked belongs to the refresh, not to the rendering.
    for stage in view.stages:
        stage.current_tier  # noqa: B018 - asking is what computes it
    rendering = seconds(exposition.render)
    streams.touch(store, series, 2 * run + 2)
    figures = {RENDERING: rendering, WITH_REFRESH: seconds(scrape), NOTHING_CHANGED: seconds(scrape)}
    families = list(rival.families(view))
    theirs = seconds(lambda: rival.render(families))
    # Both sides of a ratio are of one run: what else the machine does then slows both.
    return {"generate_latest": theirs, **figures, **{f"ratio, {name}": theirs / ours for name, ours in figures.items()}}


def check_equal(families: Iterable[Metric], exposition: Exposition) -> None:
    """Check that the families, rendered by prometheus-client, say what the exporter's text says.

    Raises:
        TextsDiffer: they do not.

    """
    if rival.parsed(exposition.render()) != rival.parsed(rival.render(families)):
        raise TextsDiffer("the exporter's text and prometheus-client's hold different samples")


def as_history_grows(scale: Scale, progress: Progress) -> list[Figure]:
    """Compare whole scrapes, nothing known beforehand, of stores that differ in ratings a series."""
    few, some, many = scale.history_ratings
    with (
        filled(scale.history_series, few, progress) as store_few,
        filled(scale.history_series, some, progress) as store_some,
        filled(scale.history_series, many, progress) as store_many,
    ):
        stores = {few: store_few, some: store_some, many: store_many}
        steps = progress.track(range(scale.runs), description="as history grows")
        runs = [{count: _scrape_cost(store) for count, store in stores.items()} for _ in steps]
    time = medians([{f"{count}": cost[0] for count, cost in run.items()} for run in runs])
    memory = medians([{f"{count}": cost[1] for count, cost in run.items()} for run in runs])
    return [
        *(milliseconds(f"time at {count} ratings a series", taken) for count, taken in time.items()),
        *(megabytes(f"memory at {count} ratings a series", size) for count, size in memory.items()),
        below(f"slope of time, {some} to {many}", slope(time, some, many), 0.05),
        below(f"slope of memory, {some} to {many}", slope(memory, some, many), 0.05),
    ]


def slope(figures: dict[str, float], low: int, high: int) -> float:
    """Exponent with which a figure grows with the number of ratings: its slope in logarithms."""
    return log(figures[f"{high}"] / figures[f"{low}"]) / log(high / low)


def _scrape_cost(store: Store) -> tuple[float, float]:
    """Seconds of a whole scrape; and bytes at its peak, from one more, which counting slows."""

    def scrape() -> None:
        view = View(store, Rules())
        view.refresh(streams.NOW)
        Exposition(view).render()

    # The least of several: what else the machine does only adds.
    taken = min(seconds(scrape) for _ in range(SCRAPES))
    tracemalloc.start()
    scrape()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken, peak


@contextmanager
def filled(series: int, ratings: int, progress: Progress) -> Iterator[Store]:
    """Open a new SQLite file with ``ratings`` ratings in each of ``series`` series."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as directory:
        store = open_store(f"sqlite:///{Path(directory) / 'bench.db'}")
        try:
            task = progress.add_task(f"{series:,} series of {ratings:,} ratings", total=series * ratings)
            for stored in streams.fill(store, series, ratings):
                progress.advance(task, stored)
            yield store
        finally:
            store.close()
