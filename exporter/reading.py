"""What is asked of ratings beside the view: the entries themselves, one stage, single days.

``FeedbackLoop`` and the command line answer from here. Time is an argument.
"""

from collections import defaultdict
from datetime import date, datetime
from typing import Any

import msgspec

from exporter.domain import MILLION, Feedback, SeriesKey, moment, name, shown
from exporter.errors import InvalidFeedback
from exporter.fold import HOUR_MICROSECONDS, HOURS_A_DAY, Bucket, first_live_hour, unpack_hours
from exporter.rules import Rules
from exporter.store.base import Store
from exporter.view import Stage, assess


class FeedbackEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One rating as it is kept.

    ``quality_score`` is 0.0 (bad) to 1.0 (excellent), ``timestamp`` an aware UTC datetime, ``metadata``
    what was recorded beside the score, ``source`` who rated.
    """

    feedback_id: str
    workflow_name: str
    stage_name: str
    tier: str
    quality_score: float
    timestamp: datetime
    metadata: dict[str, Any]
    source: str | None = None


def feedback_entry(rating: Feedback) -> FeedbackEntry:
    """Return what people and applications are shown of a stored ``rating``."""
    workflow, stage, tier = rating.key
    return FeedbackEntry(
        feedback_id=rating.feedback_id,
        workflow_name=workflow,
        stage_name=stage,
        tier=tier,
        quality_score=rating.score / MILLION,
        timestamp=moment(rating.timestamp),
        metadata=msgspec.json.decode(rating.metadata),
        source=rating.source,
    )


def stage_key(workflow: object, stage: object) -> tuple[str, str]:
    """Return the names of a stage.

    Raises:
        InvalidFeedback: one of them breaks the rules for names.

    """
    return name(workflow, "workflow_name"), name(stage, "stage_name")


def known_tier(rules: Rules, tier: object, field: str = "tier") -> str:
    """Return the ladder's tier that ``tier``, a ``ModelTier`` or a text, names.

    Raises:
        InvalidFeedback: it is none of the ladder's.

    """
    if isinstance(tier, str) and tier in rules.tiers:
        return str(tier)
    raise InvalidFeedback(field, f"{shown(tier)} is none of {', '.join(rules.tiers)}", "unknown_tier")


def read_stage(store: Store, rules: Rules, key: tuple[str, str], now: int) -> Stage:
    """Assess one stage at ``now`` (microseconds) from the records of its tiers alone."""
    records = {tier: store.record(SeriesKey(*key, tier)) for tier in rules.tiers}
    found = {tier: record for tier, record in records.items() if record}
    return assess(key, found, rules.stage(*key), rules.ladder, now)


def live_only(ratings: list[Feedback], rules: Rules, now: int) -> list[Feedback]:
    """Leave out the ratings of a store's history whose hour is dead at ``now`` (microseconds)."""
    windows = {key: rules.stage(*key).window_seconds for key in {rating.key[:2] for rating in ratings}}
    return [
        rating
        for rating in ratings
        if rating.timestamp // HOUR_MICROSECONDS >= first_live_hour(now, windows[rating.key[:2]])
    ]


class DayStats(msgspec.Struct, frozen=True, kw_only=True):
    """Quality of one UTC day, of a series or of a stage over all its tiers (``tier`` is ``None``)."""

    workflow_name: str
    stage_name: str
    tier: str | None
    day: date
    avg_quality: float
    min_quality: float
    max_quality: float
    sample_count: int


def by_day(stage: Stage, tier: str | None, now: int) -> list[DayStats]:
    """Quality of each UTC day that has ratings in the window, oldest first.

    Of one tier of ``stage`` (``None``: of all together), from its hours that are live at ``now``
    (microseconds); the first day may have left the window in part.
    """
    first = first_live_hour(now, stage.rules.window_seconds)
    days: dict[int, list[Bucket]] = defaultdict(list)
    for name_of_tier, series in stage.series.items():
        if tier in (None, name_of_tier):
            for bucket in unpack_hours(series.record.hours):
                if bucket.hour >= first:
                    days[bucket.hour // HOURS_A_DAY].append(bucket)
    return [_day(stage.key, tier, day, days[day]) for day in sorted(days)]


def _day(key: tuple[str, str], tier: str | None, day: int, buckets: list[Bucket]) -> DayStats:
    samples = sum(bucket.samples for bucket in buckets)
    return DayStats(
        workflow_name=key[0],
        stage_name=key[1],
        tier=tier,
        day=moment(day * HOURS_A_DAY * HOUR_MICROSECONDS).date(),
        avg_quality=sum(bucket.sum for bucket in buckets) / (samples * MILLION),
        min_quality=min(bucket.min for bucket in buckets) / MILLION,
        max_quality=max(bucket.max for bucket in buckets) / MILLION,
        sample_count=samples,
    )
