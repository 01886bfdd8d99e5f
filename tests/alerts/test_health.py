"""A real Prometheus evaluates the rules over real exporters: whatever comes, no rule fails, each value is a number."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from exporter.rules import Rules
from tests.alerts.rule_files import ALERTS, RECORDINGS
from tests.support.exporter_process import ExporterProcess
from tests.support.http import Client, ask
from tests.support.prometheus_process import PrometheusProcess, shipped_rules
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

LIMIT_SECONDS = 40
SEED = 5
# What PromQL, templates, URLs, JSON and the text of /metrics each take for their own.
PIECES = [
    "a",
    "B",
    "0",
    ".*",
    "|",
    "(",
    ")",
    "[",
    "\\",
    "\\n",
    '"',
    "'",
    "`",
    "{",
    "}",
    "{{ $labels.job }}",
    "{{",
    "=~",
]
PIECES += ["#", "%", "&", "+", "/", ",", " ", "$", "~", "é", "日本", "\N{GRINNING FACE}", "\N{RIGHT-TO-LEFT OVERRIDE}"]
# Replicas that a site has labelled apart, in words that are ours too.
TARGETS = [
    {"cluster": "eu", "stage": "production", "tier": "backend", "workflow": "x"},
    {"cluster": "eu", "stage": "canary", "tier": "frontend", "workflow": "y"},
]
# No test has a day of history.
WITHOUT_DATA = {"stage:llm_feedback_score_count:usual6h"}


def hurried_rules() -> dict[str, str]:
    """Return the shipped rules, with seconds in place of the long steps of days and weeks."""
    texts = shipped_rules()
    recording = texts["recording.yml"]
    for shipped, hurried in (("[1d:5m]", "[10m:1s]"), ("[7d:1h]", "[20m:1s]")):
        assert shipped in recording
        recording = recording.replace(shipped, hurried)
    return {**texts, "recording.yml": recording}


@contextmanager
def watched(directory: Path, *exporters: ExporterProcess) -> Iterator[PrometheusProcess]:
    """Watch the exporters, each a target with labels of its own."""
    prometheus = PrometheusProcess(directory / "prometheus", interval="500ms", rules=hurried_rules())
    targets = [
        {"targets": [f"127.0.0.1:{exporter.port}"], "labels": labels}
        for exporter, labels in zip(exporters, TARGETS, strict=True)
    ]
    (directory / "prometheus" / "config" / "targets" / "exporters.yml").write_text(json.dumps(targets))
    with prometheus:
        eventually(lambda: prometheus.query("count(up == 1) == 2"), "two targets being scraped", LIMIT_SECONDS)
        yield prometheus


def api(prometheus: PrometheusProcess, path: str, **parameters: str) -> Any:  # noqa: ANN401 - whatever Prometheus sent
    """Ask Prometheus."""
    answer = ask(prometheus.port, "GET", f"/api/v1/{path}?{urlencode(parameters)}")
    assert answer.status == 200, answer.text
    return answer.json["data"]


def settle(prometheus: PrometheusProcess) -> None:
    """Wait until every group of rules has been evaluated three times more: what happened before has been scraped."""

    def evaluations() -> float:
        return min(_counters(prometheus, "prometheus_rule_group_iterations_total"))

    begun = evaluations()
    eventually(lambda: evaluations() >= begun + 3, "evaluations", LIMIT_SECONDS)


def _counters(prometheus: PrometheusProcess, name: str) -> list[float]:
    lines = ask(prometheus.port, "GET", "/metrics").text.splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{")]


def post(exporter: ExporterProcess, chance: Random, stages: list[tuple[str, str]]) -> None:
    """Rate some of the stages, on some tiers, more or less well; some ratings are of no use."""
    entries = [
        {
            "workflow_name": workflow,
            "stage_name": stage,
            "tier": tier,
            "quality_score": round(chance.random() ** power, 6),
        }
        for workflow, stage in chance.sample(stages, len(stages) // 2)
        for tier in chance.sample(Rules().tiers, 2)
        for power in [chance.choice([0.2, 1, 5])]
        for _ in range(chance.choice([1, 5, 40]))
    ]
    with exporter.client() as client:
        answer = client.post([*entries, {"tier": "free"}])
    assert (answer.status, answer.json["accepted"]) == (202, len(entries)), answer.text


def name(chance: Random) -> str:
    """Return a name as nobody should choose it."""
    return "".join(chance.choices(PIECES, k=chance.randint(1, 9))).strip() or "-"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    """A Prometheus that has seen ratings, a clear, an outage with a restart, and the end of a replica."""
    directory, chance = tmp_path_factory.mktemp("health"), Random(SEED)
    stages = [(name(chance), name(chance)) for _ in range(20)]
    redis = RedisServer(directory / "redis", "--appendonly", "yes", "--appendfsync", "always")
    one, two = (ExporterProcess(directory / label, redis.url) for label in ("one", "two"))
    with redis, one, two, watched(directory, one, two) as prometheus:
        for exporter in (one, two, one):
            post(exporter, chance, stages)
            settle(prometheus)
        with Client(two.port) as client:
            cleared = client.ask("DELETE", f"/api/v1/feedback?{urlencode({'workflow_name': stages[0][0]})}")
        assert cleared.status == 200, cleared.text
        redis.kill()
        settle(prometheus)
        one.kill()
        one.launch()
        one.wait_status("/-/healthy", 200)
        settle(prometheus)
        redis.start()
        one.wait_ready()
        two.stop()
        post(one, chance, stages)
        settle(prometheus)
        yield prometheus


def test_every_rule_is_healthy(evaluated: PrometheusProcess) -> None:
    """Prometheus has all rules, and none has failed at any evaluation."""
    groups = api(evaluated, "rules")["groups"]
    health = {rule["name"]: (rule["health"], rule.get("lastError", "")) for group in groups for rule in group["rules"]}

    assert health == dict.fromkeys([*RECORDINGS, *ALERTS], ("ok", ""))
    assert _counters(evaluated, "prometheus_rule_evaluation_failures_total") == [0] * len(groups)
    assert "level=" not in evaluated.output


def test_every_recorded_value_is_a_number(evaluated: PrometheusProcess) -> None:
    """Each recording rule had results, all of them finite, at every evaluation."""
    values: dict[str, list[float]] = {}
    for series in api(evaluated, "query", query='{__name__=~".+:llm_feedback_.+"}[10m]', time=f"{time.time()}")[
        "result"
    ]:
        values.setdefault(series["metric"]["__name__"], []).extend(float(value) for _, value in series["values"])

    assert RECORDINGS.keys() - values.keys() == WITHOUT_DATA
    assert [name for name, found in values.items() if not all(map(math.isfinite, found))] == []


def test_names_come_through_as_they_are(evaluated: PrometheusProcess) -> None:
    """Alerts exist for stages with such names, and a name that looks like a template is none."""
    alerts = api(evaluated, "alerts")["alerts"]
    odd = [alert for alert in alerts if "{{ $labels.job }}" in alert["labels"].get("stage", "")]

    assert odd
    for alert in odd:
        assert f"{alert['labels']['workflow']}/{alert['labels']['stage']}" in alert["annotations"]["description"]
