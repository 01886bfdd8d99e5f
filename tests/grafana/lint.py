"""The rules of Grafana's dashboard-linter in Python, for want of a binary: same names, same ``.lint`` file.

Stricter in two ways: every type of panel is looked at, and what a histogram counts is a counter too. The rules for
LogQL have nothing to look at here and are left out.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import yaml
from grafana_foundation_sdk.models import units

from tests.grafana.panels import Dashboard, Panel, panels

UNITS = {unit for name, unit in vars(units).items() if not name.startswith("_") and isinstance(unit, str)}
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
# No other range is as odd as this one.
RATE_INTERVAL = 4242
COUNTERS = ("_total", "_count", "_sum", "_bucket")
RATES = {"rate", "irate", "increase"}
FUNCTIONS = {"label_names", "label_values", "metrics", "query_result"}


class Finding(NamedTuple):
    """What is wrong, by which rule, and where."""

    rule: str
    dashboard: str
    text: str
    panel: str | None = None
    target: int | None = None


class Entry(NamedTuple):
    """One exception in a ``.lint`` file."""

    rule: str
    reason: str
    dashboard: str
    panel: str
    target: int | None

    def excuses(self, finding: Finding) -> bool:
        """Whether the finding is what this entry lets pass."""
        place = (self.rule, self.dashboard, self.panel)
        return place == (finding.rule, finding.dashboard, finding.panel) and self.target in (None, finding.target)


def exceptions(file: Path) -> list[Entry]:
    """Read a ``.lint`` file. An exception names the panel that needs it: no rule is switched off as a whole."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [
        Entry(rule, excluded["reason"], entry["dashboard"], entry["panel"], entry.get("targetIdx"))
        for rule, excluded in content["exclusions"].items()
        for entry in excluded["entries"]
    ]


def lint(dashboard: Dashboard) -> list[Finding]:
    """Apply every rule."""
    title = dashboard["title"]
    found = [Finding(rule, title, text) for rule, check in DASHBOARD_RULES.items() for text in check(dashboard)]
    for panel in panels(dashboard):
        name = panel.get("title", "")
        found += [Finding(rule, title, text, name) for rule, check in PANEL_RULES.items() for text in check(panel)]
        for index, target in enumerate(panel.get("targets", [])):
            found += [Finding(rule, title, text, name, index) for rule, text in _target(target["expr"])]
    return found


# --- The variables


def _variable(dashboard: Dashboard, name: str) -> dict[str, Any]:
    return next((v for v in dashboard["templating"]["list"] if v["name"] == name), {})


