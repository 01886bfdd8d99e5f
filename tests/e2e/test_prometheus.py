"""A real Prometheus scrapes a served exporter, and answers what people and routers ask it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.exporter_process import ExporterProcess
from tests.support.http import Client
from tests.support.prometheus_process import Labels, PrometheusProcess
from tests.support.waiting import eventually

HOUR = 3600
LIMIT_SECONDS = 30

Answers = dict[Labels, float]


def _labels(**labels: str) -> Labels:
    return frozenset(labels.items())


DECLINING = {"workflow": "code-review", "stage": "analysis", "tier": "cheap"}
GOOD = {"workflow": "code-review", "stage": "summary", "tier": "premium"}
GOOD_BELOW = {"workflow": "code-review", "stage": "summary", "tier": "capable"}
ODD = {"workflow": 'say "hi"\\now', "stage": "{日本語}", "tier": "cheap"}
FRESH = {"workflow": "chat", "stage": "answer", "tier": "cheap"}

# Oldest first, a minute apart, the newest this old in seconds. FRESH comes later: see _arrive_while_scraped.
RATED = (
    (DECLINING, [0.9] * 10 + [0.45] * 10, HOUR / 2),
    (GOOD, [0.95] * 20, HOUR / 2),
    (GOOD_BELOW, [0.88] * 12, HOUR / 2),
    (ODD, [0.8] * 5, 3 * HOUR),
)

_ANALYSIS = {"workflow": "code-review", "stage": "analysis"}
_SUMMARY = {"workflow": "code-review", "stage": "summary"}
_ODD_STAGE = {"workflow": ODD["workflow"], "stage": ODD["stage"]}
_CHAT = {"workflow": "chat", "stage": "answer"}

# What is typed, and what must come back: values by the labels that are left.
QUERIES: dict[str, Answers] = {
    # An SRE: is it scraped, and does it work?
    'up{job="llm-feedback-exporter"}': {_labels(): 1},
    "llm_feedback_exporter_store_up": {_labels(): 1},
    # How good is everything?
    "llm_feedback_quality_avg": {
        _labels(**DECLINING): 0.675,
        _labels(**GOOD): 0.95,
        _labels(**GOOD_BELOW): 0.88,
        _labels(**ODD): 0.8,
        _labels(**FRESH): 0.7,
    },
    # What declines, by the mission's alert?
    "llm_feedback_quality_trend < -0.2": {_labels(**DECLINING): -0.5},
    # What is below the threshold of its own stage?
    "llm_feedback_quality_avg < on (workflow, stage) group_left llm_feedback_quality_threshold": {
        _labels(**DECLINING): 0.675
    },
    # The two worst.
    "bottomk(2, llm_feedback_quality_avg)": {_labels(**DECLINING): 0.675, _labels(**FRESH): 0.7},
    # A router: which tier should each stage use now?
    "llm_feedback_recommended_tier == 1": {
        _labels(**_ANALYSIS, tier="capable"): 1,
        _labels(**_SUMMARY, tier="capable"): 1,
        _labels(**_ODD_STAGE, tier="cheap"): 1,
        _labels(**_CHAT, tier="cheap"): 1,
    },
    # And where is that sure enough to follow?
    "llm_feedback_recommended_tier == 1 and on (workflow, stage) llm_feedback_stage_confidence > 0.7": {
        _labels(**_ANALYSIS, tier="capable"): 1,
        _labels(**_SUMMARY, tier="capable"): 1,
    },
    # Who should move: the rank recommended to a tier is not its own.
    "llm_feedback_recommended_tier_rank != on (tier) group_left llm_feedback_tier_rank": {
        _labels(**DECLINING): 1,
        _labels(**GOOD): 1,
    },
    # The share of answers at or below 0.7.
    'llm_feedback_score_bucket{le="0.7"} / ignoring (le) llm_feedback_score_count': {
        _labels(**DECLINING): 0.5,
        _labels(**GOOD): 0,
        _labels(**GOOD_BELOW): 0,
        _labels(**ODD): 0,
        _labels(**FRESH): 0.5,
    },
    # The median of one stage, from its buckets: ten of twenty lie in the one that ends at 0.5.
    'histogram_quantile(0.5, llm_feedback_score_bucket{stage="analysis"})': {_labels(**DECLINING): 0.5},
    # The average of what came in during the last minutes, whatever the window says.
    'rate(llm_feedback_score_sum{workflow="chat"}[5m]) / rate(llm_feedback_score_count{workflow="chat"}[5m])': {
        _labels(**FRESH): 0.85
    },
    # What has not been rated for two hours?
    "time() - llm_feedback_last_timestamp_seconds > bool 2 * 3600 == 1": {_labels(**ODD): 1},
    # Who sends rubbish, and why is it refused?
    "llm_feedback_exporter_ratings_rejected_total > 0": {
        _labels(reason="invalid_score"): 2,
        _labels(reason="unknown_tier"): 1,
    },
    # How full is it?
    "llm_feedback_exporter_series / llm_feedback_exporter_series_limit": {_labels(): 5 / 10_000},
    # One stage whose names need escaping.
    r'llm_feedback_window_samples{workflow="say \"hi\"\\now", stage="{日本語}"}': {_labels(**ODD): 5},
}


@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
def test_prometheus_answers_what_people_and_routers_ask(store_url: str, tmp_path: Path) -> None:
    """Over either store, ratings posted over HTTP come back from PromQL with the values that they must have."""
    with _scraped(store_url, tmp_path) as (client, prometheus):
        _post_rated(client)
        _arrive_while_scraped(client, prometheus)
        answers = _answers(prometheus)

    assert answers == {query: pytest.approx(expected, rel=1e-9) for query, expected in QUERIES.items()}


@contextmanager
def _scraped(store_url: str, directory: Path) -> Iterator[tuple[Client, PrometheusProcess]]:
    with (
        ExporterProcess(directory / "exporter", store_url) as exporter,
        PrometheusProcess(directory / "prometheus", exporter.port) as prometheus,
        exporter.client() as client,
    ):
        yield client, prometheus


def _entry(series: dict[str, str], score: float, **more: object) -> dict[str, Any]:
    return {
        "workflow_name": series["workflow"],
        "stage_name": series["stage"],
        "tier": series["tier"],
        "quality_score": score,
        **more,
    }


def _post_rated(client: Client) -> None:
    now = time.time()
    entries = [
        _entry(series, score, timestamp=now - age - 60 * (len(scores) - 1 - place))
        for series, scores, age in RATED
        for place, score in enumerate(scores)
    ]
    rubbish = [_entry(GOOD, 1.5), _entry(GOOD, -1), _entry(GOOD | {"tier": "free"}, 1)]
    answer = client.post(entries + rubbish)

    assert (answer.status, answer.json["accepted"], len(answer.json["rejected"])) == (202, len(entries), 3)


def _arrive_while_scraped(client: Client, prometheus: PrometheusProcess) -> None:
    """Rate FRESH twice: what came before the first scrape is no increase, what comes after one is."""
    for count, scores in ((2, [0.5, 0.6]), (4, [0.75, 0.95])):
        assert client.post([_entry(FRESH, score) for score in scores]).status == 202
        query = f'llm_feedback_score_count{{workflow="chat"}} == {count}'
        eventually(partial(prometheus.query, query), f"{count} ratings being scraped", LIMIT_SECONDS)


def _answers(prometheus: PrometheusProcess) -> dict[str, Answers]:
    """Ask everything, until all is scraped or the limit is reached."""
    answers: dict[str, Answers] = {}

    def as_expected() -> bool:
        answers.update({query: prometheus.query(query) for query in QUERIES})
        return all(answers[query] == pytest.approx(expected, rel=1e-9) for query, expected in QUERIES.items())

    deadline = time.monotonic() + LIMIT_SECONDS
    while not as_expected() and time.monotonic() < deadline:
        time.sleep(0.2)
    return answers
