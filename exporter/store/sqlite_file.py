"""The way to one SQLite database: schema, stamp, connections, transactions, and what its errors mean.

A file has one connection that writes and one that reads, each for one thread at a time; several processes may
share it. A database in memory has one for both.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from exporter.errors import StoreError, StoreRefused, StoreUnavailable
from exporter.fold import HOUR_SECONDS, VERSION
from exporter.store.base import check_stamp

BUSY_SECONDS = 5
BUSY_PAUSE_SECONDS = 0.01
# "LFBK": tells our files from other SQLite databases.
APPLICATION_ID = 0x4C46424B

# A series that was cleared or that died stays as a tombstone: it has a revision, but neither death nor record.
# It keeps its id, and so the feedback ids that it remembers until they are forgotten or cleared.
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS series (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        workflow TEXT NOT NULL, stage TEXT NOT NULL, tier TEXT NOT NULL,
        revision INTEGER NOT NULL, arrivals INTEGER NOT NULL DEFAULT 0, death INTEGER,
        hours BLOB, newest BLOB, totals BLOB,
        UNIQUE (workflow, stage, tier))""",
    "CREATE INDEX IF NOT EXISTS series_by_revision ON series (revision)",
    "CREATE INDEX IF NOT EXISTS series_by_death ON series (death) WHERE death IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS tombstones ON series (revision) WHERE death IS NULL",
    """CREATE TABLE IF NOT EXISTS ids (
        period INTEGER, series INTEGER, digest BLOB, PRIMARY KEY (period, series, digest)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS log (
        series INTEGER, number INTEGER, entry BLOB NOT NULL, PRIMARY KEY (series, number)) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

# SQLite's primary result codes that waiting may mend, and what to do about each that needs it said.
_TRANSIENT = {
    sqlite3.SQLITE_BUSY: "another process holds it: ask again",
    sqlite3.SQLITE_LOCKED: "another process holds it: ask again",
    sqlite3.SQLITE_PROTOCOL: "another process holds it: ask again",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "see that its disk works and has room",
    sqlite3.SQLITE_NOMEM: "give the machine more memory",
    sqlite3.SQLITE_READONLY: "see that its file, directory and disk may be written",
    sqlite3.SQLITE_CANTOPEN: "see that its directory is still there",
}
_LASTING = {
    sqlite3.SQLITE_NOTADB: "the file is something else: give another path",
    sqlite3.SQLITE_CORRUPT: "restore it from a backup, or move it away to begin anew",
}
# The same codes mean something else while the file is opened for the first time.
_UNUSABLE = dict.fromkeys(
    (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
    "give the path of a file, in a directory that exists, where this user may write",
)


class _Line:
    """A connection, made when it is first needed, for one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None


class SQLiteFile:
    """One database. Making the object does no I/O; thread-safe."""

    def __init__(self, path: str, retention: int) -> None:
        """Keep the path, empty for a database in memory, and what a new database is stamped with (seconds)."""
        self.shown = f"sqlite:///{path}" if path else "sqlite://"
        self._path = path or ":memory:"
        self._retention = retention
        self._writer = _Line()
        self._reader = _Line() if path else self._writer

    @contextmanager
    def writing(self, what: str) -> Iterator[tuple[sqlite3.Connection, dict[str, Any]]]:
        """Run the block in one transaction that writes, durable when it ends; gives connection and meta table."""
        with self._transaction(self._writer, "IMMEDIATE", what) as db:
            yield db, dict(db.execute("SELECT key, value FROM meta"))

    @contextmanager
    def reading(self, what: str) -> Iterator[tuple[sqlite3.Connection, dict[str, Any]]]:
        """Run the block in one short transaction that reads a single state; gives connection and meta table."""
        with self._transaction(self._reader, "DEFERRED", what) as db:
            yield db, dict(db.execute("SELECT key, value FROM meta"))

    @contextmanager
    def _transaction(self, line: _Line, mode: str, what: str) -> Iterator[sqlite3.Connection]:
        with self._held(line, what):
            if line.connection is None:
                with self._translating("open it", _UNUSABLE):
                    line.connection = self._opened()
            db = line.connection
            with self._translating(what, {}):
                try:
                    db.execute(f"BEGIN {mode}")
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    # Some errors have rolled back already.
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                    raise

    @contextmanager
    def _held(self, line: _Line, what: str) -> Iterator[None]:
        if not line.lock.acquire(timeout=BUSY_SECONDS):
            raise StoreUnavailable(f"{self.shown}: cannot {what}: other threads keep it busy; ask again")
        try:
            yield
        finally:
            line.lock.release()

    @contextmanager
    def _translating(self, what: str, unusable: dict[int, str]) -> Iterator[None]:
        """Turn an error of SQLite inside the block into one of ours, which says that it cannot do ``what``."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(what, unusable, error) from error

    def _failure(self, what: str, unusable: dict[int, str], error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        text = f"{self.shown}: cannot {what}: {error}"
        if code in _TRANSIENT and code not in unusable:
            return StoreUnavailable(f"{text}; {_TRANSIENT[code]}")
        advice = unusable.get(code) or _LASTING.get(code) or "its tables are not as they should be: give another path"
        return StoreRefused(f"{text}; {advice}")

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if not self._is_ours(db):
                self._make(db)
            _write_ahead(db)
            stamp = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('format', 'width')"))
            check_stamp(self.shown, stamp["format"], stamp["width"])
        except BaseException:
            db.close()
            raise
        return db

    def _is_ours(self, db: sqlite3.Connection) -> bool:
        """Tell our database from an empty one, and touch no database of somebody else."""
        # In this order: another process may be making it now, and writes both at once.
        ((tables,),) = db.execute("SELECT count(*) FROM sqlite_master")
        ((owner,),) = db.execute("PRAGMA application_id")
        if tables and owner != APPLICATION_ID:
            raise StoreRefused(f"{self.shown} is a database of another program; give another path")
        return bool(tables)

    def _make(self, db: sqlite3.Connection) -> None:
        """Make and stamp what an empty database needs, unless another process was first."""
        stamp = {
            "format": VERSION,
            "width": HOUR_SECONDS,
            "retention": self._retention,
            "store": secrets.token_hex(8),
            "revision": 0,
            "pruned": 0,
        }
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            db.execute(statement)
        db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", stamp.items())
        db.execute("COMMIT")

    def close(self) -> None:
        """Close the connections."""
        for line in (self._writer, self._reader):
            with line.lock:
                if line.connection is not None:
                    line.connection.close()
                line.connection = None


def _write_ahead(db: sqlite3.Connection) -> None:
    """Write ahead, and to the disk before a commit returns."""
    db.execute("PRAGMA synchronous = FULL")
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait here, when two processes make one file in the same instant.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(BUSY_PAUSE_SECONDS)
        else:
            return
