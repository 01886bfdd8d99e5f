"""Real ratings: two models on 14,037 questions, every published number against a straight computation."""

import csv
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exporter import names
from tests.support import reference
from tests.support.exporter_process import ROOT, ExporterProcess
from tests.support.http import Client
from tests.support.reference import MILLION, Rating

OUTCOMES = ROOT.parent / "shared" / "data" / "mmlu_outcomes.csv"
LADDER = ("cheap", "capable", "premium")
WEEK_SECONDS = 7 * 24 * 3600
EDGES = (0.1, 0.3, 0.5, 0.7, 0.85, 0.9, 1.0)
BATCH = 5000

# The field of the straight computation that each family publishes.
FIELDS = {
    names.QUALITY_AVG: "avg_quality",
    names.QUALITY_MIN: "min_quality",
    names.QUALITY_MAX: "max_quality",
    names.QUALITY_LOWER_BOUND: "lower_bound",
    names.QUALITY_UPPER_BOUND: "upper_bound",
    names.QUALITY_TREND: "recent_trend",
    names.QUALITY_TREND_UPPER_BOUND: "trend_upper_bound",
    names.WINDOW_SAMPLES: "sample_count",
    names.LAST_TIMESTAMP: "last_timestamp",
}
COMPARED = {metric.name for metric in (*names.PER_SERIES, *names.PER_STAGE, names.TIER_RANK)}

# A sample's name and labels.
Sample = tuple[str, frozenset[tuple[str, str]]]


class Stage(NamedTuple):
    """One subject: its ratings, oldest first, in all and by tier, and their statistics by tier."""

    name: str
    ratings: list[Rating]
    by_tier: dict[str, list[Rating]]
    stats: dict[str, dict[str, float]]
    current_tier: str

    def recommendation(self, current: str) -> tuple[str, float]:
        """Tier recommended from ``current``, and how sure."""
        return reference.recommended_tier(self.stats, current, LADDER), reference.confidence(self.stats, current)


def _stage(name: str, ratings: Iterable[Rating]) -> Stage:
    """Compute a stage straight from its ratings; all stay live during the test."""
    ordered = sorted(ratings)
    by_tier = {tier: [rating for rating in ordered if rating.tier == tier] for tier in LADDER[:2]}
    stats = {tier: reference.statistics(own) for tier, own in by_tier.items()}
    return Stage(name, ordered, by_tier, stats, reference.current_tier(ordered, LADDER[0]))


@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
def test_every_published_number_equals_a_straight_computation(store_url: str, tmp_path: Path) -> None:
    """All families of 114 series and 57 stages, in both formats and in JSON, say what the ratings say."""
    ratings = _ratings()
    stages = [_stage(name, own) for name, own in sorted(ratings.items())]
    with ExporterProcess(tmp_path, store_url) as exporter, exporter.client() as client:
        accepted = _post(client, ratings)
        text = client.get("/metrics").text
        open_text = client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).text
        documents = [_documents(client, stage) for stage in stages]
        recommendations = list(map(_recommendation, client.get("/api/v1/recommendations").json))

    samples = {sample: _close(value) for stage in stages for sample, value in _samples(stage)} | _tier_ranks()
    assert (accepted, sum(len(stage.by_tier) for stage in stages)) == (2 * 14_037, 114)
    assert _published(text_string_to_metric_families(text)) == samples
    families = openmetrics.text_string_to_metric_families(open_text)  # type: ignore[no-untyped-call]  # bare upstream
    assert _published(families) == samples
    assert documents == [_expected_documents(stage) for stage in stages]
    assert recommendations == [_expected_recommendation(stage, stage.current_tier) for stage in stages]


def _ratings() -> dict[str, list[Rating]]:
    """Every answer by subject: arrived in random order, rated at a random millisecond of its own in the window."""
    answers = _answers()
    chance = random.Random(4)
    chance.shuffle(answers)
    # A day away from the edge of the window: all are live whenever they are read.
    end = int(time.time()) * 1000
    moments = chance.sample(range(end - (WEEK_SECONDS - 24 * 3600) * 1000, end), len(answers))
    ratings: dict[str, list[Rating]] = defaultdict(list)
    for arrival, ((subject, tier, score), moment) in enumerate(zip(answers, moments, strict=True)):
        ratings[subject].append(Rating(moment * 1000, arrival, score, tier))
    return ratings


def _answers() -> list[tuple[str, str, int]]:
    """Subject, tier and score in millionths of every answer of either model."""
    assert OUTCOMES.exists(), f"this test needs the ratings in {OUTCOMES}: there is no such file"
    with OUTCOMES.open(newline="") as file:
        return [
            (row["subject"], tier, int(row[column]) * MILLION)
            for row in csv.DictReader(file)
            for tier, column in (("cheap", "weak_correct"), ("capable", "strong_correct"))
        ]


