"""The benchmark runs, and compares like with like; how fast anything is, no test says."""

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.exposition import Exposition
from exporter.rules import Rules
from exporter.store import open_store
from exporter.view import View
from tests.bench import rival, scrape, streams
from tests.bench.harness import Figure, at_most, below, medians, ratio
from tests.bench.run import main
from tests.bench.scrape import TextsDiffer

FIGURES = [
    "times faster, nothing changed",
    "times faster, everything changed, rendering only",
    "times faster, everything changed, with the refresh",
    "slope of time, 20 to 200",
    "slope of memory, 20 to 200",
    "ratings taken in the time of one empty request, 1 a request",
    "ratings taken in the time of one empty request, 500 a request",
    "lines of a function, most",
]


def test_every_section_is_measured_printed_and_kept(tmp_path: Path) -> None:
    """A quick run prints each figure beside its goal, and keeps the same figures as JSON."""
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        main, ["--quick", "--output", str(tmp_path)], catch_exceptions=False
    )

    (path,) = tmp_path.glob("*.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    figures = {figure["name"]: figure for section in result["sections"].values() for figure in section}
    assert done.exit_code == 0
    assert list(filter(figures.__contains__, FIGURES)) == FIGURES
    for figure in figures.values():
        assert figure["value"] > -1
        assert re.search(rf"{re.escape(figure['name'])} .*{re.escape(figure['text'])} .*{figure['goal']}", done.output)


def test_texts_that_differ_end_the_comparison() -> None:
    """A comparison of texts that hold different samples is refused, so no figure of it is shown."""
    with closing(open_store("sqlite://")) as store:
        assert list(streams.fill(store, 3, 4)) == [12]
        view = View(store, Rules())
        view.refresh(streams.NOW)
        exposition = Exposition(view)
        scrape.check_equal(rival.families(view), exposition)
        families = list(rival.families(view))
        families[0].samples.pop()

        with pytest.raises(TextsDiffer, match=r"^the exporter's text and prometheus-client's hold different samples$"):
            scrape.check_equal(families, exposition)


def test_streams_fill_every_hour_of_the_window() -> None:
    """About 200 ratings a series leave no hour of the window without one, three tiers a stage."""
    with closing(open_store("sqlite://")) as store:
        assert sum(streams.fill(store, 6, 200)) == 1200
        view = View(store, Rules())
        view.refresh(streams.NOW)

        assert [len(stage.series) for stage in view.stages] == [3, 3]
        for stage in view.stages:
            for series in stage.series.values():
                assert len(series.record.hours) // 32 == 169
                assert series.stats.sample_count == 200


def test_goals() -> None:
    """A goal is met at its value where it is a least or a most, and below its value where it is a bound."""
    assert ratio("x", 2, 2) == Figure("x", 2, "2.00 x", "at least 2 x", met=True)
    assert ratio("x", 1.99, 2).met is False
    assert ratio("x", 1.5) == Figure("x", 1.5, "1.50 x")
    assert below("x", 0.05, 0.05) == Figure("x", 0.05, "0.050", "below 0.05", met=False)
    assert below("x", 0.049, 0.05).met is True
    assert at_most("x", 40, 40, "lines") == Figure("x", 40, "40 lines", "at most 40 lines", met=True)
    assert at_most("x", 41, 40, "lines").met is False


def test_medians() -> None:
    """Each figure is the median of its runs, whatever the other figures of a run are."""
    assert medians([{"a": 1, "b": 9}, {"a": 3, "b": 7}, {"a": 2, "b": 8}]) == {"a": 2, "b": 8}
