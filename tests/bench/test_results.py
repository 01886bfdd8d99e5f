"""Figures are taken pair by pair, shown for people, and read again as they were."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.bench import compare, results
from tests.bench.harness import Figure, Outcome, Picture, alternate, at_least, below, figure, ratio


def test_a_ratio_is_taken_pair_by_pair() -> None:
    """A ratio is the median of the ratios of what was measured together, not the ratio of medians."""
    assert ratio("r", [1, 20, 3], [1, 10, 1]) == Figure("r", 2, "x", 1, 3)


def test_measurements_alternate() -> None:
    """What is compared is measured in turn, every other time backwards."""
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    measured = alternate(3, {"a": lambda: measure("a"), "b": lambda: measure("b")}, lambda _: None, "")

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert measured == {"a": [1, 4, 5], "b": [2, 3, 6]}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0000123456, "s", "12.3 µs"),
        (0.25, "s", "250 ms"),
        (2.5, "s", "2.5 s"),
        (1_234_000, "B", "1.23 MB"),
        (0.5, "x", "0.5 x"),
        (12_345.6, "/s", "12,346/s"),
        (0.0461, "", "0.046"),
        (0, "B", "0 B"),
    ],
)
def test_numbers_are_shown_for_people(value: float, unit: str, shown: str) -> None:
    """Three digits count, and seconds and bytes have a prefix."""
    assert results.number(value, unit) == shown


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    """Figures come back as they were, and pictures are kept beside them."""
    listed = [figure("a", [1, 2, 3], "s"), figure("b", [2], "x", at_least(3))]
    picture = Picture("p", "title", "across", "up", {"curve": [(1, 2)]})

    path = results.save({"section": Outcome(listed, [picture])}, tmp_path)

    assert results.load(path) == {"section": listed}
    assert json.loads(path.read_text(encoding="utf-8"))["pictures"][0]["curves"] == {"curve": [[1, 2]]}


def test_the_table_shows_what_is_compared() -> None:
    """Ratios and slopes are shown with or without a goal, ours and the rival's; costs only where all is asked for."""
    listed = [
        figure("slope: ours", [0.01], "", below(0.05)),
        figure("slope: theirs", [1.07], ""),
        figure("ratio", [2, 3, 4], "x"),
        figure("cost", [0.5], "s"),
    ]
    shown = {}
    for everything in (False, True):
        table = io.StringIO()
        results.show(Console(file=table, width=120), {"section": listed}, everything=everything)
        shown[everything] = [_cells(line) for line in table.getvalue().splitlines() if line.startswith("│")]

    assert shown[False] == [
        ["section", "", "", "", ""],
        ["slope: ours", "0.010", "", "below 0.05", "met"],
        ["slope: theirs", "1.070", "", "", ""],
        ["ratio", "3 x", "2 x to 4 x", "", ""],
    ]
    assert shown[True] == [*shown[False], ["cost", "500 ms", "", "", ""]]


class TestCompare:
    """Two result files, side by side."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[str]:
        """Return two files that differ in some figures."""
        runs = {
            "a": [figure("same", [1, 2, 3], "s"), figure("more", [1, 2, 3], "s"), figure("old", [1], "s")],
            "b": [figure("same", [2, 3, 4], "s"), figure("more", [4, 5, 6], "s"), figure("new", [1], "s")],
        }
        goals = {"a": figure("goal", [4, 5], "x", at_least(3)), "b": figure("goal", [2], "x", at_least(3))}
        paths = []
        for name, figures in runs.items():
            saved = results.save({"section": Outcome([*figures, goals[name]])}, tmp_path / name)
            paths.append(str(saved.rename(tmp_path / f"{name}.json")))
        return paths

    def test_shows_what_changed(self, files: list[str]) -> None:
        """Shown is what lies outside of the other's range, a goal that is missed now, and what one file lacks."""
        done = CliRunner().invoke(compare.main, files, catch_exceptions=False)

        rows = [_cells(line) for line in done.output.splitlines() if line.startswith("│")]
        assert rows == [
            ["section", "", "", "", ""],
            ["more", "2 s", "5 s", "2.5 x", "higher"],
            ["old", "1 s", "", "", "gone"],
            ["goal", "4.5 x", "2 x", "0.444 x", "goal missed"],
            ["new", "", "1 s", "", "new"],
        ]

    def test_shows_everything_on_demand(self, files: list[str]) -> None:
        """With --all, what did not change is shown too, without a word."""
        done = CliRunner().invoke(compare.main, [*files, "--all"], catch_exceptions=False)

        assert ["same", "2 s", "3 s", "1.5 x", ""] in [_cells(line) for line in done.output.splitlines()]

    def test_refuses_another_file(self, files: list[str], tmp_path: Path) -> None:
        """A file that holds something else is named."""
        other = tmp_path / "other.json"
        other.write_text("[]")

        done = CliRunner().invoke(compare.main, [files[0], str(other)])

        assert done.exit_code == 1
        assert done.output == f"Error: {other} holds no figures of the benchmark: give a file that `make bench` wrote\n"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│").split("│")]
