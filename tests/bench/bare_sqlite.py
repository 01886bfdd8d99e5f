"""The bare loop on SQLite: the rows that the store would write, made beforehand, one transaction a batch."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exporter.domain import Feedback
from exporter.fold import id_periods
from exporter.store import open_store
from exporter.store.base import LOG_LENGTH, digest
from tests.bench import streams
from tests.bench.harness import seconds

TABLES = ("series", "ids", "log")


class RowsDiffer(Exception):
    """The two files do not hold the same rows: the comparison means nothing."""


class Rows(NamedTuple):
    """What one batch changes."""

    series: list[tuple[Any, ...]]
    ids: list[tuple[Any, ...]]
    log: list[tuple[Any, ...]]
    dropped: list[tuple[int, int]]
    revision: int


class BareSQLite:
    """A file that begins as the store's, and is then written without the store."""

    def __init__(self, directory: Path, series: int, ratings: int) -> None:
        """Fill the store's file with so many series of so many ratings, and copy it."""
        self._theirs, self._ours = directory / "store.db", directory / "bare.db"
        with closing(open_store(f"sqlite:///{self._theirs}")) as store:
            list(streams.fill(store, series, ratings))
        shutil.copy(self._theirs, self._ours)
        self._prepared: list[Rows] = []

    def prepare(self, batches: Sequence[list[Feedback]], now: int) -> None:
        """Let the store write ``batches``, and keep the rows that each changed."""
        with closing(open_store(f"sqlite:///{self._theirs}")) as store, closing(sqlite3.connect(self._theirs)) as db:
            for batch in batches:
                before = dict(db.execute("SELECT id, arrivals FROM series"))
                store.append(batch, now)
                self._prepared.append(_changed(db, batch, before, now))

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the bare file as the store opens its own."""
        with closing(sqlite3.connect(self._ours, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_mode = WAL")
            yield db

    def write(self, db: sqlite3.Connection, number: int) -> float:
        """Write the next ``number`` batches, and return the seconds that took."""
        batches, self._prepared = self._prepared[:number], self._prepared[number:]

        def write_all() -> None:
            for rows in batches:
                _write(db, rows)

        return seconds(write_all)

    def check_equal(self) -> None:
        """Compare the files.

        Raises:
            RowsDiffer: they do not hold the same rows.

        """
        for table in TABLES:
            if _rows(self._theirs, table) != _rows(self._ours, table):
                raise RowsDiffer(f"the bare loop and the store left different rows in {table}")


def _write(db: sqlite3.Connection, rows: Rows) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "UPDATE series SET revision = ?, arrivals = ?, death = ?, hours = ?, newest = ?, totals = ? WHERE id = ?",
        rows.series,
    )
    db.executemany("INSERT INTO ids VALUES (?, ?, ?)", rows.ids)
    db.executemany("INSERT INTO log VALUES (?, ?, ?)", rows.log)
    db.executemany("DELETE FROM log WHERE series = ? AND number < ?", rows.dropped)
    db.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (rows.revision,))
    db.execute("COMMIT")


def _changed(db: sqlite3.Connection, batch: list[Feedback], before: dict[int, int], now: int) -> Rows:
    ((revision,),) = db.execute("SELECT value FROM meta WHERE key = 'revision'").fetchall()
    columns = "revision, arrivals, death, hours, newest, totals, id"
    series = db.execute(f"SELECT {columns} FROM series WHERE revision = ?", (revision,)).fetchall()  # noqa: S608 - names of columns
    numbers = {row[:3]: row[3] for row in db.execute("SELECT workflow, stage, tier, id FROM series")}
    ids = sorted((id_periods(now)[0], numbers[rating.key], digest(rating.feedback_id)) for rating in batch)
    added = "SELECT series, number, entry FROM log WHERE series = ? AND number >= ? ORDER BY number"
    log = [row for *_, number in series for row in db.execute(added, (number, before[number]))]
    dropped = [(number, arrivals - LOG_LENGTH) for _, arrivals, *_, number in series]
    return Rows(series, ids, log, dropped, revision)


def _rows(path: Path, table: str) -> set[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute(f"SELECT * FROM {table}"))  # noqa: S608 - one of three names
