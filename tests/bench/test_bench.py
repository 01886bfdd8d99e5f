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
from tests.bench.compare import main as compare
from tests.bench.harness import QUICK, Figure, at_least, at_most, below
from tests.bench.results import load
from tests.bench.run import main, sections
from tests.bench.scrape import TextsDiffer


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return what a quick run printed, and the file that it kept."""
    folder = tmp_path_factory.mktemp("bench")
    options = ["--quick", "--without-original", "--output", str(folder)]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(main, options, catch_exceptions=False)
    assert done.exit_code == 0
    (path,) = folder.glob("*.json")
    return done.output, path


def test_every_section_is_measured_printed_and_kept(quick: tuple[str, Path]) -> None:
    """A quick run prints each ratio beside its goal and whether that is met, and keeps all figures as JSON."""
    output, path = quick
    result = json.loads(path.read_text(encoding="utf-8"))
    figures = {title: load(path)[title] for title in result["sections"]}

    assert list(figures) == [section.title for section in sections(QUICK, path)]
    assert all(section for section in figures.values())
    for figure in (figure for section in figures.values() for figure in section):
        if figure.goal:
            verdict = "met" if figure.met else "missed"
            assert re.search(rf"{re.escape(figure.name)} .*{figure.goal.words} .*{verdict}", output), figure
    assert len(list(path.parent.glob("*.png"))) == len(result["pictures"])


def test_two_files_are_set_side_by_side(quick: tuple[str, Path], tmp_path: Path) -> None:
    """What lies beyond the other file's range is told, here that a goal is missed; what does not is left out."""
    _, path = quick
    result = json.loads(path.read_text(encoding="utf-8"))
    (*_, last) = result["sections"].values()
    for part in ("value", "low", "high"):
        last[0][part] *= 10
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(result), encoding="utf-8")
    done = CliRunner(env={"COLUMNS": "200"}).invoke(compare, [str(path), str(changed)], catch_exceptions=False)
    every = CliRunner(env={"COLUMNS": "200"}).invoke(compare, ["--all", str(path), str(path)], catch_exceptions=False)

    assert re.findall(r"(lines of \S+ \S+, \w+) .*\b(goal missed|higher|lower)\b", done.output) == [
        ("lines of a module, median", "goal missed")
    ]
    for figure in (figure for section in load(path).values() for figure in section):
        assert figure.name in every.output


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
    cases = [(at_least(2), 2, 1.99), (at_most(40), 40, 41), (below(0.05), 0.049, 0.05)]

    assert [goal.is_met(value) for goal, value, _ in cases] == [True, True, True]
    assert [goal.is_met(value) for goal, _, value in cases] == [False, False, False]
    assert Figure("x", 2, "x", 2, 2).met is None
