"""The dashboards keep the rules of dashboard-linter, and each rule can fail."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from tests.grafana.lint import (
    DASHBOARD_RULES,
    PANEL_RULES,
    TARGET_RULES,
    Entry,
    Finding,
    exceptions,
    lint,
)
from tests.grafana.panels import DASHBOARDS, Dashboard, load, panels

EXCEPTIONS = exceptions(Path(__file__).parents[2] / "grafana" / ".lint")
# What a panel may read without choosing instances.
NO_INSTANCE = re.compile(r".*:.*|ALERTS|ALERTS_FOR_STATE")


class TestLint:
    """The rules of dashboard-linter."""

    @pytest.mark.parametrize("name", DASHBOARDS)
    def test_every_rule_is_kept(self, name: str) -> None:
        """What a rule finds has its exception in .lint."""
        assert [f for f in lint(load(name)) if not any(entry.excuses(f) for entry in EXCEPTIONS)] == []

    @pytest.mark.parametrize("entry", EXCEPTIONS, ids=lambda entry: f"{entry.dashboard}, {entry.panel}")
    def test_every_exception_is_needed(self, entry: Entry) -> None:
        """An exception has a reason, lets something pass, and only what has no instance: recorded series and alerts."""
        passed = [f for name in DASHBOARDS for f in lint(load(name)) if entry.excuses(f)]

        assert entry.reason
        assert passed
        assert [finding for finding in passed if not NO_INSTANCE.fullmatch(finding.text.split(" ")[0])] == []

    def test_an_exception_is_for_one_place(self) -> None:
        """An exception lets nothing pass by another rule, on another dashboard, in another panel or query."""
        entry = Entry("target-instance-rule", "", "D", "P", 1)
        finding = Finding("target-instance-rule", "D", "", "P", 1)

        assert entry.excuses(finding)
        assert entry._replace(target=None).excuses(finding)
        others = ({"rule": "target-job-rule"}, {"dashboard": "E"}, {"panel": "Q"}, {"panel": None}, {"target": 2})
        assert not any(entry.excuses(finding._replace(**other)) for other in others)


def _variable(which: str, **changes: object) -> Callable[[Dashboard], None]:
    def change(dashboard: Dashboard) -> None:
        next(v for v in dashboard["templating"]["list"] if v["name"] == which).update(changes)

    return change


def _panel(**changes: object) -> Callable[[Dashboard], None]:
    return lambda dashboard: next(panels(dashboard)).update(changes)


def _query(old: str, new: str) -> Callable[[Dashboard], None]:
    def change(dashboard: Dashboard) -> None:
        targets = [target for panel in panels(dashboard) for target in panel["targets"]]
        target = next(target for target in targets if old in target["expr"])
        target["expr"] = target["expr"].replace(old, new)

    return change


def _unit(dashboard: Dashboard) -> None:
    del next(panels(dashboard))["fieldConfig"]["defaults"]["unit"]


def _unit_of_a_column(dashboard: Dashboard) -> None:
    override = {"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "unit", "value": "furlong"}]}
    next(panels(dashboard))["fieldConfig"]["overrides"] = [override]


def _data_source_of_a_query(dashboard: Dashboard) -> None:
    next(panels(dashboard))["targets"][0]["datasource"] = {"type": "prometheus", "uid": "prometheus"}


def _label_query(query: str) -> Callable[[Dashboard], None]:
    return _variable("instance", query={"query": query})


BROKEN = [
    ("template-datasource-rule", _variable("datasource", label="datasource")),
    ("template-datasource-rule", _variable("datasource", name="source")),
    ("template-job-rule", _variable("job", multi=False)),
    ("template-job-rule", _variable("job", allValue=None)),
    ("template-instance-rule", _variable("instance", label="instance")),
    ("template-instance-rule", _variable("instance", datasource={"type": "prometheus", "uid": "prometheus"})),
    ("template-label-promql-rule", _label_query("label_values(up{, instance)")),
    ("template-label-promql-rule", _label_query("labels(up, instance)")),
    ("template-on-time-change-reload-rule", _variable("job", refresh=1)),
    ("uneditable-dashboard-rule", lambda dashboard: dashboard.update(editable=True)),
    ("panel-datasource-rule", _panel(datasource={"type": "prometheus", "uid": "prometheus"})),
    ("panel-datasource-rule", _data_source_of_a_query),
    ("panel-title-description-rule", _panel(title="")),
    ("panel-title-description-rule", _panel(description=None)),
    ("panel-units-rule", _unit),
    ("panel-units-rule", _unit_of_a_column),
    ("panel-no-targets-rule", _panel(targets=[])),
    ("target-promql-rule", _query("sum(", "sum((")),
    ("target-rate-interval-rule", _query("$__rate_interval", "5m")),
    ("target-job-rule", _query('job=~"$job"', 'job="llm-feedback-exporter"')),
    ("target-instance-rule", _query(', instance=~"$instance"', "")),
    ("target-counter-agg-rule", _query("[$__rate_interval]", "[$__rate_interval:]")),
    ("target-counter-agg-rule", _query("rate(", "delta(")),
]


class TestLinter:
    """Each rule can fail."""

    @pytest.mark.parametrize(("rule", "damage"), BROKEN)
    def test_a_rule_finds_what_breaks_it(self, rule: str, damage: Callable[[Dashboard], None]) -> None:
        """A dashboard without a finding, damaged in one place, has findings of that rule alone."""
        dashboard = load("exporter")
        before = deepcopy(dashboard)

        damage(dashboard)

        assert lint(before) == []
        assert {finding.rule for finding in lint(dashboard)} == {rule}

    def test_no_rule_is_left_out(self) -> None:
        """Each rule is broken once here."""
        assert {rule for rule, _ in BROKEN} == {*DASHBOARD_RULES, *PANEL_RULES, *TARGET_RULES}
