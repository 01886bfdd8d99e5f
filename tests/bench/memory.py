"""What a series takes of the exporter's memory, and that ratings take nothing of it."""

import json
import os
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from exporter.exposition import Exposition
from exporter.rules import Rules
from exporter.store import open_store
from exporter.view import View
from tests.bench import streams
from tests.bench.harness import Figure, Outcome, Picture, Say, Scale, at_most, figure
from tests.support.exporter_process import ROOT

PARTS = {"view": "before", "gzip": "view", "plain": "gzip"}
WORDS = {
    "view": "records and what they mean",
    "gzip": "ready lines and their gzip",
    "plain": "the plain text, once it was asked for",
}
# Series in the views whose ratings are many; and how much more these may take by chance.
FEW = 100
SLACK = 1.05


class _Held(NamedTuple):
    resident: int
    blocks: int


def of_exporter(scale: Scale, say: Say) -> Outcome:
    """Measure processes that hold few and many series, and views of few and many ratings."""
    sizes = [scale.series // 10, scale.series, scale.many]
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name:
        held = {}
        for size in sizes:
            say(f"Memory of {size:,} series")
            held[size] = _hold(Path(name) / f"{size}.db", size, scale.ratings)
        say("Memory of views with few and many ratings")
        few, many = (
            _traced(Path(name) / f"ratings-{times}.db", scale.ratings * times) for times in (1, scale.log_times)
        )
    growth = figure(f"{scale.log_times} times the ratings, same series: memory", [many / few], "x", at_most(SLACK))
    return Outcome([growth, *(line for size in sizes[1:] for line in _figures(size, held[size]))], [_picture(held)])


def _hold(path: Path, series: int, ratings: int) -> dict[str, _Held]:
    url = streams.populate(path, series, ratings)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.held", url, f"{streams.NOW}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    path.unlink()
    return {what: _Held(*numbers) for what, numbers in json.loads(done.stdout).items()}


def _figures(size: int, held: dict[str, _Held]) -> list[Figure]:
    parts = [
        figure(f"{size:,} series: a series, {WORDS[part]}", [(held[part].resident - held[before].resident) / size], "B")
        for part, before in PARTS.items()
    ]
    before, full, after = held["before"], held["plain"], held["after a window"]
    return [
        *parts,
        figure(f"{size:,} series: a process that holds nothing", [before.resident], "B"),
        figure(f"{size:,} series: resident", [full.resident], "B"),
        figure(f"{size:,} series: resident after a window without ratings", [after.resident], "B"),
        figure(
            f"{size:,} series, a window without ratings: memory blocks in use / before",
            [after.blocks / before.blocks],
            "x",
            at_most(1.1),
        ),
        figure(
            f"{size:,} series, a window without ratings: still resident / what they took",
            [(after.resident - before.resident) / (full.resident - before.resident)],
            "x",
            at_most(0.2),
        ),
    ]


def _traced(path: Path, ratings: int) -> int:
    """Bytes at the peak of a whole scrape, nothing known beforehand."""
    with closing(open_store(streams.populate(path, FEW, ratings))) as store:
        tracemalloc.start()
        view = View(store, Rules())
        view.refresh(streams.NOW)
        Exposition(view).render()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


def _picture(held: dict[int, dict[str, _Held]]) -> Picture:
    curves = {
        words: [(float(size), float(steps[part].resident - steps["before"].resident)) for size, steps in held.items()]
        for part, words in (("view", "records and view"), ("plain", "with text, gzip and plain"))
    }
    return Picture("memory", "Memory of the exporter", "series", "bytes", curves)
