"""Ratings and readers for the tests of stores."""

import re
from collections.abc import Iterable

from exporter.domain import Feedback, SeriesKey
from exporter.fold import Record, unpack_totals
from exporter.store.base import Cursor, Store
from exporter.store.redis_keys import place_of
from tests.support.ratings import KEY, NOW


def rating(
    feedback_id: str, key: SeriesKey = KEY, *, score: int = 500_000, timestamp: int = NOW, arrival: int = NOW
) -> Feedback:
    """Return a rating; times in microseconds, score in millionths."""
    return Feedback(key, feedback_id, score, timestamp, arrival)


def ratings(feedback_ids: Iterable[str], key: SeriesKey = KEY) -> list[Feedback]:
    """Return ratings of one series that differ in their ids only."""
    return [rating(feedback_id, key) for feedback_id in feedback_ids]


def exactly(text: str) -> str:
    """Return the pattern that matches ``text`` as a whole."""
    return rf"\A{re.escape(text)}\Z"


def keys(number: int) -> list[SeriesKey]:
    """Return the keys of so many series, each a stage of one workflow."""
    return [SeriesKey("workflow", f"stage-{place}", "cheap") for place in range(number)]


def neighbours(number: int) -> list[SeriesKey]:
    """Return the keys of so many series in the shard of ``KEY``: in Redis, an append to one deletes dead others."""
    return [key for key in keys(1000) if place_of(key).shard == place_of(KEY).shard][:number]


def count(record: Record | None) -> int:
    """Return the number of ratings in a record, 0 where there is none."""
    return sum(unpack_totals(record.totals).buckets) if record else 0


class Reader:
    """What a reader of changes knows: the records of every series."""

    def __init__(self, store: Store) -> None:
        """Know nothing yet."""
        self._store = store
        self._cursor: Cursor | None = None
        self.records: dict[SeriesKey, Record] = {}

    def poll(self) -> bool:
        """Read what changed, and tell whether that was all there is."""
        changes = self._store.changes(self._cursor)
        self._cursor = changes.cursor
        if changes.complete:
            self.records.clear()
        for key, record in changes.items:
            if record is None:
                self.records.pop(key, None)
            else:
                self.records[key] = record
        return changes.complete
