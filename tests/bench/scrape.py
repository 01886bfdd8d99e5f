"""What a scrape costs inside the process: against prometheus-client, with the same samples."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import Metric

from exporter.exposition import Exposition
from exporter.rules import Rules
from exporter.store import open_store
from exporter.store.base import Store
from exporter.view import View
from tests.bench import rival, streams
from tests.bench.harness import Outcome, Say, Scale, at_least, figure, ratio, seconds

NOTHING_CHANGED = "nothing changed"
RENDERING = "everything changed, rendering only"
WITH_REFRESH = "everything changed, with the refresh"
GOALS = {NOTHING_CHANGED: 50, RENDERING: 6, WITH_REFRESH: 2}
THEIRS = "generate_latest"


class TextsDiffer(Exception):
    """The texts that are compared in time hold different samples: the comparison means nothing."""


def against_prometheus_client(scale: Scale, say: Say) -> Outcome:
    """Compare a scrape with ``prometheus_client.generate_latest`` of the same samples, built beforehand."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as directory:
        say("Filling a file")
        url = streams.populate(Path(directory) / "bench.db", scale.series, scale.ratings)
        with closing(open_store(url)) as store:
            runs = _runs(store, scale, say)
    times = {name: [run[name] for run in runs] for name in runs[0]}
    return Outcome(
        [
            *(ratio(f"{THEIRS} / {name}", times[THEIRS], times[name], at_least(goal)) for name, goal in GOALS.items()),
            *(figure(name, taken, "s") for name, taken in times.items()),
            figure("everything changed, a series", [each / scale.series for each in times[WITH_REFRESH]], "s"),
        ]
    )


def _runs(store: Store, scale: Scale, say: Say) -> list[dict[str, float]]:
    view = View(store, Rules())
    exposition = Exposition(view)
    view.refresh(streams.NOW)
    exposition.render()
    runs = []
    for run in range(scale.pairs):
        say(f"Scrape against prometheus-client, run {run + 1}")
        runs.append(_compare(store, view, exposition, scale.series, run))
    check_equal(rival.families(view), exposition)
    return runs


def _compare(store: Store, view: View, exposition: Exposition, series: int, run: int) -> dict[str, float]:
    """Measure one run; before each timing of a change, every series gets one more rating."""
    now = streams.NOW + 2 * run + 1

    def scrape() -> None:
        view.refresh(now + 1)
        exposition.render()

    streams.touch(store, series, 2 * run + 1)
    view.refresh(now)
    rendering = seconds(exposition.render)
    streams.touch(store, series, 2 * run + 2)
    with_refresh, unchanged = seconds(scrape), seconds(scrape)
    families = list(rival.families(view))
    theirs = seconds(lambda: rival.render(families))
    return {THEIRS: theirs, RENDERING: rendering, WITH_REFRESH: with_refresh, NOTHING_CHANGED: unchanged}


def check_equal(families: Iterable[Metric], exposition: Exposition) -> None:
    """Check that the families, rendered by prometheus-client, say what the exporter's text says.

    Raises:
        TextsDiffer: they do not.

    """
    if rival.parsed(exposition.render()) != rival.parsed(rival.render(families)):
        raise TextsDiffer("the exporter's text and prometheus-client's hold different samples")
