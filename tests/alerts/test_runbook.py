"""The runbook has a section for every alert, and every query and command in it works."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest

from alerts import exporter as exporter_alerts
from alerts import quality
from alerts.alert import Alert
from exporter.names import REJECT_REASONS
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client, ask
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.prometheus_process import PrometheusProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "alerts" / "runbook.md").read_text("utf-8")
ALERTS = {alert.name: alert for alert in (*quality.ALERTS, *exporter_alerts.ALERTS)}
SETUP = "Prepare a shell"
OTHERS = [SETUP, "Read an alert", "What the rules rest on", "False alarms"]
PARTS = ["Meaning.", "Look.", "Causes.", "Do.", "Silence."]

# Names that need every escape there is: of PromQL and amtool, of the shell, of a URL.
WORKFLOW, STAGE, TIER = 'say "hi"\\now', "it's 50 % {日本語}", "cheap"
# What a command may delete.
DOOMED = {"WORKFLOW": "doomed", "STAGE": "doomed too"}
JOB = "llm-feedback-exporter"
LIMIT_SECONDS = 30
HOUR = 3600


class Block(NamedTuple):
    """A fenced block, and the section that it stands in."""

    section: str
    text: str


def sections(text: str) -> dict[str, str]:
    """Return what stands under each heading of the second level."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(language: str) -> list[Block]:
    """Return every fenced block of a language, without its indentation."""
    fence = re.compile(rf"^( *)```{language}\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    return [
        Block(heading, dedent(match[2])) for heading, body in sections(RUNBOOK).items() for match in fence.finditer(body)
    ]


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
        """A section says first whether it can wait, then what it means, how to look, why, what to do, how to silence."""
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

        assert tuple(rows) == REJECT_REASONS


class Stack(NamedTuple):
    """A Redis, an exporter over it, the Prometheus that scrapes it and an Alertmanager; and a SQLite store."""

    directory: Path
    redis: str
    exporter: int
    prometheus: int
    alertmanager: int

    def environment(self, **more: str) -> dict[str, str]:
        """Return what the runbook's first block sets, with the ports and names of here; HTTP errors end curl."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CURL_HOME": str(self.directory),
            "EXPORTER": f"http://127.0.0.1:{self.exporter}",
            "PROMETHEUS": f"http://127.0.0.1:{self.prometheus}",
            "ALERTMANAGER": f"http://127.0.0.1:{self.alertmanager}",
            "FEEDBACK_EXPORTER_CONFIG": str(self.directory / "exporter.yml"),
            "FEEDBACK_EXPORTER_STORE": self.redis,
            **{"WORKFLOW": WORKFLOW, "STAGE": STAGE, "TIER": TIER, "JOB": JOB},
            **more,
        }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a day of history and a stage whose quality falls."""
    directory = tmp_path_factory.mktemp("runbook")
    (directory / ".curlrc").write_text("fail\n")
    shutil.copy(ROOT / "config" / "exporter.yml", directory)
    port = free_port()
    with (
        RedisServer(directory / "redis") as redis,
        ExporterProcess(directory, redis.url, "--config", "exporter.yml") as exporter,
        _alertmanager(directory / "alertmanager", port),
        PrometheusProcess(directory / "prometheus", exporter.port) as prometheus,
    ):
        _rate(exporter.port, prometheus)
        yield Stack(directory, redis.url, exporter.port, prometheus.port, port)


def _alertmanager(directory: Path, port: int) -> Process:
    command = [
        "prometheus-alertmanager",
        f"--config.file={ROOT / 'config' / 'alertmanager.yml'}",
        f"--storage.path={directory}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    return Process(command, directory, "alertmanager.log")


def _history(directory: Path) -> None:
    """Write what Prometheus knows of the last day: a good rating an hour."""
    labels = f'job="{JOB}",workflow="{_escaped(WORKFLOW)}",stage="{_escaped(STAGE)}",tier="{TIER}"'
    now = int(time.time())
    times = range(now - 26 * HOUR, now - 2 * 60, 4 * 60)
    lines = [
        f"series:llm_feedback_score_{part}:max{{{labels}}} {each * (moment - times[0]) // HOUR} {moment}"
        for part, each in (("count", 1), ("sum", 1))
        for moment in times
    ]
    text = directory / "history.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, directory / "data"]
    subprocess.run(command, check=True, capture_output=True)


def _rate(port: int, prometheus: PrometheusProcess) -> None:
    """Post good ratings, and bad ones once Prometheus has seen these; some of no use; and ask as a router does."""
    entry = {"workflow_name": WORKFLOW, "stage_name": STAGE, "tier": TIER, "source": "judge"}
    doomed = entry | {"workflow_name": DOOMED["WORKFLOW"], "stage_name": DOOMED["STAGE"], "stars": 3}
    with Client(port) as client:
        for entries in (
            [entry | {"quality_score": 1}] * 60 + [entry | {"tier": "free", "stars": 1}, doomed],
            [entry | {"quality_score": 0.3}] * 60,
        ):
            assert client.post(entries).status == 202
            client.get("/api/v1/recommendation", {"workflow_name": WORKFLOW, "stage_name": STAGE})
            samples = f"series:llm_feedback_window_samples:max{{tier='{TIER}'}}"
            eventually(lambda: prometheus.query(samples), "Prometheus seeing the ratings", LIMIT_SECONDS)


def _escaped(name: str) -> str:
    """Escape a name as the runbook says."""
    return re.sub(r'(["\\])', r"\\\1", name)


def _title(block: Block) -> str:
    return f"{block.section}: {block.text.splitlines()[0]}"


class TestQueries:
    """What is to be typed into Prometheus shows something, whatever the names."""

    @pytest.mark.parametrize("block", blocks("promql"), ids=_title)
    def test_query(self, stack: Stack, block: Block) -> None:
        """A query is answered with data and without a warning."""
        query = block.text.replace("WORKFLOW", _escaped(WORKFLOW)).replace("STAGE", _escaped(STAGE))

        answer = eventually(partial(_data, stack.prometheus, query), block.text, LIMIT_SECONDS)
        assert answer.keys() == {"status", "data"}
