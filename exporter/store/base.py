"""The one contract of every store, with order, bounds and errors; and what all stores do alike.

A store folds and hands back; it never interprets: no statistics, no rules, no clock. ``now`` is in
microseconds since the Unix epoch and comes from the caller.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from exporter.domain import Feedback, SeriesKey
from exporter.errors import StoreRefused
from exporter.fold import HOUR_SECONDS, VERSION, Record

# A store's log keeps as many of the newest arrivals of a series.
LOG_LENGTH = 1000
# A reader whose cursor is older than this many deletions reads everything anew.
MAX_TOMBSTONES = 10_000
# An append deletes so many dead series; a larger batch, as many as it has ratings.
SWEPT = 100

Verdict = Literal["new", "duplicate", "series_limit"]
# What a reader has seen; only the store that made it reads it.
Cursor = object


class Changes(NamedTuple):
    """What changed since a cursor.

    ``items`` holds each changed series once, with its record, or ``None`` where it was cleared or
    expired. ``complete`` says that ``items`` is all there is: the reader forgets everything else.
    """

    cursor: Cursor
    items: list[tuple[SeriesKey, Record | None]]
    complete: bool


class Store(ABC):
    """Keeps, per series, a record, the newest ratings, and the ids of the last day; thread-safe.

    A store is stamped with its retention when it is first written to; every fold uses the stamp.
    Making a store object does no I/O: the first operation that can reach the store prepares it.

    Every method but ``close`` raises ``StoreUnavailable`` when the store cannot be reached or
    cannot do it now, and ``StoreRefused`` when waiting will not help.
    """

    def __init__(self, retention: int, series_limit: int) -> None:
        """Keep what a new store is stamped with (seconds), and the most live series that may be."""
        self.retention = retention
        self.series_limit = series_limit

    @abstractmethod
    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Store a batch, whole or not at all, and return a verdict an entry, in its order.

        When it returns, the batch is stored as durably as the store can. ``duplicate``: the series
        has the id already, within 24 to 36 hours, or earlier in the batch. ``series_limit``: it would
        have begun a series beyond the limit: the batch's series that are not alive begin in the order in which
        they appear, and one that finds no room is refused whole. After an error the batch may have been stored.
        """

    @abstractmethod
    def changes(self, cursor: Cursor | None) -> Changes:
        """Return every series whose record changed since ``cursor``; ``None`` reads all.

        Sees every append and clear that was acknowledged before the call began, whoever made it.
        """

    @abstractmethod
    def record(self, key: SeriesKey) -> Record | None:
        """Return the record of one series, ``None`` where there is none."""

    @abstractmethod
    def history(self, keys: Iterable[SeriesKey], limit: int, before: int | None = None) -> list[Feedback]:
        """Return ratings of ``keys``, of the newest 1,000 arrivals of each, newest first.

        Ordered by timestamp, later arrival first among equals; at most ``limit``; where ``before`` is
        given (microseconds), only those with an earlier timestamp.
        """

    @abstractmethod
    def clear(self, workflow: str, stage: str | None, now: int) -> list[tuple[SeriesKey, Record]]:
        """Delete a workflow's series, or one stage's, with their ids, and return what was deleted."""

    @abstractmethod
    def raise_retention(self, retention: int) -> None:
        """Raise the stamp to ``retention`` seconds where it is lower; it is never lowered."""

    @abstractmethod
    def ping(self) -> None:
        """Return when the store can be read and written now."""

    def warning(self) -> str | None:
        """Say which settings of the store can lose what was acknowledged, and what to do; ``None``: none is known."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the store is not used afterwards."""


def grouped(batch: Sequence[Feedback]) -> dict[SeriesKey, list[int]]:
    """Return the places in ``batch`` of each series' ratings, series in order of first appearance."""
    groups: dict[SeriesKey, list[int]] = {}
    for place, rating in enumerate(batch):
        groups.setdefault(rating.key, []).append(place)
    return groups


def digest(feedback_id: str) -> bytes:
    """Return the 16 bytes by which a series remembers an id."""
    return blake2b(feedback_id.encode(), digest_size=16).digest()


def check_stamp(shown_url: str, version: int, width: int) -> None:
    """Say nothing of a store whose records this version reads.

    Raises:
        StoreRefused: they have another format ``version``, or buckets of another ``width`` in seconds.

    """
    if (version, width) != (VERSION, HOUR_SECONDS):
        raise StoreRefused(
            f"{shown_url}: its records have format {version} with buckets of {width} s, this version reads format "
            f"{VERSION} with buckets of {HOUR_SECONDS} s; use the version that wrote them, or another store"
        )


class LogEntry(msgspec.Struct, array_like=True, gc=False):
    """A rating as the log keeps it: all of it but its series."""

    feedback_id: str
    score: int
    timestamp: int
    arrival: int
    source: str | None
    metadata: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LogEntry)


def pack_entry(rating: Feedback) -> bytes:
    """Encode a rating for the log."""
    return _encoder.encode(
        LogEntry(rating.feedback_id, rating.score, rating.timestamp, rating.arrival, rating.source, rating.metadata)
    )


def unpack_entry(key: SeriesKey, packed: bytes) -> Feedback:
    """Decode a rating from the log of series ``key``."""
    entry = _decoder.decode(packed)
    return Feedback(key, entry.feedback_id, entry.score, entry.timestamp, entry.arrival, entry.source, entry.metadata)


def newest_first(entries: list[Feedback], limit: int, before: int | None) -> list[Feedback]:
    """Order the entries of several logs, each given in order of arrival, as ``Store.history`` promises."""
    kept = [entry for entry in entries if before is None or entry.timestamp < before]
    kept.reverse()
    kept.sort(key=lambda entry: (entry.timestamp, entry.arrival), reverse=True)
    return kept[:limit]
