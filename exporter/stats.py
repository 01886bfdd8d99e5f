"""What a record means: record + rules + now -> numbers. Pure.

Every number is computed from the live window: hours whose end is later than now - window, and the
newest 100 scores by the same rule. Sums are exact integers; the only rounding is the last division.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from math import sqrt
from struct import Struct
from typing import NamedTuple

import msgspec

from exporter.domain import MILLION
from exporter.fold import (
    HOUR_BUCKET,
    HOUR_MICROSECONDS,
    NEWEST,
    SCORE,
    Bucket,
    Record,
    first_live_hour,
    sum_of_squares,
)

Z_95_TWO_SIDED = 1.96
Z_99_ONE_SIDED = 2.326
PRIOR_SCORES = 10
PRIOR_VARIANCE = 0.0625
TREND_MIN_SCORES = 4
TREND_MIN_DIVISOR = 0.1


class Live(NamedTuple):
    """The live part of a record: exact sums in millionths, and the newest live scores, packed as in the record.

    ``first_hour`` is the oldest live hour: until its end leaves the window, the part stays as it is.
    """

    samples: int
    sum: int
    squares: int
    min: int
    max: int
    newest: bytes
    first_hour: int


class Halves(NamedTuple):
    """Exact sums of the older and the newer half of the newest live scores: what the trend is made of."""

    older: int
    older_squares: int
    newer: int
    newer_squares: int


class QualityStats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Quality of one series, or of a stage over all its tiers (``tier`` is ``None``).

    Scores and bounds are 0.0 (bad) to 1.0 (excellent). ``recent_trend`` is the relative change of
    the newest half of the newest 100 scores against the older half, 0 below 4 scores, and
    ``trend_upper_bound`` its one-sided 99 % bound. ``last_timestamp`` is in Unix seconds.
    """

    workflow_name: str
    stage_name: str
    tier: str | None
    avg_quality: float
    min_quality: float
    max_quality: float
    sample_count: int
    recent_trend: float
    lower_bound: float
    upper_bound: float
    trend_upper_bound: float
    last_timestamp: float


def live(record: Record, now: int, window: int, known: tuple[Record, Live] | None = None) -> Live | None:
    """Read the part of ``record`` that is live at ``now`` (microseconds) in a ``window`` of seconds.

    ``None`` when nothing is. ``known``, an older record of the series and its part by the same window at an earlier
    moment, changes no number: where only the last hour differs, the others are not added up again.
    """
    first = first_live_hour(now, window)
    if known and known[1].first_hour >= first:
        part = _live_by_change(record, *known)
        if part:
            return part
    hours, *columns = _columns(record.hours)
    dead = bisect_left(hours, first)
    if dead == len(hours):
        return None
    samples, total, squares, low, high = (column[dead:] for column in columns)
    newest = _newest(record.newest, first * HOUR_MICROSECONDS)
    return Live(sum(samples), sum(total), sum(squares), min(low), max(high), newest, hours[dead])


def _live_by_change(record: Record, old: Record, part: Live) -> Live | None:
    """Live part of a record, from that of an older one without its last hour; ``None`` where that does not do."""
    first = part.first_hour
    settled = len(old.hours) - HOUR_BUCKET.size
    last = Bucket._make(HOUR_BUCKET.unpack_from(old.hours, settled))
    if last.hour == first or len(record.hours) <= settled or not record.hours.startswith(old.hours[:settled]):
        return None
    _, samples, total, squares, low, high = _columns(record.hours[settled:])
    if min(low) > last.min or max(high) < last.max:  # an hour only grows: the series was begun anew
        return None
    return Live(
        part.samples - last.samples + sum(samples),
        part.sum - last.sum + sum(total),
        part.squares - last.squares + sum(squares),
        min(part.min, *low),
        max(part.max, *high),
        _newest(record.newest, first * HOUR_MICROSECONDS),
        first,
    )


