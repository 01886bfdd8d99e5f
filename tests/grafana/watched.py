"""A Prometheus that has watched an exporter for weeks, and goes on watching two replicas of it."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exporter.domain import MILLION
from exporter.store import open_store
from tests.grafana import history
from tests.grafana.rated import POSTED, entry, ratings
from tests.grafana.substitution import Period
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client
from tests.support.prometheus_process import PrometheusProcess, shipped_rules
from tests.support.waiting import eventually

JOB = "llm-feedback-exporter"
INSTANCES = ("exporter-1:10470", "exporter-2:10470")
LIMIT_SECONDS = 30
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

    def get(self, path: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON holds
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
        eventually(lambda: self.get("/api/v1/query", {"query": expression})["result"], expression, LIMIT_SECONDS)


class Prometheus(PrometheusProcess):
    """Keeps what is older than the 15 days of the default, and calls its targets by the names of ``INSTANCES``."""

    def __init__(self, directory: Path, *exporters: int, rules: dict[str, str]) -> None:
        """Start nothing yet."""
        super().__init__(directory, *exporters, rules=rules)
        # With the second, an alert that waits only a second has been active since before the start all the same.
        self._command += ["--storage.tsdb.retention.time=60d", "--rules.alert.for-grace-period=0s"]

    def scrape(self, *exporters: int) -> None:
        """Scrape the exporters at these ports."""
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": instance}}
            for port, instance in zip(exporters, INSTANCES, strict=False)
        ]
        (self._targets / "exporters.yml").write_text(json.dumps(targets))


@contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    """Make the past, post the last week to a served exporter, let two replicas be scraped until all alerts fire."""
    end = int(time.time()) // 60 * 60
    _live_through(directory, end)
    _remember(directory, end)
    with ExitStack() as stack:
        exporters = [
            stack.enter_context(ExporterProcess(directory / name, sqlite_url(directory)))
            for name in ("exporter-1", "exporter-2")
        ]
        ports = [exporter.port for exporter in exporters]
        prometheus = stack.enter_context(Prometheus(directory, *ports, rules=_impatient_rules()))
        _go_on(Watched(prometheus.port, end), exporters[0])
        yield Watched(prometheus.port, int(time.time()))


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


def _remember(directory: Path, end: int) -> None:
    """Fill the database of Prometheus."""

    @contextmanager
    def served() -> Iterator[int]:
        with Prometheus(directory, rules={}) as prometheus:
            yield prometheus.port

    raw, data = directory / "raw.om", directory / "data"
    history.write_raw(raw, end, JOB, INSTANCES)
    history.add_raw(raw, data)
    raw.unlink()
    history.add_recorded(data, end, directory, served)
    history.add_active(data, end, directory, served)


def _impatient_rules() -> dict[str, str]:
    """Return the rules as shipped, but for alerts, which wait a second."""
    rules = shipped_rules()
    return {**rules, "alerts.yml": re.sub(r"^(\s+for: ).*$", r"\g<1>1s", rules["alerts.yml"], flags=re.MULTILINE)}


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
