"""Realistic ratings: three tiers a stage, each with ratings in every hour of the window."""

from collections.abc import Iterator
from itertools import islice
from random import Random

from exporter.domain import MILLION, Feedback, ModelTier, SeriesKey
from exporter.fold import HOUR_MICROSECONDS, first_live_hour
from exporter.rules import WEEK
from exporter.store.base import Store

# The middle of an hour.
NOW = 1_735_691_400 * MILLION
STAGES_A_WORKFLOW = 10
BATCH = 10_000


def keys(count: int) -> Iterator[SeriesKey]:
    """Return the names of ``count`` series."""
    tiers = list(ModelTier)
    for number in range(count):
        stage, tier = divmod(number, len(tiers))
        workflow, place = divmod(stage, STAGES_A_WORKFLOW)
        yield SeriesKey(f"workflow-{workflow}", f"stage-{place}", tiers[tier].value)


def ratings(key: SeriesKey, count: int, random: Random) -> list[Feedback]:
    """Ratings of one series, oldest first, at even distances over all hours of the window."""
    level = random.uniform(0.5, 0.95)
    span = NOW - first_live_hour(NOW, WEEK) * HOUR_MICROSECONDS
    gaps = max(count - 1, 1)
    moments = (NOW - span + span * place // gaps + random.randrange(MILLION) for place in range(count))
    return [_rating(key, f"{place}", level, moment, random) for place, moment in enumerate(moments)]


def _rating(key: SeriesKey, feedback_id: str, level: float, moment: int, random: Random) -> Feedback:
    score = round(min(1.0, max(0.0, random.gauss(level, 0.15))) * MILLION)
    return Feedback(key, feedback_id, score, min(moment, NOW), moment)


def fill(store: Store, series: int, count: int) -> Iterator[int]:
    """Put ``count`` ratings in each of ``series`` series; yields the ratings stored, step by step."""
    random = Random(count)
    stream = (rating for key in keys(series) for rating in ratings(key, count, random))
    while batch := list(islice(stream, BATCH)):
        store.append(batch, NOW)
        yield len(batch)


def touch(store: Store, series: int, moment: int) -> None:
    """Put one more rating in each of ``series`` series, ``moment`` microseconds after the first ones."""
    random = Random(moment)
    store.append([_rating(key, f"touch-{moment}", 0.8, NOW + moment, random) for key in keys(series)], NOW + moment)
