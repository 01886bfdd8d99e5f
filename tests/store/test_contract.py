"""The contract of ``Store``, over every backend."""

from collections.abc import Callable

import pytest

import exporter.store.redis
import exporter.store.sqlite_request
from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.fold import Record, death, fold, unpack_hours, unpack_totals
from exporter.rules import WEEK
from exporter.store.base import LOG_LENGTH, Changes, Store
from tests.store.helpers import Reader, count, keys, neighbours, rating, ratings
from tests.support.ratings import HOUR, KEY, NOW

Opened = Callable[..., Store]

DAY = 24 * HOUR
OTHER = KEY._replace(stage="other")
NAMES = ("a:b", "a|b", "a", 'quote"d', "back\\slash", "*", "日本語", "v2/\\d+ (EU)|x", "{17}", "%3A", "a b", "🦊")


class TestAppend:
    """What becomes of a batch."""

    def test_order(self, store: Store) -> None:
        """Verdicts stand in the order of the batch, whatever series its entries belong to."""
        store.append(ratings(["1"]), NOW)
        batch = [rating("1", OTHER), rating("1"), rating("2"), rating("1", OTHER), rating("3", OTHER)]

        assert store.append(batch, NOW) == ["new", "duplicate", "new", "duplicate", "new"]

    def test_nothing(self, store: Store) -> None:
        """An empty batch stores nothing."""
        assert store.append([], NOW) == []
        assert store.changes(None).items == []

    def test_record(self, store: Store) -> None:
        """The record of a series is the fold of its new ratings in order of arrival."""
        batch = [rating(f"{place}", score=place, timestamp=NOW - place % 7 * HOUR) for place in range(300)]
        store.append(batch[:100], NOW)
        store.append(batch[100:], NOW)

        assert store.record(KEY) == fold(None, batch, NOW, WEEK)

    def test_no_record(self, store: Store) -> None:
        """A series that was never rated has no record."""
        assert store.record(KEY) is None

    @pytest.mark.parametrize("series", [1, 1700], ids=["one series", "many series"])
    def test_large_batch(self, store: Store, series: int) -> None:
        """A large batch gets a verdict an entry, and all of it is stored."""
        places = keys(series)
        batch = [rating(f"{place}", places[place % series]) for place in range(2500)]
        batch.insert(2400, batch[0])
        expected = ["new"] * 2501
        expected[2400] = "duplicate"

        assert store.append(batch, NOW) == expected
        assert sum(count(record) for _, record in store.changes(None).items) == 2500

    def test_dead_series_starts_anew(self, store: Store) -> None:
        """A rating after the last hour of a series has left the retention begins record, totals and log anew."""
        store.append(ratings(["1", "2"]), NOW)
        later = NOW + HOUR + WEEK * MILLION
        batch = [rating("3", timestamp=later)]

        assert store.append(batch, later - 1) == ["new"]
        assert count(store.record(KEY)) == 3
        later = death(store.record(KEY) or Record(), WEEK)
        batch = [rating("4", timestamp=later)]
        assert store.append(batch, later) == ["new"]
        assert store.record(KEY) == fold(None, batch, later, WEEK)
        assert store.history([KEY], 10) == batch

    def test_lives_on(self, store_url: str, opened: Opened) -> None:
        """A series that is rated at least once a retention lives on, by its newest rating, not by its last."""
        store = opened(store_url, retention=3600)
        for hour in range(6):
            now = NOW + hour * HOUR + 1
            store.append([rating(f"{hour} late", timestamp=now - HOUR), rating(f"{hour}", timestamp=now)], now)
            store.append([rating(f"{hour} later", timestamp=now - HOUR)], now)

        assert count(store.record(KEY)) == 18

    @pytest.mark.parametrize("before", [1, 0], ids=["its last hour lives", "its last hour is dead"])
    def test_days_leave(self, store: Store, before: int) -> None:
        """A day leaves the record with the first rating of another day after its last hour died."""
        stream = [rating(f"{hour}", timestamp=NOW + hour * HOUR) for hour in (0, 23, 24, 47, 48)]
        for entry in stream:
            store.append([entry], entry.timestamp)
        now = NOW + DAY + WEEK * MILLION - before
        stream.append(rating("new day", timestamp=now))
        store.append(stream[-1:], now)

        record = fold(fold(None, stream[:-1], NOW, WEEK), stream[-1:], now, WEEK)
        assert store.record(KEY) == record
        assert len(list(unpack_hours(record.hours))) == (6 if before else 4)

    @pytest.mark.parametrize("dead", [1, 2])
    def test_dead_series_that_was_not_swept(self, store: Store, monkeypatch: pytest.MonkeyPatch, dead: int) -> None:
        """A dead series starts anew also when too many are dead for an append to delete them all."""
        monkeypatch.setattr(exporter.store.sqlite_request, "SWEPT", 0)
        monkeypatch.setattr(exporter.store.redis, "SWEPT", 0)
        wanted = neighbours(dead)
        for place, key in enumerate(wanted):
            store.append([rating("1", key, timestamp=NOW - (2 - place) * HOUR)], NOW)
        store.append(ratings(["1"]), NOW)
        later = NOW + HOUR + WEEK * MILLION
        batch = [rating("2", timestamp=later)]

        assert store.append(batch, later) == ["new"]
        assert store.record(KEY) == fold(None, batch, later, WEEK)
        assert store.history([KEY], 10) == batch


