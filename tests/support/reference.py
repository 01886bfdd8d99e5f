"""The straight computation: what every number is by definition, from a plain list of ratings.

It rescans the whole history in exact fractions and knows nothing of records, buckets, packing or the
package under test; only the last step makes floats.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

MILLION = 1_000_000
HOUR = 3600 * MILLION


class Rating(NamedTuple):
    """One rating: times in microseconds, score in millionths; sorts by timestamp, ties by arrival."""

    timestamp: int
    arrival: int
    score: int
    tier: str = "cheap"


def live(ratings: Iterable[Rating], now: int, window_seconds: int) -> list[Rating]:
    """Return the ratings whose hour ends later than now - window, oldest first."""
    edge = now - window_seconds * MILLION
    return sorted(rating for rating in ratings if (rating.timestamp // HOUR + 1) * HOUR > edge)


def statistics(ratings: Sequence[Rating]) -> dict[str, float]:
    """Compute the statistics of live ratings, oldest first, at least one; keyed as the fields of ``QualityStats``."""
    scores = [rating.score for rating in ratings]
    average = _mean(scores)
    margin = 1.96 * math.sqrt(_variance(scores) / len(scores))
    trend, trend_upper_bound = _trend(scores[-100:])
    return {
        "avg_quality": float(average),
        "min_quality": min(scores) / MILLION,
        "max_quality": max(scores) / MILLION,
        "sample_count": len(scores),
        "recent_trend": trend,
        "lower_bound": max(float(average) - margin, 0.0),
        "upper_bound": min(float(average) + margin, 1.0),
        "trend_upper_bound": trend_upper_bound,
        "last_timestamp": ratings[-1].timestamp / MILLION,
    }


def _mean(scores: Sequence[int]) -> Fraction:
    return Fraction(sum(scores), len(scores) * MILLION)


def _variance(scores: Sequence[int]) -> Fraction:
    """Sample variance, shrunk towards 0.25 squared by ten pseudo-scores; each square is kept in millionths."""
    count = len(scores)
    squares = sum(Fraction(math.floor(Fraction(score**2, MILLION) + Fraction(1, 2)), MILLION) for score in scores)
    deviation = squares - Fraction(sum(scores), MILLION) ** 2 / count
    return (max(Fraction(0), deviation) + 10 * Fraction(1, 16)) / (count + 10)


def _trend(scores: Sequence[int]) -> tuple[float, float]:
    if len(scores) < 4:
        return 0.0, 0.0
    newest = len(scores) // 2
    older, newer = scores[:-newest], scores[-newest:]
    difference = _mean(newer) - _mean(older)
    divisor = max(_mean(older), Fraction(1, 10))
    error = math.sqrt(_variance(older) / len(older) + _variance(newer) / len(newer))
    return float(difference / divisor), (float(difference) + 2.326 * error) / float(divisor)


def current_tier(ratings: Sequence[Rating], start_tier: str) -> str:
    """Tier that most of the newest 100 live ratings of all tiers of a stage carry; a tie goes to the newest."""
    newest = [rating.tier for rating in ratings[-100:]]
    counts = Counter(newest)
    most = max(counts.values(), default=0)
    return next((tier for tier in reversed(newest) if counts[tier] == most), start_tier)


def recommended_tier(stats: Mapping[str, Mapping[str, float]], current: str, ladder: Sequence[str]) -> str:
    """Apply the default rules once: ``stats`` are those of the tiers that have live ratings."""
    place = ladder.index(current)
    own, lower = stats.get(current), stats.get(ladder[place - 1]) if place else None
    if own is None or own["sample_count"] < 10:
        return current
    if own["avg_quality"] < 0.7:
        return ladder[min(place + 1, len(ladder) - 1)]
    if own["avg_quality"] > 0.9 and lower and lower["sample_count"] >= 10 and lower["avg_quality"] > 0.85:
        return ladder[place - 1]
    return current


def confidence(stats: Mapping[str, Mapping[str, float]], current: str) -> float:
    """Confidence of that recommendation."""
    samples = stats[current]["sample_count"] if current in stats else 0
    return min(samples / 20, 1.0) if samples >= 10 else 0.0
