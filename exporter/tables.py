"""What the command line shows: tables for people, one JSON document for machines.

Nothing of a name is taken as mark-up, and what a terminal cannot show as a character is escaped. In a pipe
there is no colour, and no line is cut or wrapped.
"""

import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper

import click
import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.policy import TierRecommendation
from exporter.reading import DayStats, FeedbackEntry
from exporter.stats import QualityStats

PIPE_WIDTH = 100_000


def make_console() -> Console:
    """Return a console on this process's standard output; what its encoding lacks will be escaped."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def show(content: RenderableType) -> None:
    """Print for people."""
    make_console().print(content)


def show_json(value: object) -> None:
    """Print one JSON document, in UTF-8 whatever the terminal's encoding."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def printable(text: str) -> str:
    """Return ``text`` with what is no visible character escaped: controls, changes of direction, half pairs."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def stats_table(rows: Iterable[QualityStats]) -> Table:
    """One row a series, or a stage over all tiers."""
    table = _table("workflow", "stage", "tier", numbers=("samples", "average", "95 % interval", "min", "max", "trend"))
    for row in rows:
        table.add_row(
            *_names(row),
            str(row.sample_count),
            _score(row.avg_quality),
            f"{_score(row.lower_bound)} - {_score(row.upper_bound)}",
            _score(row.min_quality),
            _score(row.max_quality),
            f"{row.recent_trend:+.3f}",
        )
    return table


def days_table(rows: Iterable[DayStats]) -> Table:
    """One row a day and series."""
    table = _table("workflow", "stage", "tier", "day", numbers=("samples", "average", "min", "max"))
    for row in rows:
        scores = map(_score, (row.avg_quality, row.min_quality, row.max_quality))
        table.add_row(*_names(row), str(row.day), str(row.sample_count), *scores)
    return table


def history_table(rows: Iterable[FeedbackEntry]) -> Table:
    """One row a rating."""
    table = _table("time (UTC)", "tier", numbers=("score",), after=("rated by", "id", "metadata"))
    for row in rows:
        table.add_row(
            f"{row.timestamp:%Y-%m-%d %H:%M:%S}",
            _text(row.tier),
            _score(row.quality_score),
            _text(row.source or ""),
            _text(row.feedback_id),
            _text(msgspec.json.encode(row.metadata).decode() if row.metadata else ""),
        )
    return table


def recommendation_text(recommendation: TierRecommendation) -> Text:
    """The tier, how sure, and why."""
    return Text.assemble(
        (printable(recommendation.recommended_tier), "bold"),
        f"  (confidence {recommendation.confidence:.2f})\n",
        printable(recommendation.reason),
    )


def _table(*names: str, numbers: Sequence[str], after: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in names:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in after:
        table.add_column(heading, overflow="fold")
    return table


def _names(row: QualityStats | DayStats) -> tuple[Text, Text, Text]:
    return (
        _text(row.workflow_name),
        _text(row.stage_name),
        Text("all", "italic") if row.tier is None else _text(row.tier),
    )


def _text(text: str) -> Text:
    return Text(printable(text))


def _score(score: float) -> str:
    return f"{score:.3f}"