def _columns(hours: bytes) -> list[tuple[int, ...]]:
    """Unpack all hours in one call, not one a row, and return the columns."""
    flat = _table(HOUR_BUCKET.format, len(hours) // HOUR_BUCKET.size).unpack(hours)
    return [flat[column :: len(Bucket._fields)] for column in range(len(Bucket._fields))]


def _newest(newest: bytes, edge: int) -> bytes:
    """Packed scores whose timestamp is ``edge`` or later."""
    if timestamp_at(newest, 0) >= edge:  # pragma: no mutate - the last line gives the same, later
        return newest
    return newest[bisect_left(timestamps(newest), edge) * SCORE.size :]


def timestamps(newest: bytes) -> tuple[int, ...]:
    """Timestamps of the newest scores, in microseconds, oldest first."""
    return _table("<Q12x", len(newest) // SCORE.size).unpack(newest)


def scores(newest: bytes) -> tuple[int, ...]:
    """Return the newest scores themselves, in millionths, oldest first."""
    return _table("<16xI", len(newest) // SCORE.size).unpack(newest)


def timestamp_at(newest: bytes, place: int) -> int:
    """Timestamp, in microseconds, of one of the newest scores; -1 is the newest."""
    timestamp, _arrival, _score = SCORE.unpack_from(newest, place * SCORE.size)
    return int(timestamp)


def arrival_at(newest: bytes, place: int) -> int:
    """Arrival, in microseconds, of one of the newest scores; -1 is the newest."""
    _timestamp, arrival, _score = SCORE.unpack_from(newest, place * SCORE.size)
    return int(arrival)


@lru_cache(maxsize=512)  # all that a week needs; each takes 200 bytes a row, and 90 days have 2,160 rows
def _table(row: str, rows: int) -> Struct:
    """Format of ``rows`` rows on end: one call unpacks them all."""
    return Struct("<" + row.removeprefix("<") * rows)


def merge(parts: list[Live]) -> Live:
    """Unite the live parts of several series, at least one; the newest scores by timestamp, ties by arrival."""
    if len(parts) == 1:
        return parts[0]
    newest = chain.from_iterable(SCORE.iter_unpack(part.newest) for part in parts)
    return Live(
        sum(part.samples for part in parts),
        sum(part.sum for part in parts),
        sum(part.squares for part in parts),
        min(part.min for part in parts),
        max(part.max for part in parts),
        b"".join(SCORE.pack(*score) for score in sorted(newest)[-NEWEST:]),
        min(part.first_hour for part in parts),
    )


def quality_stats(workflow: str, stage: str, tier: str | None, part: Live, sums: Halves | None = None) -> QualityStats:
    """Compute the statistics of a live part; ``sums`` are its halves, where somebody knows them."""
    average = part.sum / (part.samples * MILLION)
    margin = Z_95_TWO_SIDED * sqrt(_variance(part.samples, part.sum, part.squares) / part.samples)
    trend, trend_upper_bound = _trend(len(part.newest) // SCORE.size, sums or halves(part))
    return QualityStats(
        workflow_name=workflow,
        stage_name=stage,
        tier=tier,
        avg_quality=average,
        min_quality=part.min / MILLION,
        max_quality=part.max / MILLION,
        sample_count=part.samples,
        recent_trend=trend,
        lower_bound=max(0.0, average - margin),
        upper_bound=min(1.0, average + margin),
        trend_upper_bound=trend_upper_bound,
        last_timestamp=timestamp_at(part.newest, -1) / MILLION,
    )


def halves(part: Live, known: tuple[Live, Halves] | None = None) -> Halves:
    """Add up the halves of the newest scores of ``part``; ``known``, an older part and its halves, only saves time."""
    return (_halves_by_change(part, *known) if known else None) or _halves(scores(part.newest))


def _halves(scores: Sequence[int]) -> Halves:
    middle = len(scores) - len(scores) // 2
    older, newer = scores[:middle], scores[middle:]
    return Halves(sum(older), sum_of_squares(older), sum(newer), sum_of_squares(newer))


def _halves_by_change(part: Live, old: Live, sums: Halves) -> Halves | None:
    """Halves after some scores came, as many left, and as many passed the middle; ``None`` if it was not so."""
    came, row = part.samples - old.samples, SCORE.size
    count = len(part.newest) // row
    if not (0 <= came <= count // 2 and len(old.newest) == len(part.newest)):
        return None
    if not part.newest.startswith(old.newest[came * row :]):
        return None
    middle = count - count // 2
    left = scores(old.newest[: came * row])
    passed = scores(part.newest[(middle - came) * row : middle * row])
    new = scores(part.newest[(count - came) * row :])
    return Halves(
        sums.older - sum(left) + sum(passed),
        sums.older_squares - sum_of_squares(left) + sum_of_squares(passed),
        sums.newer - sum(passed) + sum(new),
        sums.newer_squares - sum_of_squares(passed) + sum_of_squares(new),
    )


def trend_of(scores: Sequence[int]) -> tuple[float, float]:
    """Trend of ``scores`` (millionths, oldest first) and its one-sided 99 % upper bound.

    trend = (mean of the newest half - mean of the older half) / max(mean of the older half, 0.1), the
    newest half having floor(n/2) scores. Both are 0 below 4 scores.
    """
    return _trend(len(scores), _halves(scores))


def _trend(count: int, sums: Halves) -> tuple[float, float]:
    if count < TREND_MIN_SCORES:
        return 0.0, 0.0
    newer, older = count // 2, count - count // 2
    older_mean = sums.older / (older * MILLION)
    difference = sums.newer / (newer * MILLION) - older_mean
    error = sqrt(
        _variance(older, sums.older, sums.older_squares) / older
        + _variance(newer, sums.newer, sums.newer_squares) / newer
    )
    divisor = max(older_mean, TREND_MIN_DIVISOR)
    return difference / divisor, (difference + Z_99_ONE_SIDED * error) / divisor


def _variance(count: int, total: int, squares: int) -> float:
    """Sample variance, shrunk towards a standard deviation of 0.25 by ten pseudo-scores.

    (max(0, squares - sum^2 / n) + 10 * 0.0625) / (n + 10); the deviation is taken in integers, so that it
    does not cancel however many scores there are.
    """
    deviation = max(0, squares * MILLION * count - total * total) / (count * MILLION * MILLION)
    return (deviation + PRIOR_SCORES * PRIOR_VARIANCE) / (count + PRIOR_SCORES)
