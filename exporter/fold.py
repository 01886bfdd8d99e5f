"""The fold: record + rating -> record. What every store does on write, and nothing else.

A record is three packed byte strings of bounded size, the same bytes in every store:

- ``hours``: per hour that holds ratings, ascending: hour since the epoch, samples, sum, sum of
  squares, min, max (``HOUR_BUCKET``, 32 bytes).
- ``newest``: the 100 newest scores by rating timestamp, oldest first, ties by arrival: timestamp,
  arrival, score (``SCORE``, 20 bytes).
- ``totals``: since the record was made: format version, ratings per histogram bucket (not
  cumulative), sum of scores (``TOTALS``, 68 bytes).

Scores are in millionths, squares in millionths of a square, times in microseconds, all little-endian.
Pure: ``store/record.lua`` carries the only other copy of this arithmetic, and a property test holds
the two equal to the last bit. The fold never interprets: what a record means is said in ``stats``.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from exporter.domain import MILLION, Feedback
from exporter.errors import StoreRefused

VERSION = 1
NEWEST = 100
HOUR_SECONDS = 3600
HOURS_A_DAY = 24
HOUR_MICROSECONDS = HOUR_SECONDS * MILLION

# Upper edges of the score histogram, inclusive, in millionths. The last holds every score.
EDGES = (100_000, 300_000, 500_000, 700_000, 850_000, 900_000, 1_000_000)

HOUR_BUCKET = Struct("<IIQQII")
SCORE = Struct("<QQI")
TOTALS = Struct(f"<I{len(EDGES)}QQ")
# The first field of the first two, by which they are in order.
_HOUR = Struct("<I")
_TIMESTAMP = Struct("<Q")

# Ids are remembered in periods of 12 hours: the current one, the two before it, and the one after
# it, which a writer whose clock is ahead may have begun. A repeat is seen for 24 to 36 hours.
ID_PERIOD_SECONDS = 12 * HOUR_SECONDS


class Record(NamedTuple):
    """All that is kept of a series: see the module's docstring."""

    hours: bytes = b""
    newest: bytes = b""
    totals: bytes = TOTALS.pack(VERSION, *[0] * len(EDGES), 0)


class Bucket(NamedTuple):
    """What one hour holds."""

    hour: int
    samples: int
    sum: int
    squares: int
    min: int
    max: int


class Totals(NamedTuple):
    """Scores since the record was made: ratings per histogram bucket, and their sum in millionths."""

    buckets: tuple[int, ...]
    sum: int


def square(score: int) -> int:
    """Square of a score, both in millionths, rounded half up."""
    return (score * score + MILLION // 2) // MILLION


def sum_of_squares(scores: Iterable[int]) -> int:
    """Sum of ``square`` over ``scores``, at less than half its cost."""
    half = MILLION // 2
    return sum([(score * score + half) // MILLION for score in scores])


def id_periods(now: int) -> tuple[int, int, int, int]:
    """Periods in which an id is looked for at ``now`` (microseconds), the current one first."""
    period = now // (ID_PERIOD_SECONDS * MILLION)
    return period, period - 1, period - 2, period + 1


def death(record: Record, retention: int) -> int:
    """Microsecond at which the last hour of ``record`` leaves a retention of ``retention`` seconds."""
    newest_hour = Bucket._make(HOUR_BUCKET.unpack_from(record.hours, len(record.hours) - HOUR_BUCKET.size)).hour
    return (newest_hour + 1) * HOUR_MICROSECONDS + retention * MILLION


def first_live_hour(now: int, span: int) -> int:
    """Return the first hour whose end is later than ``now`` (microseconds) - ``span`` (seconds)."""
    return (now - span * MILLION) // HOUR_MICROSECONDS


def fold(record: Record | None, ratings: Iterable[Feedback], now: int, retention: int) -> Record:
    """Fold ``ratings``, in order of arrival, into ``record``; a missing or dead one starts anew.

    Args:
        record: what the store holds of the series, or ``None``.
        ratings: ratings of that series, at least one.
        now: microseconds since the epoch, of the writer.
        retention: seconds that an hour is kept, the store's stamp.

    A day leaves the record, whole, at the first rating of another day after its last hour died.

    Raises:
        StoreRefused: the record was written by a newer version.

    """
    if record is None or death(record, retention) <= now:
        record = Record()
    hours, newest, totals = bytearray(record.hours), bytearray(record.newest), unpack_totals(record.totals)
    counts, total = list(totals.buckets), totals.sum
    first_day = first_live_hour(now, retention) // HOURS_A_DAY
    for rating in ratings:
        _fold_hour(hours, rating, first_day)
        place = _until(newest, SCORE.size, _TIMESTAMP, rating.timestamp)
        newest[place:place] = SCORE.pack(rating.timestamp, rating.arrival, rating.score)
        if len(newest) > NEWEST * SCORE.size:
            del newest[: SCORE.size]
        counts[bisect_left(EDGES, rating.score)] += 1
        total += rating.score
    return Record(bytes(hours), bytes(newest), TOTALS.pack(VERSION, *counts, total))


def _until(packed: bytearray, size: int, order: Struct, last: int) -> int:
    """Length of the entries of ``packed`` that come no later than ``last`` by their first field."""
    if packed and order.unpack_from(packed, len(packed) - size)[0] <= last:
        return len(packed)
    return size * bisect_right(
        range(len(packed) // size), last, key=lambda place: order.unpack_from(packed, place * size)[0]
    )


def _fold_hour(hours: bytearray, rating: Feedback, first_day: int) -> None:
    """Fold a rating into the bucket of its hour; the others are not even unpacked."""
    hour, score = rating.timestamp // HOUR_MICROSECONDS, rating.score
    place = _until(hours, HOUR_BUCKET.size, _HOUR, hour)
    if place and _HOUR.unpack_from(hours, place - HOUR_BUCKET.size)[0] == hour:
        place -= HOUR_BUCKET.size
        _, samples, total, squares, low, high = HOUR_BUCKET.unpack_from(hours, place)
        bucket = (hour, samples + 1, total + score, squares + square(score), min(low, score), max(high, score))
        HOUR_BUCKET.pack_into(hours, place, *bucket)
        return
    if not _has_day(hours, place, hour // HOURS_A_DAY):
        dead = _until(hours, HOUR_BUCKET.size, _HOUR, first_day * HOURS_A_DAY - 1)
        del hours[:dead]
        place = max(place - dead, 0)
    hours[place:place] = HOUR_BUCKET.pack(hour, 1, score, square(score), score, score)


def _has_day(hours: bytearray, place: int, day: int) -> bool:
    """Tell whether an hour of ``day`` stands before or behind ``place``, where a new one of it belongs."""
    around = hours[max(place - HOUR_BUCKET.size, 0) : place + HOUR_BUCKET.size]
    return any(bucket.hour // HOURS_A_DAY == day for bucket in unpack_hours(around))


def unpack_hours(hours: bytes | bytearray) -> Iterator[Bucket]:
    """Read the hours of a record, ascending."""
    return map(Bucket._make, HOUR_BUCKET.iter_unpack(hours))


def unpack_totals(totals: bytes) -> Totals:
    """Read the totals of a record.

    Raises:
        StoreRefused: they are of another format version.

    """
    version, *buckets, total = TOTALS.unpack(totals) if len(totals) == TOTALS.size else (0,) * (len(EDGES) + 2)
    if version != VERSION:
        raise StoreRefused(
            "a record in the store has a format that this version does not know; "
            "it was written by a newer llm-feedback-exporter: upgrade this one"
        )
    return Totals(tuple(buckets), total)
