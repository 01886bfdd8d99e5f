"""The embedded store: a SQLite file that several processes may share, or a database in memory.

A request is one transaction. Whatever it changes, it changes under the next value of one revision counter, so what
changed is what has a revision above the reader's.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.fold import Record
from exporter.store.base import Changes, Cursor, Store, Verdict, newest_first, unpack_entry
from exporter.store.sqlite_file import SQLiteFile
from exporter.store.sqlite_request import Request

_RECORD = """SELECT hours, newest, totals FROM series
    WHERE workflow = ? AND stage = ? AND tier = ? AND death IS NOT NULL"""
_LOG = """SELECT entry FROM log
    WHERE series = (SELECT id FROM series WHERE workflow = ? AND stage = ? AND tier = ?) ORDER BY number"""


class _Cursor(NamedTuple):
    """What a reader has seen: random id of the store, and its revision."""

    store: str
    revision: int


class SQLiteStore(Store):
    """See ``Store``."""

    def __init__(self, path: str, retention: int, series_limit: int) -> None:
        """Keep the path, empty for a database in memory; open it later."""
        super().__init__(retention, series_limit)
        self._file = SQLiteFile("" if path == ":memory:" else path, retention)

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """See ``Store``."""
        with self._file.writing("store ratings") as (db, meta):
            request = Request(db, meta["revision"] + 1, meta["retention"], now)
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
            request = Request(db, meta["revision"] + 1, meta["retention"], now)
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
