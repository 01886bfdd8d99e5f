"""The SQLite store's own ways: one file, several processes, and what goes wrong with files."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import exporter.store.sqlite_file
import exporter.store.sqlite_request
from exporter.errors import StoreRefused, StoreUnavailable
from exporter.fold import Record
from exporter.rules import WEEK
from exporter.store import open_store
from exporter.store.base import Store
from exporter.store.sqlite import SQLiteStore
from tests.store.helpers import count, exactly, keys, rating, ratings
from tests.support.ratings import HOUR, KEY, NOW

Opened = Callable[..., Store]

UNUSABLE = "give the path of a file, in a directory that exists, where this user may write"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file that is not there yet."""
    return tmp_path / "feedback.db"


@pytest.fixture
def store(path: Path, opened: Opened) -> SQLiteStore:
    """Return an empty store."""
    store = opened(f"sqlite:///{path}")
    assert isinstance(store, SQLiteStore)
    return store


def refuses(store: Store, reason: str) -> None:
    """See that a store refuses to read, to write and to answer, each time with the same words."""
    for ask in (lambda: store.changes(None), lambda: store.append(ratings(["1"]), NOW), store.ping):
        with pytest.raises(StoreRefused, match=exactly(reason)):
            ask()


class TestOpening:
    """What is found where the URL points."""

    def test_nothing_is_done_before_it_is_used(self, path: Path, opened: Opened) -> None:
        """Making a store makes no file; the first operation does."""
        store = opened(f"sqlite:///{path}")
        assert not path.exists()
        store.changes(None)
        assert path.exists()

    def test_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
        """Three slashes name a file in the working directory."""
        monkeypatch.chdir(tmp_path)
        opened("sqlite:///here.db").ping()

        assert (tmp_path / "here.db").exists()

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_in_memory(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
        """A store in memory reads what it wrote, makes no file and shares nothing."""
        monkeypatch.chdir(tmp_path)
        store = opened(url)
        store.append(ratings(["1"]), NOW)

        assert count(store.record(KEY)) == 1
        assert opened(url).changes(None).items == []
        assert list(tmp_path.iterdir()) == []

    def test_no_path(self) -> None:
        """Three slashes without a path name no store, rather than one in memory."""
        reason = (
            "store URL 'sqlite:///' names no store; "
            "known are sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://, redis+sentinel://, redis+cluster://"
        )
        with pytest.raises(StoreRefused, match=exactly(reason)):
            open_store("sqlite:///")

    @pytest.mark.parametrize("name", ["", "none/feedback.db"], ids=["a directory", "in a directory that is missing"])
    def test_unusable_path(self, name: str, tmp_path: Path, opened: Opened) -> None:
        """A path that can hold no file is refused in words."""
        shown = f"sqlite:///{tmp_path / name}"
        refuses(opened(shown), f"{shown}: cannot open it: unable to open database file; {UNUSABLE}")

    def test_no_database(self, path: Path, opened: Opened) -> None:
        """A file that is no database is refused and left as it is."""
        path.write_bytes(b"not a database, " * 100)
        shown = f"sqlite:///{path}"

        refuses(
            opened(shown),
            f"{shown}: cannot open it: file is not a database; the file is something else: give another path",
        )
        assert path.read_bytes() == b"not a database, " * 100

    def test_database_of_another_program(self, path: Path, opened: Opened) -> None:
        """A database of another program is refused and left as it is."""
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE log (line TEXT)")
        db.close()
        before = path.read_bytes()

        refuses(opened(f"sqlite:///{path}"), f"sqlite:///{path} is a database of another program; give another path")
        assert path.read_bytes() == before

    @pytest.mark.parametrize(("stamp", "value"), [("width", 7200), ("format", 2)])
    def test_other_format(self, path: Path, store: Store, opened: Opened, stamp: str, value: int) -> None:
        """A store with buckets of another width, or of a newer format, is refused."""
        store.append(ratings(["1"]), NOW)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, stamp))
        db.close()
        found = {"format": 1, "width": 3600, stamp: value}

        refuses(
            opened(f"sqlite:///{path}"),
            f"sqlite:///{path}: its records have format {found['format']} with buckets of {found['width']} s, this "
            "version reads format 1 with buckets of 3600 s; use the version that wrote them, or another store",
        )

    def test_made_by_many_at_once(self, tmp_path: Path, opened: Opened) -> None:
        """A file that several make in the same instant holds what each of them stored."""
        for attempt in range(10):
            url = f"sqlite:///{tmp_path / f'{attempt}.db'}"
            stores = [opened(url) for _ in range(6)]
            together = threading.Barrier(len(stores))

            def append(number: int, stores: list[Store] = stores, together: threading.Barrier = together) -> None:
                together.wait()
                stores[number].append(ratings([f"{number}"]), NOW)

            threads = [threading.Thread(target=append, args=(number,)) for number in range(len(stores))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert count(stores[0].record(KEY)) == len(stores)

    def test_opened_while_it_is_made(self, path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever cannot change to write-ahead mode yet tries again, and gives up in time."""
        first = opened(f"sqlite:///{path}")
        first.ping()
        first.close()
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(exporter.store.sqlite_file, "BUSY_SECONDS", 0.1)
        second = opened(f"sqlite:///{path}")

        reason = f"sqlite:///{path}: cannot open it: database is locked; another process holds it: ask again"
        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            second.ping()
        db.execute("COMMIT")
        db.close()
        second.ping()


class TestTrouble:
    """What goes wrong later."""

    def test_locked(self, path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that another process keeps locked is unavailable to writers, readable, and mends by itself."""
        monkeypatch.setattr(exporter.store.sqlite_file, "BUSY_SECONDS", 0.1)
        store = opened(f"sqlite:///{path}")
        store.append(ratings(["1"]), NOW)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        for doing, ask in (
            ("store ratings", lambda: store.append(ratings(["2"]), NOW)),
            ("clear ratings", lambda: store.clear(KEY.workflow, None, NOW)),
            ("prepare the store", lambda: store.raise_retention(2 * WEEK)),
            ("write", store.ping),
        ):
            reason = f"sqlite:///{path}: cannot {doing}: database is locked; another process holds it: ask again"
            with pytest.raises(StoreUnavailable, match=exactly(reason)):
                ask()
        assert count(store.record(KEY)) == 1
        other.execute("COMMIT")
        other.close()
        assert store.append(ratings(["2"]), NOW) == ["new"]

    def test_busy(self, store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thread does not wait without end for the others."""
        monkeypatch.setattr(exporter.store.sqlite_file, "BUSY_SECONDS", 0.05)
        store.ping()
        reason = f"sqlite:///{path}: cannot write: other threads keep it busy; ask again"

        with store._file._writer.lock, pytest.raises(StoreUnavailable, match=exactly(reason)):
            store.ping()
        store.ping()

    def test_full_disk(self, store: SQLiteStore, path: Path) -> None:
        """On a full disk nothing of a batch is stored; once there is room the same batch is new."""
        store.append(ratings(["1"]), NOW)
        before = store.changes(None)
        self.limit_pages(store, 1)
        batch = [rating(f"{place}", key) for key in keys(20) for place in range(50)]
        reason = f"sqlite:///{path}: cannot store ratings: database or disk is full; make room on its disk"

        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            store.append(batch, NOW)
        assert store.changes(None) == before
        assert store.history(keys(20), 10) == []
        self.limit_pages(store, 1_000_000)
        assert store.append(batch, NOW) == ["new"] * 1000

    def limit_pages(self, store: SQLiteStore, pages: int) -> None:
        """Let the file grow to so many pages, and no smaller than it is."""
        connection = store._file._writer.connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def test_read_only(self, store: SQLiteStore, path: Path) -> None:
        """A file that became read-only is unavailable to writers and still read."""
        store.append(ratings(["1"]), NOW)
        connection = store._file._writer.connection
        assert connection is not None
        connection.execute("PRAGMA query_only = ON")
        reason = (
            f"sqlite:///{path}: cannot store ratings: attempt to write a readonly database; "
            "see that its file, directory and disk may be written"
        )

        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            store.append(ratings(["2"]), NOW)
        assert count(store.record(KEY)) == 1

    def test_damaged(self, store: Store, path: Path, opened: Opened) -> None:
        """A damaged file is refused."""
        store.append([rating(f"{place}", key) for key in keys(50) for place in range(20)], NOW)
        store.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))

        reason = (
            f"sqlite:///{path}: cannot read what changed: database disk image is malformed; "
            "restore it from a backup, or move it away to begin anew"
        )
        with pytest.raises(StoreRefused, match=exactly(reason)):
            opened(f"sqlite:///{path}").changes(None)

    def test_missing_table(self, store: SQLiteStore, path: Path) -> None:
        """A file whose tables were changed is refused."""
        store.ping()
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE log")
        db.close()
        reason = (
            f"sqlite:///{path}: cannot read ratings: no such table: log; "
            "its tables are not as they should be: give another path"
        )

        with pytest.raises(StoreRefused, match=exactly(reason)):
            store.history([KEY], 1)

    def test_record_of_a_newer_version(self, store: SQLiteStore, path: Path) -> None:
        """A rating of a series whose record has a newer format stores nothing."""
        store.append(ratings(["1"]), NOW)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE series SET totals = ?", (b"\x02" + Record().totals[1:],))
        db.close()
        reason = (
            "a record in the store has a format that this version does not know; "
            "it was written by a newer llm-feedback-exporter: upgrade this one"
        )

        with pytest.raises(StoreRefused, match=exactly(reason)):
            store.append([rating("1", KEY._replace(tier="other")), rating("2")], NOW)
        assert len(store.changes(None).items) == 1
        assert store.history([KEY], 10) == ratings(["1"])


class TestSize:
    """The file stays as small as what it holds."""

    def rows(self, path: Path, table: str) -> int:
        """Count the rows of a table."""
        db = sqlite3.connect(path)
        ((rows,),) = db.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - a table's name cannot be an argument
        db.close()
        return int(rows)

    def test_ids(self, store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ids that are not looked for any more are deleted, a bounded number an append."""
        monkeypatch.setattr(exporter.store.sqlite_request, "IDS_FORGOTTEN", 10)
        store.append([rating(f"{place}") for place in range(30)], NOW)
        left = []
        for place in range(4):
            now = NOW + 36 * HOUR + place
            store.append([rating(f"later-{place}", timestamp=now)], now)
            left.append(self.rows(path, "ids"))

        assert left == [21, 12, 3, 4]

    def test_cleared(self, store: Store, path: Path) -> None:
        """A cleared series leaves a tombstone and nothing else."""
        store.append([rating(f"{place}") for place in range(30)], NOW)
        store.clear(KEY.workflow, None, NOW)

        assert [self.rows(path, table) for table in ("ids", "log", "series")] == [0, 0, 1]
        db = sqlite3.connect(path)
        assert db.execute("SELECT death, hours, newest, totals FROM series").fetchall() == [(None,) * 4]
        db.close()

    def test_closed(self, store: Store, path: Path) -> None:
        """Closing leaves one file, which holds everything."""
        store.append(ratings(["1"]), NOW)
        store.changes(None)
        store.close()

        assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("asked", [1, 2, 256])
def test_series_are_found_by_their_index(opened: Callable[..., Store], path: Path, asked: int) -> None:
    """However many series a request touches, no query reads through all there are."""
    opened(f"sqlite:///{path}").ping()
    query = exporter.store.sqlite_request._series_of(asked)
    with closing(sqlite3.connect(path)) as db:
        plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}", ("w", "s", "t") * asked)]

    assert [step for step in plan if "SEARCH series USING INDEX" in step]
    assert [step for step in plan if step.startswith("SCAN series")] == []
