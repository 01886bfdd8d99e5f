"""What a panel cannot show as it should: looked for in its results."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from tests.grafana.boards import Shown
from tests.grafana.panels import Series, UnknownFieldError, referred, table


def faults(shown: Shown) -> list[str]:
    """Everything that is wrong with the results of a panel, with its title before it."""
    return [f"{shown.title}: {fault}" for fault in (*_of_any(shown), *KINDS[shown.panel["type"]](shown))]


def of_annotation(shown: Shown) -> list[str]:
    """Everything that is wrong with the results of an annotation."""
    unnamed = ["an event has no title"] if any(not series.name for series in shown.series) else []
    return [f"{shown.title}: {fault}" for fault in (*_no_numbers(shown.series), *unnamed)]


def _of_any(shown: Shown) -> Iterator[str]:
    answered = {series.ref for series in shown.series}
    yield from (f"query {ref} found nothing: {query}" for ref, query in shown.asked.items() if ref not in answered)
    yield from _no_numbers(shown.series)


def _no_numbers(series: Iterable[Series]) -> Iterator[str]:
    for each in series:
        if not all(math.isfinite(value) for _, value in each.points):
            yield f"{each.ref} {each.name} has values that are no numbers"


def _named(shown: Shown) -> Iterator[str]:
    """Yield names that stand twice in a legend, and names that somebody counts on and nobody has."""
    names = Counter(series.name for series in shown.series)
    yield from (f"{name!r} is there {times} times" for name, times in names.items() if times > 1)
    yield from (f"a series without a name: {series.labels}" for series in shown.series if not series.name)
    yield from _unmet(shown, names)


def _unmet(shown: Shown, names: Iterable[str]) -> Iterator[str]:
    try:
        for wanted, fits in referred(shown.panel):
            if not any(fits(name) for name in names):
                yield f"no field is called {wanted}, there is {sorted(names)}"
    except UnknownFieldError as error:
        yield str(error)


def _timeseries(shown: Shown) -> Iterator[str]:
    yield from _named(shown)
    if all(len(series.points) < 2 for series in shown.series):
        yield "there is no line, only points"


def _stat(shown: Shown) -> Iterator[str]:
    yield from _named(shown)
    (target,) = shown.panel["targets"]
    if not target["legendFormat"] and len(shown.series) > 1:
        yield f"{len(shown.series)} numbers, and nothing says which is which"


def _states(shown: Shown) -> Iterator[str]:
    yield from _named(shown)
    texts = {float(value) for each in shown.panel["fieldConfig"]["defaults"]["mappings"] for value in each["options"]}
    for series in shown.series:
        if unknown := {value for _, value in series.points} - texts:
            yield f"{series.name} has states without a text: {sorted(unknown)}"


def _heatmap(shown: Shown) -> Iterator[str]:
    """Yield what is wrong with cumulative buckets, each named for its upper end."""
    yield from _named(shown)
    ordered = sorted(shown.series, key=lambda series: float(series.name))
    if len(ordered) < 2:
        yield f"{len(ordered)} buckets"
    for below, above in pairwise(ordered):
        lower, upper = dict(below.points), dict(above.points)
        if lower.keys() != upper.keys():
            yield f"buckets {below.name} and {above.name} have different times"
        # What increase adds at the ends of a range differs a little from bucket to bucket.
        elif any(upper[moment] < lower[moment] * 0.98 for moment in upper):
            yield f"bucket {above.name} holds less than {below.name}, which is in it"


def _table(shown: Shown) -> Iterator[str]:
    try:
        made = table(shown.panel, shown.series)
    except UnknownFieldError as error:
        yield str(error)
        return
    for field, heading in made.headings.items():
        if heading == field:
            yield f"column {field} is shown, and nobody gave it a heading"
        if all(row.get(field, "") == "" for row in made.rows):
            yield f"column {heading} is empty"
    rows = Counter(tuple(row.get(field) for field in made.headings) for row in made.rows)
    yield from (f"row {row} is there {times} times" for row, times in rows.items() if times > 1)
    yield from _unmet(shown, {*made.headings, *made.headings.values()})


# For each kind of panel that there is; one more needs a look at what it takes.
KINDS: dict[str, Callable[[Shown], Iterator[str]]] = {
    "timeseries": _timeseries,
    "stat": _stat,
    "state-timeline": _states,
    "heatmap": _heatmap,
    "table": _table,
}
