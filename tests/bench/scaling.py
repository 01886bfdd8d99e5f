"""``python -m tests.bench.scaling [RESULTS.json]``: write the tables of docs/scaling.md from the figures of a full run.

Without a file they are written anew from the figures that are kept beside this module. A test holds the two equal, so
that no number of the document drifts.
"""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from tests.bench import results
from tests.bench.capacity import BUSY, Costs, Deployment, Load, plan, simulate
from tests.bench.forms import BATCH
from tests.bench.ingest_sqlite import BATCHES, SINGLE
from tests.bench.results import NoResults, number

KEPT = Path(__file__).with_name("results.json")
DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"

SQLITE, REDIS = "Ingest, SQLite", "Ingest, Redis"
SCRAPE, OVER_HTTP = "Scrape of 10,000 series", "Scrape of 10,000 series over HTTP"
EXPORTER, STORES, MANY = "Memory of the exporter", "Memory of the stores", "100,000 series"
HORIZON_HOURS = 36
SCRAPE_SECONDS = 15
# The example that is done step by step: ratings a second, sent singly, and series.
RATE, SERIES = 2_000, 20_000
LOADS = [Load(rate, 1) for rate in (1, 10, 100, 1_000, 10_000, 100_000)]
LOADS += [Load(rate, BATCH) for rate in (1_000, 10_000, 100_000)]


class Line(NamedTuple):
    """A constant of the document, and the line of the benchmark that it comes from."""

    words: str
    section: str
    name: str

    @property
    def shown(self) -> str:
        """Section and name, or the name alone where it begins with the section."""
        return self.name if self.name.startswith(self.section) else f"{self.section}: {self.name}"


LINES = {
    "sqlite single": Line(
        "ratings a second, sent singly, one exporter over SQLite", SQLITE, f"{SINGLE}: taken over HTTP"
    ),
    "sqlite batch": Line(f"the same in batches of {BATCH}", SQLITE, f"{BATCHES}: taken over HTTP"),
    "exporter single": Line(
        "an exporter over Redis, a rating sent singly", REDIS, f"{SINGLE}: processor time of the exporter a rating"
    ),
    "exporter batch": Line(
        f"the same in batches of {BATCH}", REDIS, f"{BATCHES}: processor time of the exporter a rating"
    ),
    "redis single": Line("Redis, a rating sent singly", REDIS, f"{SINGLE}: processor time of Redis a rating"),
    "redis batch": Line(f"the same in batches of {BATCH}", REDIS, f"{BATCHES}: processor time of Redis a rating"),
    "scrape steady": Line("a scrape when nothing changed", OVER_HTTP, "one scrape: exporter, gzip"),
    "scrape changed": Line("a scrape, for each series when all changed", SCRAPE, "everything changed, a series"),
    "scrape sparse": Line(
        "a scrape, for each series when 1 in 100 changed", MANY, f"{MANY}: a scrape, more for each changed series"
    ),
    "start": Line("from start to ready", MANY, f"{MANY}: from start to ready"),
    "process": Line("memory of an exporter that holds nothing", EXPORTER, f"{MANY}: a process that holds nothing"),
    "view": Line("memory of an exporter, a series", EXPORTER, f"{MANY}: a series, records and what they mean"),
    "gzip": Line(
        "and its lines, as Prometheus asks for them", EXPORTER, f"{MANY}: a series, ready lines and their gzip"
    ),
    "sqlite record": Line("SQLite, a series", STORES, "SQLite: a series, its record over a full week"),
    "sqlite log": Line("and its newest 1,000 ratings, without metadata", STORES, "SQLite: a series, its full log"),
    "sqlite id": Line("SQLite, an id", STORES, "SQLite: an id"),
    "redis record": Line("Redis, a series", STORES, "Redis: a series, its record over a full week"),
    "redis log": Line("and its newest 1,000 ratings, without metadata", STORES, "Redis: a series, its full log"),
    "redis id": Line("Redis, an id", STORES, "Redis: an id"),
}


