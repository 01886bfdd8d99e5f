"""The sections of the benchmark, in order."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from exporter.web.server import collect_rarely
from tests.bench import ingest, scrape, size
from tests.bench.harness import QUICK, Figure, Scale, save, show

Section = Callable[[Scale, Progress], list[Figure]]

SECTIONS: dict[str, Section] = {
    "Scrape of {0.series:,} series against prometheus_client.generate_latest": scrape.against_prometheus_client,
    "Scrape of {0.history_series:,} series as history grows": scrape.as_history_grows,
    "Ingest over HTTP against an empty Flask route": ingest.over_http,
    "Lines of code": lambda _scale, _progress: size.of_code(),
}


@click.command()
@click.option("--quick", is_flag=True, help="Tiny sizes: shows that the benchmark runs, measures nothing.")
@click.option(
    "--output", type=click.Path(path_type=Path), default="bench-results", show_default=True, help="Folder for the JSON."
)
def main(*, quick: bool, output: Path) -> None:
    """Measure, print every figure beside its goal, and keep all of them as JSON."""
    collect_rarely()  # as ``serve`` does; the rivals have the same of it
    scale = QUICK if quick else Scale()
    console = Console()
    results: dict[str, Sequence[Figure]] = {}
    for template, section in SECTIONS.items():
        title = template.format(scale)
        with _progress(console) as progress:
            results[title] = section(scale, progress)
        show(console, title, results[title])
    console.print(f"All figures are kept in {save(results, output)}.")


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