class TestDuplicates:
    """An id counts once within its series, for 24 to 36 hours."""

    def test_in_a_batch(self, store: Store) -> None:
        """Of equal ids in a batch the first is kept, whatever else the others say."""
        batch = [rating("1", score=100_000), rating("1", score=900_000)]

        assert store.append(batch, NOW) == ["new", "duplicate"]
        assert unpack_totals((store.record(KEY) or Record()).totals).sum == 100_000
        assert store.history([KEY], 10) == batch[:1]

    def test_over_requests(self, store: Store) -> None:
        """Of equal ids in two requests the first is kept, whatever else the second says."""
        batch = [rating("1", score=100_000)]
        store.append(batch, NOW)

        assert store.append([rating("1", score=900_000, timestamp=NOW - HOUR)], NOW + 1) == ["duplicate"]
        assert store.history([KEY], 10) == batch

    def test_by_series(self, store: Store) -> None:
        """The same id in another series is another rating."""
        store.append(ratings(["1"]), NOW)

        assert store.append(ratings(["1"], OTHER), NOW) == ["new"]

    @pytest.mark.parametrize("begun", [NOW, NOW + 12 * HOUR - 1], ids=["early in a period", "late in a period"])
    @pytest.mark.parametrize(
        ("later", "verdict"), [(0, "duplicate"), (12, "duplicate"), (24, "duplicate"), (36, "new"), (48, "new")]
    )
    def test_horizon(self, store: Store, begun: int, later: int, verdict: str) -> None:
        """An id is known for 24 hours, and forgotten after 36."""
        store.append([rating("1", timestamp=begun)], begun)
        now = begun + later * HOUR

        assert store.append([rating("1", timestamp=now)], now) == [verdict]

    def test_not_refreshed(self, store: Store) -> None:
        """A duplicate does not make its id known for longer."""
        verdicts = [store.append(ratings(["1"]), NOW + hours * HOUR) for hours in (0, 24, 35, 36)]

        assert verdicts == [["new"], ["duplicate"], ["duplicate"], ["new"]]

    def test_clock_ahead(self, store: Store) -> None:
        """An id is known to a writer whose clock is up to 12 hours behind that of the first."""
        store.append(ratings(["1"]), NOW + 12 * HOUR)

        assert store.append(ratings(["1"]), NOW) == ["duplicate"]

    def test_outlives_its_series(self, store_url: str, opened: Opened) -> None:
        """An id is known for 24 hours also when its series has died and was deleted before; a clear forgets it."""
        store = opened(store_url, retention=3600)
        store.append(ratings(["1"]), NOW)
        later = NOW + 24 * HOUR
        store.append([rating("2", timestamp=later)], later)

        assert store.append([rating("1", timestamp=later)], later) == ["duplicate"]
        later += 6 * HOUR
        store.append([rating("3", *neighbours(1), timestamp=later)], later)
        assert store.record(KEY) is None
        store.clear(KEY.workflow, KEY.stage, later)
        assert store.append([rating("2", timestamp=later)], later) == ["new"]

    def test_old_ids_are_forgotten(self, store: Store) -> None:
        """Appends of later days go on, whatever was remembered before."""
        for day in range(5):
            now = NOW + day * DAY
            assert store.append([rating(f"{place}", timestamp=now) for place in range(3)], now)[0] == (
                "duplicate" if day % 2 else "new"
            )


