"""A Prometheus that has watched an exporter for three weeks, and goes on watching two replicas of it."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from exporter.domain import MILLION
from exporter.store import open_store
from tests.grafana import history
from tests.grafana.rated import POSTED, entry, ratings
from tests.grafana.substitution import Period
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client, status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
JOB = "llm-feedback-exporter"
INSTANCES = ("exporter-1:10470", "exporter-2:10470")
START_SECONDS = 30
# Alerts that fire in the end: one of each kind that a dashboard shows apart from others.
FIRING = (
    "LLMFeedbackQualityDeclining",
    "LLMFeedbackQualityLow",
    "LLMFeedbackUpgradeNotTaken",
    "LLMFeedbackDowngradePossible",
    "LLMFeedbackRejected",
)
ROUNDS = 2
FRESH = [{"workflow_name": "code-review", "stage_name": "analysis", "tier": "cheap", "quality_score": 0.5}] * 4
RUBBISH = [{**FRESH[0], "tier": "free"}] * 10


class Watched(NamedTuple):
    """What was watched until ``now``, in seconds, by the Prometheus at ``port``."""

    port: int
    now: int

    def get(self, path: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Ask the API of Prometheus, and return the data; an error or a warning is a failure."""
        with Client(self.port) as client:
            answer = client.get(path, parameters)
        assert answer.status == 200, f"{parameters}: {answer.text}"
        document = answer.json
        assert document.keys() == {"status", "data"}, f"{parameters}: {document}"
        return document["data"]

    def label_values(self, label: str, selector: str | None, time: Period) -> list[str]:
        """Values of a label, in a time, of the series that are selected."""
        parameters = {"start": time.begin, "end": time.end, **({"match[]": selector} if selector else {})}
        values: list[str] = self.get(f"/api/v1/label/{label}/values", parameters)
        return values

    def await_result(self, expression: str) -> None:
        """Return as soon as an expression has a result."""
        eventually(lambda: self.get("/api/v1/query", {"query": expression})["result"], expression, START_SECONDS)


@contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    """Make the past, post the last week to a served exporter, let two replicas be scraped until all alerts fire."""
    end = int(time.time()) // 60 * 60
    data = directory / "data"
    _live_through(directory, end)
    _remember(directory, data, end)
    with ExitStack() as stack:
        exporters = [
            stack.enter_context(ExporterProcess(directory / name, sqlite_url(directory)))
            for name in ("exporter-1", "exporter-2")
        ]
        configuration = _configuration(directory, exporters)
        port = stack.enter_context(_prometheus(directory, data, configuration))
        now = Watched(port, int(time.time()))
        _go_on(now, exporters[0])
        yield now._replace(now=int(time.time()))


def _live_through(directory: Path, end: int) -> None:
    """Fill the store of the replicas by HTTP; but directly with what is over a week old, which HTTP no longer takes."""
    rated = ratings(end)
    place = next(index for index, rating in enumerate(rated) if rating.timestamp > (end - POSTED) * MILLION)
    with closing(open_store(sqlite_url(directory))) as store:
        for begin in range(0, place, 1000):
            batch = rated[begin : min(begin + 1000, place)]
            store.append(batch, batch[-1].timestamp)
    # By an exporter that is gone when Prometheus comes, so that no counter makes a leap.
    with ExporterProcess(directory / "exporter-0", sqlite_url(directory)) as exporter, exporter.client() as client:
        for begin in range(place, len(rated), 5000):
            answer = client.post([entry(rating) for rating in rated[begin : begin + 5000]])
            assert (answer.status, answer.json["rejected"]) == (202, []), answer.text


def _remember(directory: Path, data: Path, end: int) -> None:
    raw = directory / "raw.om"
    history.write_raw(raw, end, JOB, INSTANCES)
    history.add_raw(raw, data)
    raw.unlink()
    empty = directory / "empty.yml"
    empty.write_text("{}")
    history.add_recorded(data, end, directory, partial(_prometheus, directory, data, empty))


@contextmanager
def _prometheus(directory: Path, data: Path, configuration: Path) -> Iterator[int]:
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=60d",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with Process(command, directory, "prometheus.log"):
        eventually(lambda: status(port, "/-/ready") == 200, "Prometheus being ready", START_SECONDS)
        yield port


def _configuration(directory: Path, exporters: list[ExporterProcess]) -> Path:
    """Copy the configuration as shipped, with other targets, all intervals a second, and alerts that do not wait."""
    config = directory / "config"
    shutil.copytree(ROOT / "config", config)
    shutil.copytree(ROOT / "alerts", directory / "alerts", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    targets = [
        {"targets": [f"127.0.0.1:{exporter.port}"], "labels": {"instance": instance}}
        for exporter, instance in zip(exporters, INSTANCES, strict=True)
    ]
    (config / "targets" / "exporters.yml").write_text(yaml.safe_dump(targets))
    (config / "targets" / "alertmanagers.yml").write_text("[]")
    _change(config / "prometheus.yml", r"_interval: 15s$", "_interval: 1s")
    _change(directory / "alerts" / "alerts.yml", r"^(\s+for: ).*$", r"\g<1>1s")
    return config / "prometheus.yml"


def _change(path: Path, pattern: str, replacement: str) -> None:
    text, changed = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert changed > 1, f"{path}: {pattern} is there {changed} times"
    path.write_text(text, encoding="utf-8")


def _go_on(watched: Watched, exporter: ExporterProcess) -> None:
    """Send ratings and rubbish between scrapes, until every alert fires that should."""
    accepted = "llm_feedback_exporter_ratings_accepted_total"
    watched.await_result(f"count({accepted} == 0) == {len(INSTANCES)}")
    with exporter.client() as client:
        for sent in range(1, ROUNDS + 1):
            assert client.post([*FRESH, *RUBBISH]).status == 202
            client.get("/api/v1/recommendation", {"workflow_name": "code-review", "stage_name": "analysis"})
            watched.await_result(f"{accepted} == {sent * len(FRESH)}")
    # Two seconds ago, so that what is recorded from them has come too.
    firing = "|".join(FIRING)
    alerts = f'ALERTS{{alertstate="firing", alertname=~"{firing}"}} offset 2s'
    watched.await_result(f"count(count by (alertname) ({alerts})) == {len(FIRING)}")