def _post(client: Client, ratings: dict[str, list[Rating]]) -> int:
    """Post all in order of arrival, as JSON and as NDJSON by turns, and count what was accepted."""
    arrived = sorted((rating.arrival, subject, rating) for subject, own in ratings.items() for rating in own)
    entries = [_entry(subject, rating) for _, subject, rating in arrived]
    accepted = 0
    for start in range(0, len(entries), BATCH):
        send = client.post_lines if start % (2 * BATCH) else client.post
        answer = send(entries[start : start + BATCH])
        assert answer.status == 202, answer.text
        accepted += answer.json["accepted"]
    return accepted


def _entry(subject: str, rating: Rating) -> dict[str, Any]:
    return {
        "workflow_name": "mmlu",
        "stage_name": subject,
        "tier": rating.tier,
        "quality_score": rating.score / MILLION,
        "timestamp": rating.timestamp / MILLION if rating.arrival % 2 else _rfc_3339(rating.timestamp),
    }


def _rfc_3339(timestamp: int) -> str:
    seconds, fraction = divmod(timestamp, MILLION)
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{fraction:06}Z", time.gmtime(seconds))


def _close(value: Any) -> Any:  # noqa: ANN401 - whatever a document holds
    """Expect a float to 1e-12 of its size, everything else exactly."""
    if isinstance(value, dict):
        return {key: _close(part) for key, part in value.items()}
    return pytest.approx(value, rel=1e-12, abs=0) if isinstance(value, float) else value


def _published(families: Iterable[Metric]) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        if family.name in COMPARED
        for sample in family.samples
    }


def _sample(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def _samples(stage: Stage) -> Iterator[tuple[Sample, float]]:
    """Every sample of a stage and its series."""
    of_stage = {"workflow": "mmlu", "stage": stage.name}
    for tier, own in stage.by_tier.items():
        for name, labels, value in (*_gauges(stage, tier), *_histogram(own)):
            yield _sample(name, **of_stage, tier=tier, **labels), value
    recommended, confidence = stage.recommendation(stage.current_tier)
    for tier in LADDER:
        yield _sample(names.RECOMMENDED_TIER.name, **of_stage, tier=tier), int(tier == recommended)
        yield _sample(names.CURRENT_TIER.name, **of_stage, tier=tier), int(tier == stage.current_tier)
    yield _sample(names.STAGE_CONFIDENCE.name, **of_stage), confidence
    yield _sample(names.QUALITY_THRESHOLD.name, **of_stage), 0.7
    yield _sample(names.MIN_SAMPLES.name, **of_stage), 10


def _gauges(stage: Stage, tier: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for metric, field in FIELDS.items():
        yield metric.name, {}, stage.stats[tier][field]
    recommended, confidence = stage.recommendation(tier)
    yield names.RECOMMENDED_TIER_RANK.name, {}, LADDER.index(recommended)
    yield names.RECOMMENDATION_CONFIDENCE.name, {}, confidence


def _histogram(ratings: list[Rating]) -> Iterator[tuple[str, dict[str, str], float]]:
    name = names.SCORE.name
    for edge in EDGES:
        yield f"{name}_bucket", {"le": str(edge)}, sum(rating.score <= edge * MILLION for rating in ratings)
    yield f"{name}_bucket", {"le": "+Inf"}, len(ratings)
    yield f"{name}_count", {}, len(ratings)
    yield f"{name}_sum", {}, sum(rating.score for rating in ratings) / MILLION


def _tier_ranks() -> dict[Sample, float]:
    return {_sample(names.TIER_RANK.name, tier=tier): rank for rank, tier in enumerate(LADDER)}


def _documents(client: Client, stage: Stage) -> list[Any]:
    """What the JSON API says of a stage: its statistics in all and by tier, and what to do on each tier."""
    asked = {"workflow_name": "mmlu", "stage_name": stage.name}
    return [
        client.get("/api/v1/stats", asked).json,
        *(client.get("/api/v1/stats", {**asked, "tier": tier}).json for tier in LADDER),
        *(
            _recommendation(client.get("/api/v1/recommendation", {**asked, "current_tier": tier}).json)
            for tier in LADDER
        ),
    ]


def _recommendation(document: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a recommendation, without the sentence about them."""
    assert document.pop("reason")
    return document


def _expected_documents(stage: Stage) -> list[Any]:
    return [
        _expected_stats(stage, None, reference.statistics(stage.ratings)),
        *(_expected_stats(stage, tier, stage.stats.get(tier)) for tier in LADDER),
        *(_expected_recommendation(stage, tier) for tier in LADDER),
    ]


def _expected_stats(stage: Stage, tier: str | None, stats: dict[str, float] | None) -> Any:  # noqa: ANN401 - expectation
    return stats and {"workflow_name": "mmlu", "stage_name": stage.name, "tier": tier} | _close(stats)


def _expected_recommendation(stage: Stage, current: str) -> dict[str, Any]:
    recommended, confidence = stage.recommendation(current)
    return {
        "workflow_name": "mmlu",
        "stage_name": stage.name,
        "current_tier": current,
        "recommended_tier": recommended,
        "confidence": _close(confidence),
        "stats": {tier: _expected_stats(stage, tier, stats) for tier, stats in stage.stats.items()},
    }
