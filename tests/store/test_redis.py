"""The Redis store's own ways: keys, scripts, and a server that restarts, forgets or hangs."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

import exporter.store.redis
from exporter.errors import StoreUnavailable
from exporter.rules import WEEK
from exporter.store.base import Changes, Store
from exporter.store.redis import RedisStore
from exporter.store.redis_keys import SHARDS, place_of
from tests.store.helpers import Reader, count, exactly, keys, neighbours, rating, ratings
from tests.support.ratings import HOUR, KEY, NOW
from tests.support.redis_server import RedisServer

Opened = Callable[..., Store]

DAY_SECONDS = 24 * 3600


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Return a connection to look at keys with."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def store(redis_url: str, opened: Opened) -> Store:
    """Return an empty store."""
    return opened(redis_url)


class TestKeys:
    """What is kept, where, and for how long."""

    def key(self, kind: str) -> str:
        """Name a key of the series KEY."""
        return place_of(KEY).key(kind)

    def test_names(self, store: Store, client: redis.Redis) -> None:
        """Every key carries its shard as hash tag; a series' names are percent-encoded in it."""
        key = KEY._replace(workflow="{1}:日本", tier="a b")
        store.append([rating("1", key)], NOW)
        shard, period = place_of(key).shard, NOW // (12 * HOUR)
        series = "%7B1%7D%3A%E6%97%A5%E6%9C%AC:analysis:a%20b"

        assert sorted(client.keys()) == sorted(
            f"llmfb:{{{shard}}}:{name}"
            for name in ("meta", "index", "expiry", f"{series}:record", f"{series}:log", f"{series}:ids:{period}")
        )

    def test_time_to_live(self, store: Store, client: redis.Redis) -> None:
        """Record and log disappear an hour after the series' death, ids after at most 37 hours, with nobody there."""
        store.append([rating("1", timestamp=NOW - HOUR)], NOW + 1)
        ids = self.key(f"ids:{NOW // (12 * HOUR)}")

        assert [client.ttl(self.key(kind)) for kind in ("record", "log")] == [WEEK + 3600] * 2
        assert client.ttl(ids) == 37 * 3600
        store.append([rating("2", timestamp=NOW + 600_000_000)], NOW + 600_000_000)
        assert [client.ttl(self.key(kind)) for kind in ("record", "log")] == [WEEK + 3600 + 3000] * 2
        store.append([rating("3", timestamp=NOW - HOUR)], NOW + 1)
        assert client.ttl(self.key("record")) == WEEK + 3600 + 3000

    def test_raised_retention_prolongs(self, store: Store, client: redis.Redis) -> None:
        """Raising the retention lets what is there live longer by as much."""
        store.append([rating("1", timestamp=NOW - HOUR)], NOW)
        store.raise_retention(WEEK + DAY_SECONDS)

        assert [client.ttl(self.key(kind)) for kind in ("record", "log")] == [WEEK + DAY_SECONDS + 3600] * 2

    def test_expired_record(self, store: Store, client: redis.Redis) -> None:
        """A record that disappeared by its time to live is told as gone; the series starts anew."""
        other = KEY._replace(tier="other")
        store.append([rating("1"), rating("1", other)], NOW)
        cursor = store.changes(None).cursor
        store.append(ratings(["2"]), NOW)
        client.delete(self.key("record"), self.key("log"))

        assert store.record(KEY) is None
        assert store.changes(cursor).items == [(KEY, None)]
        assert [key for key, _ in store.changes(None).items] == [other]
        assert store.append(ratings(["3"]), NOW) == ["new"]
        assert count(store.record(KEY)) == 1
        client.delete(self.key("record"), self.key("log"))
        assert [key for key, _ in store.clear(KEY.workflow, None, NOW)] == [other]

    def test_cleared(self, store: Store, client: redis.Redis) -> None:
        """A cleared series leaves a tombstone and nothing else."""
        store.append(ratings(["1"]), NOW)
        store.clear(KEY.workflow, None, NOW)
        shard = f"llmfb:{{{place_of(KEY).shard}}}"

        assert sorted(client.keys()) == [f"{shard}:meta", f"{shard}:tombstones"]
        assert client.zrange(f"{shard}:tombstones", 0, -1) == [place_of(KEY).series]

    def test_swept(self, store: Store, client: redis.Redis) -> None:
        """A series that died leaves, after the next append to its shard, a tombstone and its ids."""
        store.append([rating("1", *neighbours(1))], NOW)
        later = NOW + HOUR + WEEK * 1_000_000
        store.append([rating("1", timestamp=later)], later)
        (series,) = (place_of(key).series for key in neighbours(1))

        assert [key for key in client.scan_iter() if series in key] == [
            f"llmfb:{{{place_of(KEY).shard}}}:{series}:ids:{NOW // (12 * HOUR)}"
        ]
        for name, members in (("index", 1), ("expiry", 1), ("tombstones", 1)):
            assert client.zcard(f"llmfb:{{{place_of(KEY).shard}}}:{name}") == members

    def test_spread(self) -> None:
        """Series are spread over all shards."""
        assert {place_of(key).shard for key in keys(1000)} == set(range(SHARDS))