class TestNames:
    """Names stay apart, whatever they hold."""

    def test_apart(self, store: Store) -> None:
        """Series whose names hold separators, quotes, patterns or any script stay apart and come back as given."""
        places = [
            SeriesKey(*names) for first in NAMES for names in ((first, "s", "t"), ("w", first, "t"), ("w", "s", first))
        ]
        for number, key in enumerate(places, 1):
            store.append([rating(f"{place}", key) for place in range(number)], NOW)

        expected = {key: number for number, key in enumerate(places, 1)}
        assert {key: count(record) for key, record in store.changes(None).items} == expected
        assert {key: count(store.record(key)) for key in places} == expected
        assert {key: len(store.history([key], 100)) for key in places} == expected

    @pytest.mark.parametrize("name", NAMES)
    def test_clear(self, store: Store, name: str) -> None:
        """Clearing a name clears exactly that one, be it ``*`` or the beginning of others."""
        names = {*NAMES, f"{name}x", f"{name}:s"}
        store.append([rating("1", SeriesKey(other, "s", "t")) for other in names], NOW)

        assert [key for key, _ in store.clear(name, None, NOW)] == [SeriesKey(name, "s", "t")]
        assert {key.workflow for key, _ in store.changes(None).items} == names - {name}


class TestHistory:
    """Single ratings."""

    def test_order(self, store: Store) -> None:
        """The newest rating comes first; of equal timestamps the one that arrived later."""
        batch = [
            rating("old", timestamp=NOW - 5, arrival=NOW),
            rating("tie 1", timestamp=NOW - 3, arrival=NOW + 1),
            rating("newest", timestamp=NOW, arrival=NOW + 2),
            rating("tie 2", timestamp=NOW - 3, arrival=NOW + 3),
        ]
        store.append(batch, NOW)

        told = [entry.feedback_id for entry in store.history([KEY], 10)]
        assert told == ["newest", "tie 2", "tie 1", "old"]

    def test_limit_and_before(self, store: Store) -> None:
        """At most ``limit`` ratings are told, and only those before a moment where one is given."""
        batch = [rating(f"{place}", timestamp=NOW + place) for place in range(10)]
        store.append(batch, NOW)

        assert store.history([KEY], 3) == batch[:6:-1]
        assert store.history([KEY], 3, NOW + 5) == [batch[4], batch[3], batch[2]]
        assert store.history([KEY], 3, NOW) == []

    def test_series_together(self, store: Store) -> None:
        """The ratings of several series are told in one order; series that are not there have none."""
        batch = [rating(f"{place}", (KEY, OTHER)[place % 2], timestamp=NOW + place) for place in range(6)]
        store.append(batch, NOW)

        assert store.history([KEY, OTHER, KEY._replace(tier="none")], 100) == batch[::-1]
        assert store.history([], 100) == []

    def test_as_given(self, store: Store) -> None:
        """A rating comes back as it was given: metadata byte for byte, source, arrival."""
        given = Feedback(KEY, "日本語", 1, NOW - 1, NOW + 1, "judge", b'{"a": [1.0, 1, null, "\\ud83e"]}')
        store.append([given], NOW)

        assert store.history([KEY], 1) == [given]

    def test_cap(self, store: Store) -> None:
        """Of the newest 1,000 arrivals of each series, not of the newest timestamps."""
        batch = [rating(f"{place}", timestamp=NOW - place, arrival=NOW + place) for place in range(LOG_LENGTH + 200)]
        for begin in range(0, len(batch), 150):
            store.append(batch[begin : begin + 150], NOW)

        assert store.history([KEY], 2000) == batch[200:]


