"""Ratings and records for tests: short to write, valid in every field."""

from collections.abc import Iterable

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.fold import HOUR_MICROSECONDS, Record, fold
from exporter.rules import WEEK
from tests.support.reference import Rating

KEY = SeriesKey("code-review", "analysis", "cheap")
HOUR = HOUR_MICROSECONDS
# A moment on the hour, and on the day: 2025-01-01T00:00:00Z.
NOW = 1_735_689_600 * MILLION


def feedback(rating: Rating, key: SeriesKey = KEY) -> Feedback:
    """Return ``rating`` as a store takes it, in the series of its tier."""
    return Feedback(key._replace(tier=rating.tier), f"{rating.arrival}", rating.score, rating.timestamp, rating.arrival)


def spread(scores: Iterable[float], end: int = NOW, step: int = MILLION, tier: str = "cheap") -> list[Rating]:
    """One rating a ``step``, oldest first, the newest one step before ``end``; scores from 0 to 1."""
    rounded = [round(score * MILLION) for score in scores]
    begin = end - len(rounded) * step
    return [Rating(begin + place * step, begin + place * step, score, tier) for place, score in enumerate(rounded)]


def record_of(ratings: Iterable[Rating], now: int = NOW, retention: int = WEEK) -> Record:
    """Fold ``ratings``, in the order given, into one new record."""
    return fold(None, map(feedback, ratings), now, retention)