class Constants:
    """The constants of one run, and the tables that are made of them."""

    def __init__(self, path: Path) -> None:
        """Read a result file.

        Raises:
            NoResults: it lacks a line.

        """
        figures = {(title, each.name): each for title, listed in results.load(path).items() for each in listed}
        missing = [line.shown for line in LINES.values() if (line.section, line.name) not in figures]
        if missing:
            raise NoResults(f"{path} lacks {len(missing)} lines, as {missing[0]!r}: give the file of a full run")
        self._run = json.loads(path.read_text(encoding="utf-8"))
        self._figures = {key: figures[line.section, line.name] for key, line in LINES.items()}

    def __getitem__(self, key: str) -> float:
        """Value of a constant."""
        return self._figures[key].value

    def run(self) -> list[str]:
        """When and where the figures were measured."""
        return [f"The tables: {self._run['time'][:10]}, {self._run['machine']}, Python {self._run['python']}."]

    def costs(self, batch: int) -> Costs:
        """Seconds of each part a rating, for ratings that come so many a request."""
        kind = "single" if batch == 1 else "batch"
        return Costs(1 / self[f"sqlite {kind}"], self[f"exporter {kind}"], self[f"redis {kind}"])

    def constants(self) -> list[str]:
        """Every constant, with its line of the benchmark."""
        rows = [f"| {line.words} | {self._shown(key)} | {line.shown} |" for key, line in LINES.items()]
        return ["| constant | value | line of the benchmark |", "|---|---|---|", *rows]

    def _shown(self, key: str) -> str:
        return number(self[key], self._figures[key].unit)

    def saturation(self) -> list[str]:
        """What each part can do at most, and at the share that is planned for."""
        rows = []
        for words, single, batch in (
            ("one exporter over SQLite, or several over one file", self["sqlite single"], self["sqlite batch"]),
            ("one exporter process over Redis", 1 / self["exporter single"], 1 / self["exporter batch"]),
            ("one Redis, or one primary of a Cluster", 1 / self["redis single"], 1 / self["redis batch"]),
        ):
            most, planned = (
                [f"{float(f'{rate * share:.2g}'):,.0f}" for rate in (single, batch)] for share in (1, BUSY)
            )
            rows.append(f"| {words} | {most[0]} | {planned[0]} | {most[1]} | {planned[1]} |")
        head = f"| part | singly, at most | at {BUSY:.0%} | batches of {BATCH}, at most | at {BUSY:.0%} |"
        return [head, "|---|---|---|---|---|", *rows]

    def examples(self) -> list[str]:
        """Deployments for loads from small to large, planned by arithmetic and simulated."""
        head = (
            "| ratings a second | sent | takes | exporters busy | Redis busy | answers: median, 99 % within | its ids |"
        )
        return [head, "|---|---|---|---|---|---|---|", *map(self._example, LOADS)]

    def _example(self, load: Load) -> str:
        costs = self.costs(load.batch)
        chosen = plan(load, costs)
        seen = simulate(load, chosen, costs)
        sent = "singly" if load.batch == 1 else f"{load.batch} a request"
        redis = f"{seen.redis:.0%}" if chosen.primaries else ""
        waits = f"{number(seen.median, 's')}, {number(seen.slowest, 's')}"
        ids = number(self.ids(load.ratings, chosen), "B")
        return f"| {load.ratings:,} | {sent} | {chosen} | {seen.exporters:.0%} | {redis} | {waits} | {ids} |"

    def ids(self, rate: float, chosen: Deployment) -> float:
        """Bytes that the ids of a horizon take."""
        return rate * HORIZON_HOURS * 3600 * self[f"{chosen.store.lower()} id"]

    def arithmetic(self) -> list[str]:
        """One example, step by step."""
        rate, series, shown = RATE, SERIES, self._shown
        kept = series * (self["redis record"] + self["redis log"])
        held = self["process"] + series * (self["view"] + self["gzip"])
        ids = number(self.ids(rate, Deployment("Redis")), "B")
        parts = {part: rate * self[f"{part} single"] / BUSY for part in ("exporter", "redis")}
        steps = (
            ("one exporter, SQLite", f"{rate:,} / {self['sqlite single']:,.0f}", f"{rate / self['sqlite single']:.2f}"),
            ("exporters", f"{rate:,} x {shown('exporter single')} / {BUSY}", f"{parts['exporter']:.2f}"),
            ("Redis primaries", f"{rate:,} x {shown('redis single')} / {BUSY}", f"{parts['redis']:.2f}"),
            ("Redis, ids", f"{rate:,} x {HORIZON_HOURS} x 3,600 x {shown('redis id')}", ids),
            (
                "Redis, records and logs",
                f"{series:,} x ({shown('redis record')} + {shown('redis log')})",
                number(kept, "B"),
            ),
            (
                "each exporter that shows",
                f"{shown('process')} + {series:,} x ({shown('view')} + {shown('gzip')})",
                number(held, "B"),
            ),
            (
                "its scrapes, all changed",
                f"{series:,} x {shown('scrape changed')} / {SCRAPE_SECONDS} s",
                f"{series * self['scrape changed'] / SCRAPE_SECONDS:.2f}",
            ),
        )
        return ["```", *(f"{words:26}{terms:42} = {result}" for words, terms, result in steps), "```"]


TABLES: dict[str, Callable[[Constants], list[str]]] = {
    "run": Constants.run,
    "constants": Constants.constants,
    "saturation": Constants.saturation,
    "examples": Constants.examples,
    "arithmetic": Constants.arithmetic,
}


def written(document: str, constants: Constants) -> str:
    """Return ``document`` with every table between its two marks written anew."""
    for name, table in TABLES.items():
        block = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        document, found = block.subn(partial(_between, "\n".join(table(constants))), document)
        if found != 1:
            raise AssertionError(f"docs/scaling.md has the mark {name} {found} times, once is expected")
    return document


def _between(text: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}{text}\n{marks[2]}"


@click.command()
@click.argument("figures", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(figures: Path | None) -> None:
    """Keep FIGURES, a result file of a full run, and write the tables of docs/scaling.md from it."""
    if figures is not None:
        Constants(figures)
        shutil.copyfile(figures, KEPT)
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), Constants(KEPT)), encoding="utf-8")


if __name__ == "__main__":
    main()
