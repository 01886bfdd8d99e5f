"""What stands in a dashboard: its panels, and the names of fields that overrides and transformations count on."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Dashboard = dict[str, Any]
Panel = dict[str, Any]
Row = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
DASHBOARDS = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def load(name: str) -> Dashboard:
    """Read a dashboard as it is committed."""
    dashboard: Dashboard = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return dashboard


def panels(dashboard: Dashboard) -> Iterator[Panel]:
    """Every panel that shows something, those inside rows included."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


class Series(NamedTuple):
    """One series of a result: the query that brought it, its name in a legend, its points in time and value."""

    ref: str
    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class Table(NamedTuple):
    """Rows, and the columns in their order: field -> heading."""

    headings: dict[str, str]
    rows: list[Row]


class UnknownFieldError(AssertionError):
    """A panel counts on a field that no result has."""


def table(panel: Panel, series: Sequence[Series]) -> Table:
    """Put series into the table that Grafana makes of them, by the panel's transformations.

    Raises:
        UnknownFieldError: a transformation names a field that is not there.

    """
    frames = _frames(panel, series)
    headings: dict[str, str] | None = None
    for transformation in panel.get("transformations", []):
        options = transformation["options"]
        match transformation["id"]:
            case "merge":
                frames = [_merged(frames)]
            case "organize":
                headings = _organized(_fields(frames), options)
            case other:
                raise AssertionError(f"the test does not know transformation {other}: teach it")
    (rows,) = frames
    headings = headings or {field: field for field in _fields(frames)}
    displayed = _displayed(panel)
    return Table(
        {field: displayed.get(field, displayed.get(heading, heading)) for field, heading in headings.items()}, rows
    )


def _displayed(panel: Panel) -> dict[str, str]:
    """Headings that overrides give, by the name of the field."""
    return {
        override["matcher"]["options"]: each["value"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "displayName"
    }


def _frames(panel: Panel, series: Sequence[Series]) -> list[list[Row]]:
    """One table a query: time, labels, and the value, whose name tells the query where there are several."""
    refs = [target["refId"] for target in panel["targets"]]
    value = "Value #{}" if len(refs) > 1 else "Value"
    return [
        [
            {"Time": each.points[-1][0], **each.labels, value.format(ref): each.points[-1][1]}
            for each in series
            if each.ref == ref
        ]
        for ref in refs
    ]


def _fields(frames: Sequence[Sequence[Row]]) -> list[str]:
    return list(dict.fromkeys(field for rows in frames for row in rows for field in row))


def _merged(frames: Sequence[Sequence[Row]]) -> list[Row]:
    """Join rows that agree in the fields that all tables have, and contradict each other in none."""
    common = set.intersection(*(set(_fields([rows])) for rows in frames))
    merged: list[Row] = []
    for row in (row for rows in frames for row in rows):
        for other in merged:
            if all(other.get(field) == row.get(field) for field in common) and not _contradict(other, row):
                other.update(row)
                break
        else:
            merged.append(dict(row))
    return merged


def _contradict(one: Row, other: Row) -> bool:
    return any(one[field] != other[field] for field in one.keys() & other.keys())


def _organized(fields: Sequence[str], options: dict[str, dict[str, Any]]) -> dict[str, str]:
    named = {*options["renameByName"], *options["indexByName"], *options["excludeByName"]}
    if unknown := named - set(fields):
        raise UnknownFieldError(f"organize names {sorted(unknown)}, there is {fields}")
    shown = [field for field in fields if not options["excludeByName"].get(field)]
    shown.sort(key=lambda field: options["indexByName"].get(field, len(fields)))
    return {field: options["renameByName"].get(field, field) for field in shown}


def referred(panel: Panel) -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Every reference to a field by its name, with the test that the name of a field must pass."""
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        name = matcher["options"]
        match matcher["id"]:
            case "byName":
                yield name, name.__eq__
            case "byRegexp":
                yield name, re.compile(name.strip("/")).search  # type: ignore[misc]  # a match is true, none is false
            case "byFrameRefID":
                if name not in {target["refId"] for target in panel["targets"]}:
                    raise UnknownFieldError(f"no query is called {name}")
            case other:
                raise AssertionError(f"the test does not know matcher {other}: teach it")
        for each in override["properties"]:
            if each["id"] == "custom.fillBelowTo":
                yield each["value"], each["value"].__eq__
    for column in panel["options"].get("sortBy", []):
        yield column["displayName"], column["displayName"].__eq__
