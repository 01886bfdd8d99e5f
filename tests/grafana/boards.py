"""A dashboard as somebody opens it: variables chosen, every query run, every result named as Grafana names it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.grafana.panels import Dashboard, Panel, Series, load, panels
from tests.grafana.substitution import Period, Value, Variable, intervals, period, query
from tests.grafana.watched import Watched

LABEL_VALUES = re.compile(r"label_values\((?:(?P<selector>.+),\s*)?(?P<label>\w+)\)")
LABEL = re.compile(r"\{\{\s*(.+?)\s*\}\}")
# Of a screen on which a dashboard is looked at; a panel asks for a point for each of its pixels.
PIXELS = 1600
ANNOTATION_POINTS = 100


class Shown(NamedTuple):
    """A panel, or one of its repetitions, with its results; ``asked`` holds the queries as Prometheus saw them."""

    panel: Panel
    title: str
    time: Period
    series: list[Series]
    asked: dict[str, str]


class Board(NamedTuple):
    """A dashboard that was opened."""

    name: str
    dashboard: Dashboard
    variables: Mapping[str, Variable]
    panels: list[Shown]
    annotations: list[Shown]


def opened(watched: Watched, name: str, chosen: Mapping[str, Value] | None = None, *, quotes: bool = False) -> Board:
    """Open a dashboard with variables ``chosen``; others are as it brings them."""
    dashboard = load(name)
    variables = _variables(watched, dashboard, chosen or {}, quotes=quotes)
    shown = [
        _shown(watched, dashboard, panel, local, quotes=quotes)
        for panel in panels(dashboard)
        for local in _repetitions(panel, variables)
    ]
    annotations = [
        _annotation(watched, dashboard, annotation, variables, quotes=quotes)
        for annotation in dashboard["annotations"]["list"]
    ]
    return Board(name, dashboard, variables, shown, annotations)


def _variables(
    watched: Watched, dashboard: Dashboard, chosen: Mapping[str, Value], *, quotes: bool
) -> dict[str, Variable]:
    """Find the options of each variable, which may depend on those before, and choose."""
    variables: dict[str, Variable] = {}
    whole = period(watched.now, dashboard["time"]["from"], PIXELS)
    for each in dashboard["templating"]["list"]:
        if each["type"] == "datasource":
            options = ["prometheus"]
        else:
            match = LABEL_VALUES.fullmatch(query(each["query"]["query"], variables, quotes=quotes))
            assert match is not None, each["query"]
            options = sorted(watched.label_values(match["label"], match["selector"], whole), key=str.casefold)
        # Grafana takes the first option where a dashboard brings no choice.
        value = chosen.get(each["name"], each.get("current", {}).get("value", options[:1]))
        if not each["multi"] and isinstance(value, list):
            (value,) = value
        variables[each["name"]] = Variable(each["multi"], each["includeAll"], each.get("allValue"), options, value)
    return variables


def _repetitions(panel: Panel, variables: Mapping[str, Variable]) -> Iterator[dict[str, Variable]]:
    """The variables as each repetition of a panel sees them."""
    repeated = variables.get(panel.get("repeat", ""))
    if repeated is None:
        yield dict(variables)
        return
    for value in repeated.value:
        yield {**variables, panel["repeat"]: repeated._replace(chosen=value)}


def _shown(
    watched: Watched, dashboard: Dashboard, panel: Panel, variables: Mapping[str, Variable], *, quotes: bool
) -> Shown:
    points = panel.get("maxDataPoints", PIXELS * panel["gridPos"]["w"] // 24)
    time = period(watched.now, panel.get("timeFrom", dashboard["time"]["from"]), points, panel.get("interval"))
    series: list[Series] = []
    asked = {}
    for target in panel["targets"]:
        expression = intervals(query(target["expr"], variables, quotes=quotes), time)
        asked[target["refId"]] = expression
        series += _result(watched, target, expression, time)
    title = re.sub(r"\$(\w+)", lambda match: str(variables[match[1]].value), panel["title"])
    return Shown(panel, title, time, series, asked)


def _annotation(
    watched: Watched,
    dashboard: Dashboard,
    annotation: dict[str, Any],
    variables: Mapping[str, Variable],
    *,
    quotes: bool,
) -> Shown:
    time = period(watched.now, dashboard["time"]["from"], ANNOTATION_POINTS, annotation["step"])
    expression = intervals(query(annotation["expr"], variables, quotes=quotes), time)
    target = {"refId": "annotation", "legendFormat": annotation["titleFormat"], "instant": False}
    return Shown(
        annotation, annotation["name"], time, list(_result(watched, target, expression, time)), {"": expression}
    )


def _result(watched: Watched, target: dict[str, Any], expression: str, time: Period) -> Iterator[Series]:
    assert target["instant"] != target.get("range", True), f"both or neither of instant and range: {target}"
    if target["instant"]:
        found = watched.get("/api/v1/query", {"query": expression, "time": time.end})
    else:
        found = watched.get("/api/v1/query_range", {"query": expression, **time.aligned})
    assert found["resultType"] == ("vector" if target["instant"] else "matrix"), expression
    for each in found["result"]:
        points = [each["value"]] if target["instant"] else each["values"]
        yield Series(
            target["refId"],
            _legend(target["legendFormat"], each["metric"]),
            each["metric"],
            [(float(moment), float(value)) for moment, value in points],
        )


def _legend(form: str, labels: Mapping[str, str]) -> str:
    if form:
        return LABEL.sub(lambda match: labels.get(match[1], ""), form)
    listed = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{labels.get('__name__', '')}{{{listed}}}"
