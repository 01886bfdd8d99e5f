"""What one transaction of the SQLite store changes, all of it under one new revision."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from exporter.domain import Feedback, SeriesKey
from exporter.fold import Record, death, fold, id_periods
from exporter.store.base import LOG_LENGTH, MAX_TOMBSTONES, SWEPT, Verdict, digest, grouped, pack_entry

T = TypeVar("T")

# Ids or series in one query, with up to three parameters each: an SQLite of any build takes 999.
ASKED_A_QUERY = 256
# At most so many ids of old periods are forgotten by an append; by a larger batch, twice as many as it has ratings.
IDS_FORGOTTEN = 1000

_UNTIDY = """SELECT EXISTS (SELECT 1 FROM series WHERE death <= ?), EXISTS (SELECT 1 FROM ids WHERE period < ?)"""
_FORGET_IDS = """DELETE FROM ids WHERE (period, series, digest) IN (
    SELECT period, series, digest FROM ids WHERE period < ? LIMIT ?)"""


class _Series(NamedTuple):
    """A row of a series; ``death`` (microseconds) is ``None`` where it is a tombstone."""

    id: int
    arrivals: int
    death: int | None
    hours: bytes
    newest: bytes
    totals: bytes

    def is_alive(self, now: int) -> bool:
        """Tell whether an hour of its record is still retained."""
        return self.death is not None and self.death > now


class _Id(NamedTuple):
    """What a series remembers of a feedback id."""

    series: int
    digest: bytes


@cache
def _series_of(count: int) -> str:
    """Query for the rows of ``count`` series, with their names in front."""
    wanted = ", ".join(["(?, ?, ?)"] * count)
    # Row values in a list are not looked for in the index but by reading every series: the join begins with the names.
    return f"""WITH wanted (w, s, t) AS (VALUES {wanted})
        SELECT workflow, stage, tier, id, arrivals, death, hours, newest, totals
        FROM wanted CROSS JOIN series ON workflow = w AND stage = s AND tier = t"""  # noqa: S608 - nothing but question marks


@cache
def _known_ids(count: int) -> str:
    """Query for those of ``count`` ids that are remembered in one of four periods."""
    wanted = ", ".join(["(?, ?)"] * count)
    return f"""WITH asked (a, b, c, d) AS (VALUES (?, ?, ?, ?)), wanted (series, digest) AS (VALUES {wanted})
        SELECT series, digest FROM wanted, asked WHERE EXISTS (
            SELECT 1 FROM ids WHERE period IN (a, b, c, d)
            AND ids.series = wanted.series AND ids.digest = wanted.digest)"""  # noqa: S608 - nothing but question marks


def _parts(asked: Sequence[T]) -> Iterator[Sequence[T]]:
    return (asked[begin : begin + ASKED_A_QUERY] for begin in range(0, len(asked), ASKED_A_QUERY))


class Request:
    """One transaction on ``db``; nothing of it stands before ``commit`` and the end of the transaction."""

    def __init__(self, db: sqlite3.Connection, revision: int, retention: int, now: int) -> None:
        """Begin at ``now`` (microseconds), in a store that keeps ``retention`` seconds."""
        self._db = db
        self._revision = revision
        self._retention = retention
        self._now = now
        self._periods = id_periods(now)
        self._stored = self._buried = False

    def append(self, batch: Sequence[Feedback], series_limit: int) -> list[Verdict]:
        """Store the ratings that are new and find room; a little of what is dead goes on the way."""
        self._tidy(len(batch))
        verdicts: list[Verdict] = ["series_limit"] * len(batch)
        groups = self._with_room(grouped(batch), series_limit)
        ids = [_Id(series.id, digest(batch[place].feedback_id)) for series, places in groups for place in places]
        known = self._known(ids)
        self._db.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", self._in_period(set(ids) - known))
        of_each = iter(ids)
        written = []
        for series, places in groups:
            fresh = []
            for place, an_id in zip(places, of_each, strict=False):
                verdicts[place] = "duplicate" if an_id in known else "new"
                if an_id not in known:
                    known.add(an_id)
                    fresh.append(batch[place])
            if fresh:
                written.append((series, fresh))
        self._write(written)
        return verdicts

    def _with_room(self, groups: dict[SeriesKey, list[int]], limit: int) -> list[tuple[_Series, list[int]]]:
        """Series and places of the ratings that may be stored, in order of first appearance."""
        room: int | None = None
        found = []
        there = self._series(list(groups))
        for key, places in groups.items():
            series = there.get(key)
            if not (series and series.is_alive(self._now)):
                room = limit - self._alive() if room is None else room
                if room <= 0:
                    continue
                room -= 1
            found.append((series or self._begun(key), places))
        return found

    def _series(self, keys: list[SeriesKey]) -> dict[SeriesKey, _Series]:
        """Rows of those of ``keys`` that have one."""
        found: dict[SeriesKey, _Series] = {}
        for part in _parts(keys):
            rows = self._db.execute(_series_of(len(part)), tuple(chain.from_iterable(part)))
            found.update((SeriesKey._make(row[:3]), _Series._make(row[3:])) for row in rows)
        return found

    def _begun(self, key: SeriesKey) -> _Series:
        insert = "INSERT INTO series (workflow, stage, tier, revision) VALUES (?, ?, ?, ?)"
        number = self._db.execute(insert, (*key, self._revision)).lastrowid or 0
        return _Series(number, 0, None, *Record())

    def _alive(self) -> int:
        ((alive,),) = self._db.execute("SELECT count(*) FROM series WHERE death > ?", (self._now,))
        return int(alive)

    def _known(self, ids: list[_Id]) -> set[_Id]:
        """Those of ``ids`` that are remembered."""
        known: set[_Id] = set()
        for part in _parts(ids):
            rows = self._db.execute(_known_ids(len(part)), (*self._periods, *chain.from_iterable(part)))
            known.update(_Id._make(row) for row in rows)
        return known

    def _in_period(self, ids: Iterable[_Id]) -> Iterator[tuple[int, int, bytes]]:
        """Rows that remember ``ids``, in the order of their index."""
        return ((self._periods[0], *each) for each in sorted(ids))

    def _write(self, written: list[tuple[_Series, list[Feedback]]]) -> None:
        """Fold ratings into the records and append them to the logs; those of a dead series start anew."""
        if not written:
            return
        dead = [(series.id,) for series, _ in written if not series.is_alive(self._now)]
        if dead:
            self._db.executemany("DELETE FROM log WHERE series = ?", dead)
        self._db.executemany(
            "UPDATE series SET revision = ?, arrivals = ?, death = ?, hours = ?, newest = ?, totals = ? WHERE id = ?",
            (self._folded(series, ratings) for series, ratings in written),
        )
        self._db.executemany(
            "INSERT INTO log VALUES (?, ?, ?)",
            (
                (series.id, series.arrivals + place, pack_entry(rating))
                for series, ratings in written
                for place, rating in enumerate(ratings)
            ),
        )
        self._db.executemany(
            "DELETE FROM log WHERE series = ? AND number < ?",
            ((series.id, series.arrivals + len(ratings) - LOG_LENGTH) for series, ratings in written),
        )
        self._stored = True

    def _folded(self, series: _Series, ratings: list[Feedback]) -> tuple[Any, ...]:
        alive = series.is_alive(self._now)
        record = fold(Record._make(series[3:]) if alive else None, ratings, self._now, self._retention)
        return self._revision, series.arrivals + len(ratings), death(record, self._retention), *record, series.id

    def clear(self, workflow: str, stage: str | None) -> list[tuple[SeriesKey, Record]]:
        """Delete a workflow's or a stage's series, and forget their ids."""
        rows = self._db.execute(
            "SELECT id, workflow, stage, tier, hours, newest, totals FROM series "
            "WHERE workflow = ?1 AND (?2 IS NULL OR stage = ?2)",
            (workflow, stage),
        ).fetchall()
        self._db.executemany(
            "DELETE FROM ids WHERE period IN (?, ?, ?, ?) AND series = ?", ((*self._periods, row[0]) for row in rows)
        )
        rows = [row for row in rows if row[4] is not None]
        self._bury([row[0] for row in rows])
        return [(SeriesKey._make(row[1:4]), Record._make(row[4:])) for row in rows]

    def _tidy(self, ratings: int) -> None:
        """Delete some of the dead series, and some ids of periods in which none is looked for any more."""
        dead, old = self._db.execute(_UNTIDY, (self._now, min(self._periods))).fetchone()
        if dead:
            limit = max(SWEPT, ratings)
            rows = self._db.execute("SELECT id FROM series WHERE death <= ? LIMIT ?", (self._now, limit)).fetchall()
            self._bury([series for (series,) in rows])
        if old:
            self._db.execute(_FORGET_IDS, (min(self._periods), max(IDS_FORGOTTEN, 2 * ratings)))

    def _bury(self, dead: list[int]) -> None:
        """Turn series into tombstones, for readers of changes."""
        bury = "UPDATE series SET revision = ?, death = NULL, hours = NULL, newest = NULL, totals = NULL WHERE id = ?"
        self._db.executemany(bury, ((self._revision, series) for series in dead))
        self._db.executemany("DELETE FROM log WHERE series = ?", ((series,) for series in dead))
        self._buried = self._buried or bool(dead)

    def commit(self) -> None:
        """Write the revision, and drop the oldest tombstones beyond the bound."""
        if self._stored or self._buried:
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (self._revision,))
        if self._buried:
            oldest = "SELECT revision FROM series WHERE death IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?"
            for (revision,) in self._db.execute(oldest, (MAX_TOMBSTONES,)).fetchall():
                self._db.execute("DELETE FROM series WHERE death IS NULL AND revision <= ?", (revision,))
                self._db.execute("UPDATE meta SET value = ? WHERE key = 'pruned'", (revision,))
