"""The sections of the benchmark, in order."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from exporter.memory import collect_rarely
from tests.bench import (
    growth,
    growth_series,
    ingest_redis,
    ingest_sqlite,
    many,
    memory,
    results,
    scrape,
    scrape_http,
    size,
    slow,
    stores,
    tuning,
)
from tests.bench.harness import QUICK, Outcome, Say, Scale
from tests.bench.original import PACKAGE, NotInstalled
from tests.bench.pictures import draw

# What is run for real: the commands, and the Debian packages that bring them.
PROGRAMS = {"redis-server": "redis-server", "prometheus-pushgateway": "prometheus-pushgateway"}


class Section(NamedTuple):
    """What is measured together; ``seconds`` is what that takes, so that the bar is even."""

    title: str
    measure: Callable[[Scale, Say], Outcome]
    seconds: float


def sections(scale: Scale, environment: Path) -> list[Section]:
    """Every section; the original is installed into ``environment``."""
    return [
        Section("Ingest, SQLite", ingest_sqlite.over_sqlite, 70),
        Section("Ingest, Redis", ingest_redis.over_redis, 45),
        Section(f"Scrape of {scale.series:,} series", scrape.against_prometheus_client, 45),
        Section(f"Scrape of {scale.series:,} series over HTTP", scrape_http.over_http, 50),
        Section("Growth with history", partial(growth.with_history, environment=environment), 30),
        Section("Growth with series", growth_series.with_series, 10),
        Section("Memory of the exporter", memory.of_exporter, 30),
        Section("Memory of the stores", stores.by_ratings, 8),
        Section(f"{scale.many:,} series", many.series, 40),
        Section("Slow readers", slow.readers, 30),
        Section("Threads", tuning.by_threads, 85),
        Section("Workers", tuning.by_workers, 85),
        Section("Lines of code", lambda _scale, _say: size.of_code(), 1),
    ]


@click.command()
@click.option("--quick", is_flag=True, help="Tiny sizes: shows that the benchmark runs, measures nothing.")
@click.option("--all", "everything", is_flag=True, help="Print costs beside ratios; the JSON has them in any case.")
@click.option("--only", default="", metavar="TEXT", help="Run only the sections whose title holds this text.")
@click.option("--without-original", is_flag=True, help=f"Leave {PACKAGE} out, which is installed from PyPI.")
@click.option(
    "--output", type=click.Path(path_type=Path), default="bench-results", show_default=True, help="Folder for results."
)
def main(*, quick: bool, everything: bool, only: str, without_original: bool, output: Path) -> None:
    """Measure, print every ratio beside its goal, and keep all figures as JSON and growth as pictures."""
    _check_programs()
    collect_rarely()  # as ``serve`` does; the rivals have the same of it
    scale = QUICK if quick else Scale(original=not without_original)
    chosen = [each for each in sections(scale, output / "original") if only.lower() in each.title.lower()]
    if not chosen:
        raise click.UsageError(f"--only {only!r} fits no section; they are " + "; ".join(_titles(scale, output)))
    console = results.console()
    try:
        with _progress(console, chosen) as measure:
            outcomes = {section.title: measure(section, scale) for section in chosen}
    except NotInstalled as error:
        raise click.ClickException(str(error)) from None
    results.show(console, {title: outcome.figures for title, outcome in outcomes.items()}, everything=everything)
    drawn = draw(results.pictures(outcomes), output)
    console.print(f"All figures are kept in {results.save(outcomes, output)}; pictures: {', '.join(map(str, drawn))}")


def _titles(scale: Scale, output: Path) -> list[str]:
    return [each.title for each in sections(scale, output)]


def _check_programs() -> None:
    missing = [package for command, package in PROGRAMS.items() if shutil.which(command) is None]
    if missing:
        packages = " ".join(missing)
        raise click.ClickException(
            f"the benchmark runs {packages}, not installed here: apt-get install --no-install-recommends {packages}"
        )


@contextmanager
def _progress(console: Console, chosen: list[Section]) -> Iterator[Callable[[Section, Scale], Outcome]]:
    """Show a bar over all sections; gives what measures one of them."""
    columns = (BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=sum(section.seconds for section in chosen))

        def measure(section: Section, scale: Scale) -> Outcome:
            done, began = progress.tasks[0].completed, time.monotonic()

            def say(what: str) -> None:
                passed = min(time.monotonic() - began, section.seconds)
                progress.update(bar, completed=done + passed, description=what)

            outcome = section.measure(scale, say)
            progress.update(bar, completed=done + section.seconds)
            return outcome

        yield measure
