"""The dashboards: made by Python, of one form, linked to each other, every name in them known."""

import re
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from click.testing import CliRunner

from alerts.links import Links
from exporter.names import METRICS, PER_SERIES, PER_STAGE
from grafana.__main__ import main
from tests.grafana.lint import parsed_selectors
from tests.grafana.panels import DASHBOARDS, FOLDER, Dashboard, Panel, load, panels

ROOT = Path(__file__).parents[2]
OTHERS = {"up", "ALERTS", "ALERTS_FOR_STATE"}

all_dashboards = pytest.mark.parametrize("name", DASHBOARDS)


def expressions(dashboard: Dashboard) -> list[str]:
    """Every PromQL expression of a dashboard: of panels, annotations and variables."""
    queries = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    marks = [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    asked = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    chosen = [variable["query"]["query"] for variable in asked]
    return queries + marks + [re.sub(r"label_values\((.+), \w+\)", r"\1", query) for query in chosen]


def test_the_committed_files_are_what_python_makes(tmp_path: Path) -> None:
    """`python -m grafana` writes exactly the files that are committed."""
    result = CliRunner().invoke(main, ["--directory", str(tmp_path)])

    assert result.exit_code == 0, result.output
    made, committed = ({file.name: file.read_text() for file in folder.iterdir()} for folder in (tmp_path, FOLDER))
    assert made == committed


class TestNames:
    """What the queries speak of."""

    @all_dashboards
    def test_every_metric_is_known(self, name: str) -> None:
        """A query reads what the exporter or every process shows, what the rules record, or alerts."""
        rules = yaml.safe_load((ROOT / "alerts" / "recording.yml").read_text())
        recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"]}
        served = {
            f"{metric.name}{suffix}"
            for metric in METRICS
            for suffix in (("_bucket", "_count", "_sum") if metric.type == "histogram" else ("",))
        }

        read = {selector.name or "" for query in expressions(load(name)) for selector, _ in parsed_selectors(query)}

        assert {metric for metric in read if not metric.startswith("process_")} <= recorded | served | OTHERS

    @all_dashboards
    def test_every_alert_is_known(self, name: str) -> None:
        """A dashboard that speaks of an alert, in a query or in words, speaks of one that there is."""
        rules = yaml.safe_load((ROOT / "alerts" / "alerts.yml").read_text())
        alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}

        assert set(re.findall(r"LLMFeedback\w+", (FOLDER / f"{name}.json").read_text())) <= alerts

    @all_dashboards
    def test_replicas_show_once(self, name: str) -> None:
        """What every replica shows of the one store is read by `max without (instance)`."""
        shared = tuple(metric.name for metric in (*PER_SERIES, *PER_STAGE))
        for panel in panels(load(name)):
            for target in panel["targets"]:
                for selector, above in parsed_selectors(target["expr"]):
                    if (selector.name or "").startswith(shared):
                        assert any(_is_max_without_instance(node) for node in above), target["expr"]

    def test_a_name_is_never_a_regular_expression(self) -> None:
        """Workflow, stage and tier are compared with `=`, written as they are between backquotes."""
        for query in expressions(load("stage")):
            for selector, _ in parsed_selectors(query):
                for matcher in selector.matchers.matchers:
                    if matcher.name in ("workflow", "stage", "tier"):
                        assert str(matcher.op) == str(promql.MatchOp.Equal)
                        assert f"{matcher.name}=`${{{matcher.name}:raw}}`" in query
                        assert matcher.value == f"${{{matcher.name}:raw}}"


def _is_max_without_instance(node: promql.Expr) -> bool:
    if not isinstance(node, promql.AggregateExpr) or str(node.op) != "max" or node.modifier is None:
        return False
    return node.modifier.type == promql.AggModifierType.Without and "instance" in node.modifier.labels


class TestLinks:
    """The ways from one dashboard to another."""

    @all_dashboards
    def test_every_dashboard_leads_to_the_others(self, name: str) -> None:
        """The links at the top keep time and variables."""
        dashboard = load(name)
        others = {load(other)["uid"] for other in DASHBOARDS if other != name}

        assert {link["url"].removeprefix("/d/") for link in dashboard["links"]} == others
        assert all(link["keepTime"] and link["includeVars"] for link in dashboard["links"])

    @pytest.mark.parametrize("title", ["Quality declines", "Other alerts", "Worst stages", "Move up", "Move down"])
    def test_a_row_leads_to_its_stage(self, title: str) -> None:
        """Workflow and stage are links to the dashboard of the stage, each name percent-encoded, at the same time."""
        panel = next(panel for panel in panels(load("overview")) if panel["title"] == title)
        given = {f"var-{name}=${{__data.fields.{name}:percentencode}}" for name in ("job", "workflow", "stage")}

        for field in ("workflow", "stage"):
            (link,) = _property(panel, field, "links")
            path, query = link["url"].split("?")
            assert path == f"/d/{load('stage')['uid']}"
            assert set(query.split("&")) == given | {"${datasource:queryparam}", "${__url_time_range}"}

    def test_alerts_lead_to_a_dashboard_that_takes_their_variables(self) -> None:
        """Each dashboard that an alert names is there, and has the variables that the address sets."""
        by_uid = {load(name)["uid"]: load(name) for name in DASHBOARDS}
        rules = yaml.safe_load((ROOT / "alerts" / "alerts.yml").read_text())
        urls = {rule["annotations"]["dashboard_url"] for group in rules["groups"] for rule in group["rules"]}

        for url in urls:
            uid, query = url.removeprefix(f"{Links().grafana}/d/").split("?")
            names = {variable["name"] for variable in by_uid[uid]["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", query)) <= names


def _property(panel: Panel, field: str, name: str) -> Any:  # noqa: ANN401 - JSON, of any shape
    (override,) = (o for o in panel["fieldConfig"]["overrides"] if o["matcher"]["options"] == field)
    (value,) = (p["value"] for p in override["properties"] if p["id"] == name)
    return value


class TestForm:
    """What Grafana asks of a dashboard in a file."""

    @all_dashboards
    def test_it_is_known_by_its_uid(self, name: str) -> None:
        """The number is Grafana's to give; the uid stands fast, and panels are numbered apart."""
        dashboard = load(name)
        numbers = [panel["id"] for panel in dashboard["panels"]]

        assert dashboard["id"] is None
        assert dashboard["uid"] == f"llm-feedback-{name}"
        assert numbers == list(range(1, len(numbers) + 1))

    @all_dashboards
    def test_panels_fill_the_grid(self, name: str) -> None:
        """No two panels overlap, and each line of them is 24 wide."""
        cells: set[tuple[int, int]] = set()
        for panel in load(name)["panels"]:
            place = panel["gridPos"]
            covered = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not covered & cells, panel["title"]
            cells |= covered

        assert {x for x, _ in cells} == set(range(24))
        assert len(cells) == 24 * (1 + max(y for _, y in cells))

    @all_dashboards
    def test_each_query_of_a_panel_has_a_letter(self, name: str) -> None:
        """Queries are told apart by their letters, which name the columns of tables."""
        for panel in panels(load(name)):
            letters = [target["refId"] for target in panel["targets"]]
            assert letters == sorted(set(letters)), panel["title"]
