"""The embedded store: a SQLite file that several processes may share, or a database in memory.

A request is one transaction. Whatever it changes, it changes under the next value of one revision counter, so what
changed is what has a revision above the reader's.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.fold import Record, death, fold, id_periods
from exporter.store.base import (
    LOG_LENGTH,
    MAX_TOMBSTONES,
    SWEPT,
    Changes,
    Cursor,
    Store,
    Verdict,
    digest,
    grouped,
    newest_first,
    pack_entry,
    unpack_entry,
)
from exporter.store.sqlite_file import SQLiteFile

# At most so many ids of old periods are forgotten by an append; by a larger batch, twice as many as it has ratings.
IDS_FORGOTTEN = 1000

_SERIES = """SELECT id, arrivals, death, hours, newest, totals FROM series
    WHERE workflow = ? AND stage = ? AND tier = ?"""
_RECORD = """SELECT hours, newest, totals FROM series
    WHERE workflow = ? AND stage = ? AND tier = ? AND death IS NOT NULL"""
_LOG = """SELECT entry FROM log
    WHERE series = (SELECT id FROM series WHERE workflow = ? AND stage = ? AND tier = ?) ORDER BY number"""
_NEW_ID = """INSERT INTO ids SELECT ?1, ?5, ?6 WHERE NOT EXISTS (
    SELECT 1 FROM ids WHERE period IN (?1, ?2, ?3, ?4) AND series = ?5 AND digest = ?6)"""
_FORGET_IDS = """DELETE FROM ids WHERE (period, series, digest) IN (
    SELECT period, series, digest FROM ids WHERE period < ? LIMIT ?)"""


class _Cursor(NamedTuple):
    """What a reader has seen: random id of the store, and its revision."""

    store: str
    revision: int


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


class SQLiteStore(Store):
    """See ``Store``."""

    def __init__(self, path: str, retention: int, series_limit: int) -> None:
        """Keep the path, empty for a database in memory; open it later."""
        super().__init__(retention, series_limit)
        self._file = SQLiteFile("" if path == ":memory:" else path, retention)

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """See ``Store``."""
        with self._file.writing("store ratings") as (db, meta):
            request = _Request(db, meta["revision"] + 1, meta["retention"], now)
            request.sweep(max(SWEPT, len(batch)))
            request.forget_ids(max(IDS_FORGOTTEN, 2 * len(batch)))
            verdicts = request.append(batch, self.series_limit)
            request.commit()
        return verdicts

    def changes(self, cursor: Cursor | None) -> Changes:
        """See ``Store``."""
        with self._file.reading("read what changed") as (db, meta):
            now, pruned = _Cursor(meta["store"], meta["revision"]), meta["pruned"]
            query = "SELECT workflow, stage, tier, hours, newest, totals FROM series WHERE "
            if isinstance(cursor, _Cursor) and cursor.store == now.store and pruned <= cursor.revision <= now.revision:
                rows = db.execute(f"{query} revision > ?", (cursor.revision,)).fetchall()
                complete = False
            else:
                rows = db.execute(f"{query} death IS NOT NULL").fetchall()
                complete = True
        items = [
            (SeriesKey(workflow, stage, tier), None if hours is None else Record(hours, newest, totals))
            for workflow, stage, tier, hours, newest, totals in rows
        ]
        return Changes(now, items, complete)

    def record(self, key: SeriesKey) -> Record | None:
        """See ``Store``."""
        with self._file.reading("read a record") as (db, _):
            row = db.execute(_RECORD, key).fetchone()
        return Record._make(row) if row else None

    def history(self, keys: Iterable[SeriesKey], limit: int, before: int | None = None) -> list[Feedback]:
        """See ``Store``."""
        with self._file.reading("read ratings") as (db, _):
            logs = [(key, db.execute(_LOG, key).fetchall()) for key in keys]
        return newest_first([unpack_entry(key, entry) for key, log in logs for (entry,) in log], limit, before)

    def clear(self, workflow: str, stage: str | None, now: int) -> list[tuple[SeriesKey, Record]]:
        """See ``Store``."""
        with self._file.writing("clear ratings") as (db, meta):
            request = _Request(db, meta["revision"] + 1, meta["retention"], now)
            deleted = request.clear(workflow, stage)
            request.commit()
        return deleted

    def raise_retention(self, retention: int) -> None:
        """See ``Store``."""
        with self._file.writing("prepare the store") as (db, meta):
            more = retention - meta["retention"]
            if more > 0:
                db.execute("UPDATE series SET death = death + ?", (more * MILLION,))
                db.execute("UPDATE meta SET value = ? WHERE key = 'retention'", (retention,))

    def ping(self) -> None:
        """See ``Store``."""
        with self._file.writing("write") as (db, _):
            db.execute("INSERT INTO meta VALUES ('pings', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1")

    def close(self) -> None:
        """See ``Store``."""
        self._file.close()


class _Request:
    """What one transaction changes, all of it under one new revision."""

    def __init__(self, db: sqlite3.Connection, revision: int, retention: int, now: int) -> None:
        self._db = db
        self._revision = revision
        self._retention = retention
        self._now = now
        self._periods = id_periods(now)
        self._stored = self._buried = False

    def append(self, batch: Sequence[Feedback], series_limit: int) -> list[Verdict]:
        """Store the ratings that are new and find room."""
        verdicts: list[Verdict] = ["series_limit"] * len(batch)
        room: int | None = None
        for key, places in grouped(batch).items():
            series = self._series(key)
            if not (series and series.is_alive(self._now)):
                room = series_limit - self._alive() if room is None else room
                if room <= 0:
                    continue
                room -= 1
            series = series or self._begun(key)
            fresh = []
            for place in places:
                is_new = self._remember(series.id, batch[place].feedback_id)
                verdicts[place] = "new" if is_new else "duplicate"
                if is_new:
                    fresh.append(batch[place])
            if fresh:
                self._store(series, fresh)
        return verdicts

    def _series(self, key: SeriesKey) -> _Series | None:
        row = self._db.execute(_SERIES, key).fetchone()
        return _Series._make(row) if row else None

    def _begun(self, key: SeriesKey) -> _Series:
        insert = "INSERT INTO series (workflow, stage, tier, revision) VALUES (?, ?, ?, ?)"
        number = self._db.execute(insert, (*key, self._revision)).lastrowid or 0
        return _Series(number, 0, None, *Record())

    def _alive(self) -> int:
        ((alive,),) = self._db.execute("SELECT count(*) FROM series WHERE death > ?", (self._now,))
        return int(alive)

    def _remember(self, series: int, feedback_id: str) -> bool:
        """Remember an id, and tell whether it is new."""
        return self._db.execute(_NEW_ID, (*self._periods, series, digest(feedback_id))).rowcount == 1

    def _store(self, series: _Series, ratings: list[Feedback]) -> None:
        """Fold ratings into the record and append them to the log; those of a dead series start anew."""
        alive = series.is_alive(self._now)
        if not alive:
            self._db.execute("DELETE FROM log WHERE series = ?", (series.id,))
        record = fold(Record._make(series[3:]) if alive else None, ratings, self._now, self._retention)
        arrivals = series.arrivals + len(ratings)
        self._db.execute(
            "UPDATE series SET revision = ?, arrivals = ?, death = ?, hours = ?, newest = ?, totals = ? WHERE id = ?",
            (self._revision, arrivals, death(record, self._retention), *record, series.id),
        )
        self._db.executemany(
            "INSERT INTO log VALUES (?, ?, ?)",
            ((series.id, series.arrivals + place, pack_entry(rating)) for place, rating in enumerate(ratings)),
        )
        self._db.execute("DELETE FROM log WHERE series = ? AND number < ?", (series.id, arrivals - LOG_LENGTH))
        self._stored = True

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

    def sweep(self, limit: int) -> None:
        """Delete dead series."""
        dead = self._db.execute("SELECT id FROM series WHERE death <= ? LIMIT ?", (self._now, limit)).fetchall()
        self._bury([series for (series,) in dead])

    def forget_ids(self, limit: int) -> None:
        """Forget ids of periods in which none is looked for any more."""
        self._db.execute(_FORGET_IDS, (min(self._periods), limit))

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
