"""What to do about it: statistics + rules -> recommended tier, with one sentence that says why. Pure.

Policy ``threshold``: below the quality threshold one tier up; above the downgrade threshold one tier down,
if the lower tier's own average allows it; in between, and without enough samples, stay.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import nsmallest
from itertools import chain, count

import msgspec

from exporter.domain import Ladder
from exporter.fold import NEWEST
from exporter.rules import StageRules
from exporter.stats import Live, QualityStats, arrival_at, timestamps

# Puts a reason into words when somebody asks: most who follow a recommendation never do.
Reason = Callable[[], str]


class TierRecommendation(msgspec.Struct, frozen=True, kw_only=True):
    """Which tier to use, how sure (0 to 1), why, and the statistics by tier that it rests on.

    ``stats`` holds only tiers with live ratings.
    """

    current_tier: str
    recommended_tier: str
    confidence: float
    reason: str
    stats: dict[str, QualityStats]


def current_tier(parts: Mapping[str, Live], start_tier: str) -> str:
    """Tier that most of a stage's newest 100 live ratings carry.

    ``parts`` holds the live part of each tier that has one. A tie goes to the tier of the newest rating
    among the tied; without live ratings, ``start_tier``.
    """
    if len(parts) <= 1:
        return next(iter(parts), start_tier)
    times = {tier: timestamps(part.newest) for tier, part in parts.items()}
    # The newest 100 are all ratings from this moment on, without the first to arrive where its own are too many.
    edge = sorted(chain.from_iterable(times.values()))[-NEWEST:][0]
    counts = {tier: len(stamps) - bisect_left(stamps, edge) for tier, stamps in times.items()}
    at_edge = (
        (arrival_at(parts[tier].newest, place), tier)
        for tier, stamps in times.items()
        for place in range(bisect_left(stamps, edge), bisect_right(stamps, edge))
    )
    for _, tier in nsmallest(sum(counts.values()) - NEWEST, at_edge):
        counts[tier] -= 1
    most = max(counts.values())
    tied = [tier for tier in parts if counts[tier] == most]
    return max(tied, key=lambda tier: (times[tier][-1], arrival_at(parts[tier].newest, -1), tier))


def recommend(stats: Mapping[str, QualityStats], current: str, rules: StageRules, ladder: Ladder) -> TierRecommendation:
    """Apply the rules once, from ``current``.

    Args:
        stats: statistics by tier, of the tiers that have live ratings.
        current: tier in use, one of the ladder's.
        rules: rules of the stage.
        ladder: all tiers, cheapest first.

    """
    recommended, confidence, reason = decide(stats, current, rules, ladder)
    return TierRecommendation(
        current_tier=current,
        recommended_tier=recommended,
        confidence=confidence,
        reason=reason(),
        stats=dict(stats),
    )


def decide(
    stats: Mapping[str, QualityStats], current: str, rules: StageRules, ladder: Ladder
) -> tuple[str, float, Reason]:
    """Do as ``recommend``, and return its recommended tier, its confidence, and its reason not yet in words."""
    own = stats.get(current)
    samples = own.sample_count if own else 0
    if own is None or samples < rules.min_samples:
        finding = f"it has {_ratings(samples)} in the window, a recommendation needs {rules.min_samples}"
        return current, 0.0, lambda: f"Stay on {current}: {finding}."
    recommended, reason = _verdict(own, stats, current, rules, ladder)
    return recommended, min(samples / rules.full_confidence_samples, 1.0), reason


def _verdict(
    own: QualityStats, stats: Mapping[str, QualityStats], current: str, rules: StageRules, ladder: Ladder
) -> tuple[str, Reason]:
    """Recommended tier and reason, from a current tier with enough samples."""
    if own.avg_quality < rules.quality_threshold:
        return _upgrade(partial(_finding, own, current, "below", rules.quality_threshold), current, ladder)
    if own.avg_quality > rules.downgrade_threshold:
        finding = partial(_finding, own, current, "above", rules.downgrade_threshold)
        return _downgrade(finding, stats, current, rules, ladder)
    finding = partial(_finding, own, current, "between", rules.quality_threshold, rules.downgrade_threshold)
    return current, lambda: f"Stay on {current}: {finding()}."


def _upgrade(finding: Reason, current: str, ladder: Ladder) -> tuple[str, Reason]:
    higher = ladder.above(current)
    if higher is None:
        return current, lambda: f"Stay on {current}: {finding()}, but there is no higher tier."
    return higher, lambda: f"Move up to {higher}: {finding()}."


def _downgrade(
    finding: Reason, stats: Mapping[str, QualityStats], current: str, rules: StageRules, ladder: Ladder
) -> tuple[str, Reason]:
    lower = ladder.below(current)
    if lower is None:
        return current, lambda: f"Stay on {current}: {finding()}, and there is no lower tier."
    below = stats.get(lower)
    samples = below.sample_count if below else 0
    if below is None or samples < rules.min_samples:
        but = f"{lower} has {_ratings(samples)} in the window, going down needs {rules.min_samples}"
        return current, lambda: f"Stay on {current}: {finding()}, but {but}."
    limit = rules.lower_tier_threshold
    if below.avg_quality > limit:
        return lower, lambda: f"Move down to {lower}: {finding()}, and {_finding(below, lower, 'above', limit)}."
    return current, lambda: f"Stay on {current}: {finding()}, but {_finding(below, lower, 'not above', limit)}."


def _finding(stats: QualityStats, tier: str, relation: str, *thresholds: float) -> str:
    average = _figure(stats.avg_quality, thresholds)
    limits = " and ".join(map(_limit, thresholds))
    return f"{tier} averages {average} over {_ratings(stats.sample_count)}, {relation} {limits}"


def _ratings(samples: int) -> str:
    return f"{samples} rating" if samples == 1 else f"{samples} ratings"


def _limit(threshold: float) -> str:
    """Text of a threshold with all its digits."""
    return f"{threshold}".removesuffix(".0")


def _figure(average: float, thresholds: Sequence[float]) -> str:
    """Shortest text of 3 or more digits that lies on the same side of every threshold as ``average``."""
    sides = [_side(average, threshold) for threshold in thresholds]
    texts = (f"{average:.{digits}g}" for digits in count(3))
    return next(text for text in texts if [_side(float(text), threshold) for threshold in thresholds] == sides)


def _side(value: float, threshold: float) -> int:
    """-1 below the threshold, 0 on it, 1 above it."""
    return (value > threshold) - (value < threshold)