def _query_variables(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    return (variable for variable in dashboard["templating"]["list"] if variable["type"] == "query")


def _data_source(dashboard: Dashboard) -> Iterator[str]:
    found = _variable(dashboard, "datasource")
    if (found.get("type"), found.get("query"), found.get("label")) != ("datasource", "prometheus", "Data source"):
        yield "no variable `datasource` of type datasource, for Prometheus, labelled `Data source`"


def _selecting(name: str) -> Callable[[Dashboard], Iterator[str]]:
    """Make the rule that a variable of this name is there and chooses one or more of all."""
    expected = {
        "type": "query",
        "datasource": DATASOURCE,
        "label": name.title(),
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
    }

    def check(dashboard: Dashboard) -> Iterator[str]:
        found = _variable(dashboard, name)
        for key, value in expected.items():
            if found.get(key) != value:
                yield f"variable {name}: {key} is {found.get(key)!r}, not {value!r}"

    return check


def _labels(dashboard: Dashboard) -> Iterator[str]:
    for variable in _query_variables(dashboard):
        query = variable["query"]["query"]
        call = re.fullmatch(r"([a-z_]+)\((.+), (\w+)\)", query)
        if not call or call[1] not in FUNCTIONS or _parsed(call[2]) is None:
            yield f"variable {variable['name']}: {query}"


def _reload(dashboard: Dashboard) -> Iterator[str]:
    for variable in _query_variables(dashboard):
        if variable["refresh"] != 2:
            yield f"variable {variable['name']} is not found anew when the time range changes"


def _editable(dashboard: Dashboard) -> Iterator[str]:
    if dashboard["editable"]:
        yield "editable"


# --- A panel


def _panel_data_source(panel: Panel) -> Iterator[str]:
    for source in (panel, *panel.get("targets", [])):
        if source.get("datasource") != DATASOURCE:
            yield f"data source {source.get('datasource')}"


def _described(panel: Panel) -> Iterator[str]:
    for text in ("title", "description"):
        if not panel.get(text):
            yield f"no {text}"


def _units(panel: Panel) -> Iterator[str]:
    fields = panel["fieldConfig"]
    properties = [property_ for override in fields["overrides"] for property_ in override["properties"]]
    overridden = [property_["value"] for property_ in properties if property_["id"] == "unit"]
    for unit in (fields["defaults"].get("unit"), *overridden):
        if unit not in UNITS:
            yield f"unit {unit}"


def _targets(panel: Panel) -> Iterator[str]:
    if not panel.get("targets"):
        yield "no query"


# --- A query


def _parsed(expression: str) -> promql.Expr | None:
    try:
        return promql.parse(expression.replace("$__rate_interval", f"{RATE_INTERVAL}s").replace("$__interval", "1m"))
    except ValueError:
        return None


Found = tuple[promql.VectorSelector, tuple[promql.Expr, ...]]


def selectors(node: promql.Expr, above: tuple[promql.Expr, ...] = ()) -> Iterator[Found]:
    """Yield each selector of an expression, and the expressions that it stands in, outermost first."""
    if isinstance(node, promql.VectorSelector):
        yield node, above
    below = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for child in (*below, *getattr(node, "args", ())):
        if child is not None:
            yield from selectors(child, (*above, node))


def parsed_selectors(expression: str) -> list[Found]:
    """Return the selectors of a query that parses."""
    parsed = _parsed(expression)
    if parsed is None:
        raise ValueError(expression)
    return list(selectors(parsed))


def _target(expression: str) -> Iterator[tuple[str, str]]:
    """Apply the rules for queries: rule, text."""
    parsed = _parsed(expression)
    if parsed is None:
        yield "target-promql-rule", expression
        return
    for selector, above in selectors(parsed):
        name = selector.name or expression
        matchers = {(matcher.name, str(matcher.op), matcher.value) for matcher in selector.matchers.matchers}
        for label in ("job", "instance"):
            if (label, str(promql.MatchOp.Re), f"${label}") not in matchers:
                yield f"target-{label}-rule", f'{name} without {label}=~"${label}"'
        if name.endswith(COUNTERS) and not _rated(above):
            yield "target-counter-agg-rule", f"{name} without rate, irate or increase"
        if _rated(above) and not _by_rate_interval(above):
            yield "target-rate-interval-rule", f"{name} without $__rate_interval"


def _rated(above: tuple[promql.Expr, ...]) -> bool:
    """Whether a rate is taken of a selector at once."""
    if len(above) < 2 or not isinstance(above[-1], promql.MatrixSelector):
        return False
    call = above[-2]
    return isinstance(call, promql.Call) and call.func.name in RATES


def _by_rate_interval(above: tuple[promql.Expr, ...]) -> bool:
    matrix = above[-1]
    return isinstance(matrix, promql.MatrixSelector) and matrix.range.total_seconds() == RATE_INTERVAL


DASHBOARD_RULES: dict[str, Callable[[Dashboard], Iterator[str]]] = {
    "template-datasource-rule": _data_source,
    "template-job-rule": _selecting("job"),
    "template-instance-rule": _selecting("instance"),
    "template-label-promql-rule": _labels,
    "template-on-time-change-reload-rule": _reload,
    "uneditable-dashboard-rule": _editable,
}
PANEL_RULES: dict[str, Callable[[Panel], Iterator[str]]] = {
    "panel-datasource-rule": _panel_data_source,
    "panel-title-description-rule": _described,
    "panel-units-rule": _units,
    "panel-no-targets-rule": _targets,
}
TARGET_RULES = (
    "target-promql-rule",
    "target-rate-interval-rule",
    "target-job-rule",
    "target-instance-rule",
    "target-counter-agg-rule",
)