class TestScripts:
    """The server may forget scripts at any time."""

    def test_forgotten(self, store: Store, client: redis.Redis) -> None:
        """A script that the server does not know is loaded, and everything is stored once."""
        for step in range(3):
            client.script_flush()
            assert store.append([rating(f"{step}", key) for key in keys(100)], NOW) == ["new"] * 100
            client.script_flush()
            store.raise_retention(WEEK + step)
        client.script_flush()

        assert {count(record) for _, record in store.clear("workflow", None, NOW)} == {3}

    def test_calls_of_a_thousand(self, store: Store, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many ratings a batch has, a call of the script gets a bounded number, all in one transaction."""
        store.append([], NOW)
        client.config_resetstat()
        monkeypatch.setattr(exporter.store.redis, "RATINGS_A_CALL", 10)
        assert store.append([rating(f"{place}") for place in range(35)], NOW) == ["new"] * 35
        calls = client.info("commandstats")

        # The first transaction finds the script unknown.
        assert (calls["cmdstat_evalsha"]["calls"], calls["cmdstat_exec"]["calls"]) == (8, 2)
        assert count(store.record(KEY)) == 35

    def test_limit_is_looked_at_once(self, store: Store, client: redis.Redis) -> None:
        """Series that were seen alive within the hour cost no look at the limit."""
        store.append(ratings(["1"]), NOW)
        client.config_resetstat()
        store.append(ratings(["2"]), NOW + 1)
        assert "cmdstat_zcount" not in client.info("commandstats")
        store.append(ratings(["3"]), NOW + HOUR)
        assert client.info("commandstats")["cmdstat_zcount"]["calls"] == SHARDS


class TestServer:
    """A server that goes away and comes back."""

    def test_flushed(self, store: Store, client: redis.Redis) -> None:
        """A server that was emptied is told as complete and empty, and can be written again."""
        reader = Reader(store)
        store.append([rating("1", key) for key in keys(5)], NOW)
        reader.poll()
        client.flushall()

        assert reader.poll()
        assert reader.records == {}
        assert store.append([rating("1", keys(1)[0])], NOW) == ["new"]
        reader.poll()
        client.flushall()
        store.append([rating("1", keys(2)[1])], NOW)
        assert reader.poll()
        assert set(reader.records) == {keys(2)[1]}

    def test_restart(self, tmp_path: Path, opened: Opened) -> None:
        """Over a restart nothing is lost, nothing counts twice, and nobody notices but for the time it is away."""
        with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
            store, reader = opened(server.url), Reader(opened(server.url))
            store.append(ratings(["1"]), NOW)
            reader.poll()
            server.kill()
            server.start()

            assert store.append(ratings(["1", "2"]), NOW) == ["duplicate", "new"]
            reader.poll()
            assert count(reader.records[KEY]) == 2

    def test_away(self, tmp_path: Path, opened: Opened) -> None:
        """A server that is away is unavailable to everyone who asks, and available again by itself."""
        with RedisServer(tmp_path) as server:
            store = opened(server.url)
            store.append(ratings(["1"]), NOW)
            server.kill()
            for doing, ask in (
                ("store ratings", lambda: store.append(ratings(["2"]), NOW)),
                ("read what changed", lambda: store.changes(None)),
                ("read a record", lambda: store.record(KEY)),
                ("read ratings", lambda: store.history([KEY], 1)),
                ("clear ratings", lambda: store.clear("w", None, NOW)),
                ("prepare the store", lambda: store.raise_retention(1)),
                ("write", store.ping),
            ):
                reason = (
                    f"{server.url}: cannot {doing}: Error 111 connecting to 127.0.0.1:{server.port}. Connection "
                    "refused; see that it runs and that the URL names it"
                )
                with pytest.raises(StoreUnavailable, match=exactly(reason)):
                    ask()
            server.start()
            assert store.append(ratings(["2"]), NOW) == ["new"]

    def test_lost_writes(self, tmp_path: Path, opened: Opened) -> None:
        """A restart that lost the newest writes is seen, also when as many others were written since."""
        with RedisServer(tmp_path) as server:
            store = opened(server.url)
            first, second, third = neighbours(3)
            store.append([rating("1", first)], NOW)
            with redis.Redis.from_url(server.url) as client:
                client.save()
            store.append([rating("1", second)], NOW)
            reader = Reader(opened(server.url))
            reader.poll()
            server.kill()
            server.start()
            store.append([rating("1", third)], NOW)

            assert reader.poll()
            assert set(reader.records) == {first, third}

    def test_hangs(self, tmp_path: Path, opened: Opened) -> None:
        """A server that hangs is unavailable after the time-out; a request is sent once, and a retry counts once."""
        with RedisServer(tmp_path) as server:
            store = opened(f"{server.url}?socket_timeout=0.3")
            store.append(ratings(["1"]), NOW)
            server.pause()
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable) as caught:
                store.append(ratings(["2"]), NOW)
            assert re.fullmatch(
                rf"{server.url}\?\*\*\*: cannot store ratings: "
                rf"Timeout reading from (socket|.*:{server.port}); see that it runs and that the URL names it",
                str(caught.value),
            )
            assert time.monotonic() - begun < 2
            server.resume()

            assert store.append(ratings(["2"]), NOW) == ["duplicate"]
            assert count(store.record(KEY)) == 2

    def test_never_answered(self, tmp_path: Path, opened: Opened) -> None:
        """A server that hangs already when it is first asked is unavailable too."""
        with RedisServer(tmp_path) as server:
            server.pause()
            store = opened(f"{server.url}?socket_timeout=0.2")
            with pytest.raises(StoreUnavailable):
                store.changes(None)
            server.resume()
            assert store.changes(None).complete


def test_unwritten_shards_lead_on(store: Store) -> None:
    """A reader that has read an empty store is told of the first ratings without reading all."""
    cursor = store.changes(None).cursor
    store.append(ratings(["1"]), NOW)
    changes = store.changes(cursor)

    assert changes == Changes(changes.cursor, [(KEY, store.record(KEY))], complete=False)


def test_lazy(redis_url: str) -> None:
    """Making a store connects to nothing."""
    store = RedisStore(redis_url.replace("127.0.0.1", "no.such.host.invalid"), WEEK, 1)
    store.close()
