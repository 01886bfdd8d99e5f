"""The runbook has a section for every alert, and every query and command in it works."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from alerts import exporter as exporter_alerts
from alerts import quality
from alerts.alert import Alert
from exporter.names import REJECT_REASONS
from tests.alerts.runbook import (
    JOB,
    LIMIT_SECONDS,
    RUNBOOK,
    STAGE,
    TIER,
    WORKFLOW,
    Block,
    Stack,
    blocks,
    escaped,
    running,
    sections,
)
from tests.support.exporter_process import sqlite_url
from tests.support.http import Client
from tests.support.waiting import eventually

ALERTS = {alert.name: alert for alert in (*quality.ALERTS, *exporter_alerts.ALERTS)}
SETUP = "Prepare a shell"
OTHERS = [SETUP, "Read an alert", "What the rules rest on", "False alarms"]
PARTS = ["Meaning.", "Look.", "Causes.", "Do.", "Silence."]

# A stage whose tier should be another is silenced whichever that is; there is one job.
SILENCED_WITH = {alert.name: {"tier"} for alert in (quality.UPGRADE_NOT_TAKEN, quality.DOWNGRADE_POSSIBLE)}

# What a command may delete.
DOOMED = {"WORKFLOW": "doomed", "STAGE": "doomed too"}


def faults(text: str, alert: Alert) -> set[str]:
    """Return what is wrong with the form of an alert's section."""
    first, *rest = text.strip().split("\n\n")
    severity = re.escape(f"Severity `{alert.severity}`, after {alert.wait}.")
    told = re.fullmatch(rf"\*\*[^*]+ It can(not)? wait\b[^*]*\*\* {severity}", " ".join(first.split()))
    look = text.partition("**Look.**")[2].partition("**Causes.**")[0]
    do = text.partition("**Do.**")[2].partition("**Silence.**")[0]
    wrong = {
        "first line": not told,
        "urgency": bool(told and told[1]) != (alert.severity == "critical"),
        "parts": re.findall(r"^\*\*(.+?)\*\*", "\n\n".join(rest), re.MULTILINE) != PARTS,
        "queries and commands": not {"promql", "sh"} <= set(re.findall(r"```(\w+)", look)),
        "steps": not (look.strip().startswith("1. ") and do.strip().startswith("1. ")),
        "silence": re.findall(r"alertname=(\w+)", text) != [alert.name],
    }
    return {fault for fault, found in wrong.items() if found}