class TestChanges:
    """What a reader is told."""

    def test_empty(self, store: Store) -> None:
        """The first reading of an empty store is complete and empty; the next says that nothing changed."""
        first = store.changes(None)

        assert first == Changes(first.cursor, [], complete=True)
        assert store.changes(first.cursor) == Changes(first.cursor, [], complete=False)

    def test_incremental(self, store: Store) -> None:
        """Only series that changed are told, each once, with its record as it is now."""
        store.append([rating("1"), rating("1", OTHER)], NOW)
        cursor = store.changes(None).cursor
        store.append(ratings(["2"]), NOW)
        store.append(ratings(["3"]), NOW)
        changes = store.changes(cursor)

        assert changes == Changes(changes.cursor, [(KEY, store.record(KEY) or Record())], complete=False)
        assert store.changes(changes.cursor).items == []

    def test_duplicates_change_nothing(self, store: Store) -> None:
        """A batch of duplicates changes no series."""
        store.append(ratings(["1"]), NOW)
        cursor = store.changes(None).cursor
        store.append(ratings(["1"]), NOW)

        assert store.changes(cursor) == Changes(cursor, [], complete=False)

    def test_clear(self, store: Store) -> None:
        """A cleared series is told as gone, once; one that began again, with its new record."""
        store.append([rating("1"), rating("1", OTHER)], NOW)
        cursor = store.changes(None).cursor
        store.clear(KEY.workflow, None, NOW)
        store.append(ratings(["2"]), NOW)
        changes = store.changes(cursor)

        assert not changes.complete
        assert dict(changes.items) == {OTHER: None, KEY: store.record(KEY)}
        assert len(changes.items) == 2
        assert store.changes(changes.cursor).items == []

    def test_expiry(self, store: Store) -> None:
        """Series that died are told as gone once an append has deleted them."""
        wanted = neighbours(3)
        store.append([rating("1", key) for key in wanted], NOW)
        cursor = store.changes(None).cursor
        later = NOW + HOUR + WEEK * MILLION
        store.append([rating("1", timestamp=later)], later)
        changes = store.changes(cursor)

        assert dict(changes.items) == {KEY: store.record(KEY), **dict.fromkeys(wanted)}
        assert [store.record(key) for key in wanted] == [None] * 3
        assert store.history(wanted, 10) == []

    def test_foreign_cursor(self, store: Store, opened: Opened) -> None:
        """A cursor of another store is answered with all there is."""
        other = opened("sqlite://")
        other.append(ratings(["1"]), NOW)
        store.append(ratings(["1"]), NOW)

        assert store.changes(other.changes(None).cursor).complete

    def test_dropped_tombstones(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader who has not seen deletions that are no longer kept is told all there is."""
        monkeypatch.setattr(exporter.store.sqlite_request, "MAX_TOMBSTONES", 2)
        monkeypatch.setattr(exporter.store.redis, "SHARD_TOMBSTONES", 2)
        wanted = neighbours(4)
        store.append([rating("1", key) for key in [*wanted, KEY]], NOW)
        reader, follower = Reader(store), Reader(store)
        reader.poll()
        told = []
        for key in wanted:
            store.clear(key.workflow, key.stage, NOW)
            told.append(follower.poll())

        assert told == [True, False, False, False]
        assert reader.poll()
        assert not reader.poll()
        assert set(reader.records) == set(follower.records) == {KEY}

    def test_readers_of_one_store(self, store: Store) -> None:
        """Readers follow independently of one another."""
        readers = [Reader(store), Reader(store)]
        readers[0].poll()
        store.append(ratings(["1"]), NOW)
        for reader in readers:
            reader.poll()

        assert readers[0].records == readers[1].records == {KEY: store.record(KEY)}


class TestClear:
    """Deleting series."""

    def test_workflow(self, store: Store) -> None:
        """A workflow is cleared with all its stages; what was deleted is returned."""
        stays = KEY._replace(workflow="other")
        store.append([rating("1"), rating("2"), rating("1", OTHER), rating("1", stays)], NOW)
        expected = {key: store.record(key) for key in (KEY, OTHER)}

        assert dict(store.clear(KEY.workflow, None, NOW)) == expected
        assert [store.record(key) for key in (KEY, OTHER)] == [None, None]
        assert store.history([KEY, OTHER], 10) == []
        assert count(store.record(stays)) == 1

    def test_stage(self, store: Store) -> None:
        """A stage is cleared with all its tiers, and no other."""
        premium = KEY._replace(tier="premium")
        store.append([rating("1"), rating("1", premium), rating("1", OTHER)], NOW)

        assert {key for key, _ in store.clear(KEY.workflow, KEY.stage, NOW)} == {KEY, premium}
        assert {key for key, _ in store.changes(None).items} == {OTHER}

    def test_nothing(self, store: Store) -> None:
        """Clearing what is not there deletes nothing and changes nothing."""
        store.append(ratings(["1"]), NOW)
        cursor = store.changes(None).cursor

        assert store.clear("none", None, NOW) == []
        assert store.clear(KEY.workflow, "none", NOW) == []
        assert store.changes(cursor).items == []

    def test_forgets(self, store: Store) -> None:
        """A cleared series forgets its ids, log and totals; a second clear has nothing to delete."""
        store.append(ratings(["1", "2"]), NOW)
        store.clear(KEY.workflow, None, NOW)

        assert store.clear(KEY.workflow, None, NOW) == []
        assert store.append(ratings(["1"]), NOW) == ["new"]
        assert count(store.record(KEY)) == 1
        assert store.history([KEY], 10) == ratings(["1"])


class TestSeriesLimit:
    """Most live series."""

    def test_order(self, store_url: str, opened: Opened) -> None:
        """Room goes to new series in the order of the batch; all entries of one that finds none are refused."""
        store = opened(store_url, series_limit=2)
        first, second, third = keys(3)
        store.append([rating("1", first)], NOW)
        batch = [rating("1", second), rating("1", third), rating("2", first), rating("2", third), rating("2", second)]

        assert store.append(batch, NOW) == ["new", "series_limit", "new", "series_limit", "new"]
        assert store.append([rating("1", third), rating("1", second)], NOW) == ["series_limit", "duplicate"]
        assert {key for key, _ in store.changes(None).items} == {first, second}

    def test_room_after_clear(self, store_url: str, opened: Opened) -> None:
        """A clear makes room."""
        store = opened(store_url, series_limit=1)
        store.append(ratings(["1"]), NOW)
        store.clear(KEY.workflow, None, NOW)

        assert store.append([rating("1", OTHER), rating("1")], NOW) == ["new", "series_limit"]

    def test_room_after_death(self, store_url: str, opened: Opened) -> None:
        """A series that died makes room at once, not before."""
        store = opened(store_url, series_limit=1)
        store.append(ratings(["1"]), NOW)
        later = NOW + HOUR + WEEK * MILLION

        assert store.append([rating("1", OTHER, timestamp=later)], later - 1) == ["series_limit"]
        assert store.append([rating("1", OTHER, timestamp=later)], later) == ["new"]
        assert store.append([rating("2", timestamp=later)], later) == ["series_limit"]

    def test_lower_limit(self, store_url: str, opened: Opened) -> None:
        """Series beyond a limit that was lowered go on."""
        store = opened(store_url)
        store.append([rating("1", key) for key in keys(5)], NOW)
        store.series_limit = 2

        assert store.append([rating("2", key) for key in [*keys(5), KEY]], NOW) == ["new"] * 5 + ["series_limit"]


class TestRetention:
    """The stamp in the store decides how long a series lives."""

    def death(self, store: Store, stamp: int) -> None:
        """See that a series rated at NOW lives for ``stamp`` seconds after its hour, not longer."""
        store.append(ratings(["1"]), NOW)
        end = NOW + HOUR + stamp * MILLION
        other = KEY._replace(workflow="clock")
        store.append([rating("1", other, timestamp=end - 1)], end - 1)
        assert count(store.record(KEY)) == 1
        store.append([rating("2", timestamp=end)], end)
        assert count(store.record(KEY)) == 1
        assert [entry.feedback_id for entry in store.history([KEY], 10)] == ["2"]

    def test_first(self, store_url: str, opened: Opened) -> None:
        """A new store is stamped with the retention of whoever writes first."""
        self.death(opened(store_url, retention=2 * 3600), 2 * 3600)

    def test_raised(self, store: Store) -> None:
        """A raised retention holds at once, for series that were rated before too."""
        store.append(ratings(["1"]), NOW)
        store.raise_retention(2 * WEEK)

        self.death(store, 2 * WEEK)

    def test_never_lowered(self, store: Store) -> None:
        """A lower retention changes nothing."""
        store.raise_retention(2 * WEEK)
        store.raise_retention(3600)

        self.death(store, 2 * WEEK)


def test_ping(store: Store) -> None:
    """A store that can be read and written says so by returning, and is as it was."""
    store.ping()
    cursor = store.changes(None).cursor
    store.ping()

    assert store.changes(cursor) == Changes(cursor, [], complete=False)


@pytest.mark.parametrize("store_url", ["sqlite", "redis", "cluster"], indirect=True)
class TestShared:
    """Several store objects over one store."""

    def test_reopened(self, store_url: str, opened: Opened) -> None:
        """What was stored is there for a store that is opened later: records, ratings, ids, stamp."""
        first = opened(store_url, retention=2 * WEEK)
        first.append(ratings(["1", "2"]), NOW)
        record = first.record(KEY)
        first.close()
        second = opened(store_url, retention=3600)

        assert second.changes(None).items == [(KEY, record)]
        assert second.history([KEY], 10) == ratings(["1", "2"])[::-1]
        assert second.append(ratings(["2", "3"]), NOW + WEEK * MILLION) == ["new", "new"]
        assert count(second.record(KEY)) == 4

    def test_each_sees_the_other(self, store_url: str, opened: Opened) -> None:
        """What one acknowledges the other sees in its next reading, and knows as a duplicate."""
        one, other = opened(store_url), opened(store_url)
        reader = Reader(other)
        reader.poll()
        one.append(ratings(["1"]), NOW)

        assert not reader.poll()
        assert set(reader.records) == {KEY}
        assert other.append(ratings(["1"]), NOW) == ["duplicate"]
        one.clear(KEY.workflow, None, NOW)
        reader.poll()
        assert reader.records == {}

    def test_stamp(self, store_url: str, opened: Opened) -> None:
        """A store that one raises is raised for the other, whatever the other was opened with."""
        one, other = opened(store_url, retention=3600), opened(store_url, retention=2 * 3600)
        one.append(ratings(["1"]), NOW)
        one.raise_retention(WEEK)
        later = NOW + 5 * HOUR
        other.append([rating("2", timestamp=later)], later)

        assert count(other.record(KEY)) == 2

    def test_limit(self, store_url: str, opened: Opened) -> None:
        """Series that another began take room."""
        one, other = opened(store_url, series_limit=2), opened(store_url, series_limit=2)
        first, second, third = keys(3)
        one.append([rating("1", first)], NOW)
        other.append([rating("1", second)], NOW)

        assert one.append([rating("1", second), rating("1", third)], NOW) == ["duplicate", "series_limit"]
