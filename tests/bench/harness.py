"""What every section of the benchmark shares: sizes, stopwatch, figures and how they are shown and kept."""

import gc
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Scale(NamedTuple):
    """How large a run is."""

    series: int = 10_000
    ratings: int = 200
    runs: int = 5
    history_series: int = 1_000
    history_ratings: tuple[int, int, int] = (20, 200, 2_000)
    http_seconds: float = 4.0


QUICK = Scale(series=12, ratings=20, runs=1, history_series=6, history_ratings=(4, 20, 200), http_seconds=0.2)


class Figure(NamedTuple):
    """One measured figure, in words too, and the goal that it is held against, if there is one."""

    name: str
    value: float
    text: str
    goal: str = ""
    met: bool | None = None


def ratio(name: str, value: float, goal: float | None = None) -> Figure:
    """How many times one thing is another, at least ``goal`` times if that is given."""
    if goal is None:
        return Figure(name, value, f"{value:.2f} x")
    return Figure(name, value, f"{value:.2f} x", f"at least {goal:g} x", value >= goal)


def below(name: str, value: float, goal: float) -> Figure:
    """Something that must stay below ``goal``."""
    return Figure(name, value, f"{value:.3f}", f"below {goal:g}", value < goal)


def at_most(name: str, value: float, goal: float, unit: str) -> Figure:
    """Something that may reach ``goal``, no more."""
    return Figure(name, value, f"{value:g} {unit}", f"at most {goal:g} {unit}", value <= goal)


def milliseconds(name: str, seconds: float) -> Figure:
    """Duration, given in seconds."""
    return Figure(name, seconds, f"{seconds * 1000:,.3f} ms")


def megabytes(name: str, size: float) -> Figure:
    """Amount of memory, given in bytes."""
    return Figure(name, size, f"{size / 1e6:,.2f} MB")


def rate(name: str, value: float, unit: str) -> Figure:
    """How many in a second."""
    return Figure(name, value, f"{value:,.0f} {unit}/s")


def seconds(action: Callable[[], object]) -> float:
    """Seconds that ``action`` takes once, beginning without garbage of others."""
    gc.collect()
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median of each figure over runs that all measured the same ones."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    """Print the figures of a section, each beside its goal."""
    table = Table("figure", "measured", "goal", "", title=title, title_justify="left", width=min(console.width, 110))
    for figure in figures:
        verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[figure.met]
        table.add_row(figure.name, figure.text, figure.goal, verdict)
    console.print(table)


def save(sections: Mapping[str, Sequence[Figure]], directory: Path) -> Path:
    """Write all figures, and what they were measured on, as one JSON file and return its path."""
    now = datetime.now(UTC)
    result = {
        "time": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "sections": {title: [figure._asdict() for figure in figures] for title, figures in sections.items()},
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path
