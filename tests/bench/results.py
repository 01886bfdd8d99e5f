"""Figures as a table, and as a file that can be read again."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.bench.harness import Figure, Goal, Outcome, Picture

# Units of numbers that are shown with a prefix, and the prefixes, largest first.
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "\N{MICRO SIGN}"))
_VERDICTS = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}
# Widest table that is still read as one.
WIDTH = 140

Sections = Mapping[str, Sequence[Figure]]


class NoResults(click.ClickException):
    """A file does not hold the figures that are asked of it."""


def console() -> Console:
    """Where tables are printed: as wide as a terminal, or as they need where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def number(value: float, unit: str) -> str:
    """Show a value for people: three digits that count, with a prefix where the unit takes one."""
    if unit in {"s", "B"}:
        factor, prefix = (
            next((each for each in _PREFIXES if abs(value) >= each[0]), _PREFIXES[-1]) if value else (1, "")
        )
        return f"{_digits(value / factor)} {prefix}{unit}"
    if unit in {"x", "lines"}:
        return f"{_digits(value)} {unit}"
    return f"{value:.3f}" if not unit else f"{_digits(value)}{unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def goal(figure: Figure) -> str:
    """Show what a figure is held against."""
    return f"{figure.goal.words} {figure.goal.bound:g} {figure.unit}".rstrip() if figure.goal else ""


def show(console: Console, sections: Sections, *, everything: bool) -> None:
    """Print one table: ratios, slopes and whatever has a goal, beside it; with ``everything``, the costs too."""
    table = Table("figure", "median", "lowest to highest", "goal", "", width=min(console.width, WIDTH))
    for title, figures in sections.items():
        shown = [each for each in figures if everything or each.unit in {"x", ""} or each.goal]
        if shown:
            table.add_section()
            table.add_row(f"[bold]{title}[/]")
        for each in shown:
            low, high = number(each.low, each.unit), number(each.high, each.unit)
            spread = f"{low} to {high}" if each.low < each.high else ""
            table.add_row(f"  {each.name}", number(each.value, each.unit), spread, goal(each), _VERDICTS[each.met])
    console.print(table)


def save(outcomes: Mapping[str, Outcome], directory: Path) -> Path:
    """Write all figures, and what they were measured on, as one JSON file and return its path."""
    now = datetime.now(UTC)
    result = {
        "time": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "sections": {title: [_record(each) for each in outcome.figures] for title, outcome in outcomes.items()},
        "pictures": [picture._asdict() for outcome in outcomes.values() for picture in outcome.pictures],
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def _record(figure: Figure) -> dict[str, object]:
    record = figure._asdict()
    if figure.goal:
        return {**record, "goal": figure.goal._asdict(), "met": figure.met}
    return record


def load(path: Path) -> dict[str, list[Figure]]:
    """Read the figures of a file that ``save`` wrote.

    Raises:
        NoResults: it is another.

    """
    try:
        sections: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))["sections"]
        return {title: [_figure(record) for record in records] for title, records in sections.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise NoResults(f"{path} holds no figures of the benchmark: give a file that `make bench` wrote") from None


def _figure(record: dict[str, Any]) -> Figure:
    bound = Goal(**record["goal"]) if record.get("goal") else None
    return Figure(record["name"], record["value"], record["unit"], record["low"], record["high"], bound)


def pictures(outcomes: Mapping[str, Outcome]) -> list[Picture]:
    """Every picture of a run."""
    return [picture for outcome in outcomes.values() for picture in outcome.pictures]
