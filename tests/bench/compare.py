"""``python -m tests.bench.compare A.json B.json``: two runs side by side."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.table import Table

from tests.bench import results
from tests.bench.harness import Figure
from tests.bench.results import number

_File = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("before", type=_File)
@click.argument("after", type=_File)
@click.option("--all", "everything", is_flag=True, help="Also show what did not change.")
def main(*, before: Path, after: Path, everything: bool) -> None:
    """Set the figures of two result files side by side: what lies outside of the other's range has changed."""
    table = Table("figure", before.stem, after.stem, "after / before", "")
    for title, rows in _compared(results.load(before), results.load(after), everything=everything):
        table.add_section()
        table.add_row(f"[bold]{title}[/]")
        for row in rows:
            table.add_row(*row)
    results.console().print(table)


def _compared(
    before: dict[str, list[Figure]], after: dict[str, list[Figure]], *, everything: bool
) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    for title in {**before, **after}:
        olds = {each.name: each for each in before.get(title, [])}
        news = {each.name: each for each in after.get(title, [])}
        rows = [_row(name, olds.get(name), news.get(name)) for name in {**olds, **news}]
        shown = [row for row in rows if everything or row[-1]]
        if shown:
            yield title, shown


def _row(name: str, old: Figure | None, new: Figure | None) -> tuple[str, ...]:
    """Name, both values, their ratio, and a word where something changed."""
    if old is None or new is None:
        values = [number(each.value, each.unit) if each else "" for each in (old, new)]
        return f"  {name}", *values, "", "gone" if new is None else "new"
    times = number(new.value / old.value, "x") if old.value else ""
    return f"  {name}", number(old.value, old.unit), number(new.value, new.unit), times, _word(old, new)


def _word(old: Figure, new: Figure) -> str:
    if old.met and new.met is False:
        return "goal missed"
    if old.low <= new.value <= old.high or new.low <= old.value <= new.high:
        return ""
    return "higher" if new.value > old.value else "lower"


if __name__ == "__main__":
    main()