class TestForm:
    """Who is woken finds the section of the alert, and in it what is looked for, at its place."""

    def test_headings(self) -> None:
        """Every alert has a section and every section an alert, in the order of the rules; a few say what all need."""
        assert [*sections(RUNBOOK)] == [*OTHERS[:2], *ALERTS, *OTHERS[2:]]

    @pytest.mark.parametrize("name", ALERTS)
    def test_section(self, name: str) -> None:
        """A section says first whether it can wait, then what it means, where to look, why, what to do."""
        assert faults(sections(RUNBOOK)[name], ALERTS[name]) == set()

    @pytest.mark.parametrize(
        ("right", "wrong", "fault"),
        [
            ("It can wait until morning", "Good luck", "first line"),
            ("after 1m.", "after 2m.", "first line"),
            ("It can wait", "It cannot wait", "urgency"),
            ("**Causes.**", "", "parts"),
            ("   ```sh", "   ```", "queries and commands"),
            ("**Do.**\n\n1. ", "**Do.**\n\n- ", "steps"),
            ("alertname=LLMFeedbackQualityDeclining", "alertname=LLMFeedbackQualityLow", "silence"),
        ],
    )
    def test_fault(self, right: str, wrong: str, fault: str) -> None:
        """A section with a fault is seen as such."""
        text = sections(RUNBOOK)[quality.DECLINING.name]

        assert faults(text, quality.DECLINING) == set()
        assert right in text
        assert fault in faults(text.replace(right, wrong), quality.DECLINING)

    def test_names(self) -> None:
        """The text names no alert that there is not, and links to no heading that there is not."""
        anchors = {heading.lower().replace(" ", "-") for heading in sections(RUNBOOK)}

        assert set(re.findall(r"\bLLMFeedback\w+", RUNBOOK)) == set(ALERTS)
        assert set(re.findall(r"\]\(#(.+?)\)", RUNBOOK)) <= anchors

    def test_reasons(self) -> None:
        """Each reason for which a rating is rejected has its row."""
        rows = re.findall(r"^\| `(\w+)` \|", sections(RUNBOOK)["LLMFeedbackRejected"], re.MULTILINE)

        assert tuple(rows[1:]) == REJECT_REASONS


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all queries and commands."""
    with running(tmp_path_factory.mktemp("runbook")) as stack:
        yield stack


def _title(block: Block) -> str:
    return f"{block.section}: {block.text.splitlines()[0]}"


class TestQueries:
    """What is to be typed into Prometheus shows something, whatever the names."""

    @pytest.mark.parametrize("block", blocks("promql"), ids=_title)
    def test_query(self, stack: Stack, block: Block) -> None:
        """A query is answered with data and without a warning."""
        query = block.text.replace("WORKFLOW", escaped(WORKFLOW)).replace("STAGE", escaped(STAGE))

        answer = eventually(partial(_data, stack.prometheus, query), block.text, LIMIT_SECONDS)
        assert answer.keys() == {"status", "data"}

    def test_no_data(self, stack: Stack) -> None:
        """A query of a metric that nobody serves is seen as such."""
        assert _data(stack.prometheus, "llm_feedback_no_such_metric") is None


def _data(port: int, query: str) -> Any:  # noqa: ANN401 - whatever Prometheus sent
    """Answer of Prometheus if it holds data, else ``None``."""
    with Client(port) as client:
        answer = client.get("/api/v1/query", {"query": query}).json
    assert answer["status"] == "success", answer
    return answer if answer["data"]["result"] else None


COMMANDS = [block for block in blocks("sh") if block.section != SETUP]
# Whether a silence is the right one, another test says.
ONCE = {block.text: block for block in COMMANDS if "silence add" not in block.text}
SETTINGS = next(block.text for block in blocks("sh") if block.section == SETUP)


def _run(command: str, environment: dict[str, str]) -> str:
    """Run a command in a prepared shell, and return what it printed."""
    function = next(line for line in SETTINGS.splitlines() if line.startswith("label() "))
    said = subprocess.run(
        ["/bin/sh", "-euc", f"{function}\n{command}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (said.returncode, said.stderr) == (0, ""), said
    return said.stdout


class TestCommands:
    """What is to be typed into a shell works as it stands, whatever the names."""

    def test_settings(self, stack: Stack) -> None:
        """The first block sets every variable that the commands use, and nothing that they do not."""
        used = set(re.findall(r"\$\{?([A-Z_]+)", "\n".join(block.text for block in COMMANDS)))

        assert set(re.findall(r"([A-Z_]+)=", SETTINGS)) == used
        assert stack.environment().keys() >= used
        _run(SETTINGS, {"PATH": os.environ["PATH"]})

    @pytest.mark.parametrize("block", ONCE.values(), ids=_title)
    def test_command(self, stack: Stack, block: Block) -> None:
        """A command ends well and shows something; one that deletes does so."""
        deletes = re.search(r"\bclear\b|\bDELETE\b", block.text)
        environment = stack.environment(**(DOOMED if deletes else {}))
        if deletes:
            _run('feedback-exporter record "$WORKFLOW" "$STAGE" cheap --stars 3', environment)
        if "sqlite3" in block.text:
            environment["FEEDBACK_EXPORTER_STORE"] = sqlite_url(stack.directory)
            _run("feedback-exporter record a b cheap --stars 3", environment)

        shown = _run(block.text, environment)

        assert shown.strip()
        assert not deletes or re.search(r"\b1\b", shown)

    def test_error(self, stack: Stack) -> None:
        """A command that is answered with an error is seen as such."""
        with pytest.raises(AssertionError, match="404"):
            _run('curl -sS "$EXPORTER/api/v1/no-such-path"', stack.environment())

    @pytest.mark.parametrize("name", ALERTS)
    def test_silence(self, stack: Stack, name: str) -> None:
        """The command silences the alert that fires, and not the same of another stage, tier, job or reason."""
        (command,) = [block.text for block in COMMANDS if block.section == name and "silence add" in block.text]
        fires = _labels(ALERTS[name])
        alerts = [fires, *(fires | {label: "another"} for label in fires.keys() - SILENCED_WITH.get(name, set()))]
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        with Client(stack.alertmanager) as client:
            assert client.ask("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"}).status == 200
            _run(command, stack.environment())
            known = client.get("/api/v2/alerts").json

        silenced = [alert["labels"] for alert in known if alert["status"]["silencedBy"]]
        assert [labels for labels in alerts if labels in silenced] == [fires]


def _labels(alert: Alert) -> dict[str, str]:
    """Return labels with which an alert fires: those that its description names tell what it is about."""
    values = {"workflow": WORKFLOW, "stage": STAGE, "tier": TIER, "reason": "unknown_tier", "job": JOB}
    named = re.findall(r"\$labels\.(\w+)", alert.description)
    return {"alertname": alert.name, **{label: values[label] for label in named}}
