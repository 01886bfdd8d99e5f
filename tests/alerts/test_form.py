"""What every rule has, whatever it says: made from the code, named and labelled as agreed, with links that lead on."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from alerts.__main__ import documents, main
from alerts.links import Links
from tests.alerts.rule_files import ALERTS, ALERTS_FILE, FOLDER, RECORDING_FILE, Document, read, rules

SEVERITIES = {"critical", "warning", "info"}
TEMPLATE = "{{"
DASHBOARDS = FOLDER.parent / "grafana" / "dashboards"

by_alert = pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS.keys())


@pytest.mark.parametrize("name", ["recording.yml", "alerts.yml"])
def test_what_is_committed_is_what_the_code_makes(name: str) -> None:
    """Nobody has changed a file by hand, or the code without writing the file anew."""
    assert (FOLDER / name).read_text(encoding="utf-8") == documents(Links())[name]


def test_a_site_has_its_own_links(tmp_path: Path) -> None:
    """The links lead where the command line says, and nothing else changes."""
    options = [
        "--runbook",
        "https://wiki.example/llm",
        "--grafana",
        "https://grafana.example",
        "--directory",
        str(tmp_path),
    ]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    here, shipped = Links("https://wiki.example/llm", "https://grafana.example"), Links()
    text = (tmp_path / "alerts.yml").read_text(encoding="utf-8")

    assert (tmp_path / "recording.yml").read_text(encoding="utf-8") == documents(shipped)["recording.yml"]
    assert len(re.findall(r"runbook_url: https://wiki\.example/llm#llmfeedback\w+\n", text)) == len(ALERTS)
    assert read(tmp_path / "alerts.yml") == _relinked(shipped, here)


def _relinked(old: Links, new: Links) -> Document:
    text = json.dumps(ALERTS_FILE).replace(old.runbook, new.runbook).replace(old.grafana, new.grafana)
    document: Document = json.loads(text)
    return document


@by_alert
def test_an_alert_has_all_that_its_reader_needs(alert: Document) -> None:
    """Name, severity, ``for``, a fixed sentence as summary, a description with names and numbers, and two links."""
    annotations = alert["annotations"]

    assert re.fullmatch(r"LLMFeedback([A-Z][a-z]+)+", alert["alert"])
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in SEVERITIES
    assert alert["for"]
    assert annotations.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert re.fullmatch(r"[A-Z][^{}.]+\.", annotations["summary"])
    assert TEMPLATE in annotations["description"]
    assert annotations["description"].endswith(".")
    assert annotations["runbook_url"] == f"{Links().runbook}#{alert['alert'].lower()}"


@by_alert
def test_an_alert_leads_to_a_dashboard_and_to_variables_that_there_are(alert: Document) -> None:
    """The link opens a dashboard that is shipped, and sets nothing that it does not have."""
    dashboards = {board["uid"]: board for board in map(_json, DASHBOARDS.glob("*.json"))}
    url = alert["annotations"]["dashboard_url"]
    match = re.fullmatch(rf"{re.escape(Links().grafana)}/d/([\w-]+)\?(.+)", url)
    assert match
    variables = {variable["name"] for variable in dashboards[match[1]]["templating"]["list"]}

    assert set(re.findall(r"var-(\w+)=\{\{ \$labels\.\1 \| urlquery \}\}", url)) <= variables
    assert url.count("=") == url.count("| urlquery }}")


def _json(path: Path) -> Document:
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


def test_a_value_is_no_label() -> None:
    """A number in a label would make a new alert whenever it changes, so labels hold no template."""
    assert not [alert["alert"] for alert in ALERTS.values() if TEMPLATE in json.dumps(alert["labels"])]


@pytest.mark.parametrize("document", [RECORDING_FILE, ALERTS_FILE], ids=["recording", "alerts"])
def test_groups_are_evaluated_as_often_as_everything(document: Document) -> None:
    """No group sets an interval or a limit of its own."""
    assert all(group.keys() == {"name", "rules"} for group in document["groups"])


def test_a_recording_rule_has_nothing_but_its_name_and_expression() -> None:
    """No label is added: it would be in the way of every match."""
    assert all(rule.keys() == {"record", "expr"} for rule in rules(RECORDING_FILE))
