"""What goes wrong with a Redis server, each with a real one: which error, in which words, and never a password."""

import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import BusyLoadingError, MovedError, ResponseError

from exporter.errors import StoreError, StoreRefused, StoreUnavailable
from exporter.store import open_store
from exporter.store.base import Store
from exporter.store.redis_keys import place_of
from exporter.store.redis_server import RedisServer as Way
from tests.store.helpers import count, exactly, rating, ratings
from tests.support.ports import free_port
from tests.support.ratings import KEY, NOW
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

Opened = Callable[..., Store]

SECRET = "s3cr3t/pa:ss@w?rd#"  # noqa: S105 - it must not be found
ENCODED = "s3cr3t%2Fpa%3Ass%40w%3Frd%23"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Return a connection to the server of all tests, which has enough memory again afterwards."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
def store(redis_url: str, opened: Opened) -> Store:
    """Return a store with one rating."""
    store = opened(redis_url)
    store.append(ratings(["1"]), NOW)
    return store


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a server that wants a password, and has a user who may do little."""
    with RedisServer(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "reader", "on", f">{SECRET}", "~*", "+@read", "+@connection")
            client.config_set("requirepass", SECRET)
        yield server


def refused(ask: Callable[[], object], reason: str) -> None:
    """See that waiting cannot mend what ``ask`` meets."""
    with pytest.raises(StoreRefused, match=exactly(reason)):
        ask()


def unavailable(ask: Callable[[], object], reason: str) -> None:
    """See that waiting may mend what ``ask`` meets."""
    with pytest.raises(StoreUnavailable, match=exactly(reason)):
        ask()


class TestRefused:
    """Somebody must act."""

    def test_wrong_password(self, guarded: RedisServer, opened: Opened) -> None:
        """A wrong password is refused."""
        store = opened(f"redis://:wrong@127.0.0.1:{guarded.port}/0")
        refused(
            lambda: store.changes(None),
            f"redis://:***@127.0.0.1:{guarded.port}/0: cannot read what changed: invalid username-password pair or "
            "user is disabled; give its user and password in the URL, percent-encoded: redis://user:password@host",
        )

    def test_no_password(self, guarded: RedisServer, opened: Opened) -> None:
        """A server that wants a password refuses who gives none."""
        store = opened(guarded.url)
        refused(
            store.ping,
            f"{guarded.url}: cannot write: Authentication required; give its user and password in the URL, "
            "percent-encoded: redis://user:password@host",
        )

    def test_needless_password(self, redis_server: RedisServer, redis_url: str, opened: Opened) -> None:
        """A server that knows no password refuses who gives one for a user that it does not have."""
        store = opened(redis_url.replace("redis://", "redis://nobody:secret@"))
        refused(
            store.ping,
            f"redis://nobody:***@127.0.0.1:{redis_server.port}/0: cannot write: invalid username-password pair or "
            "user is disabled; give its user and password in the URL, percent-encoded: redis://user:password@host",
        )

    def test_no_permission(self, guarded: RedisServer, opened: Opened) -> None:
        """A user who may not run scripts is refused, and nothing of what was sent is shown."""
        store = opened(f"redis://reader:{ENCODED}@127.0.0.1:{guarded.port}/0")
        with pytest.raises(StoreRefused) as caught:
            store.append(ratings(["1"]), NOW)

        assert re.fullmatch(
            rf"redis://reader:\*\*\*@127.0.0.1:{guarded.port}/0: cannot store ratings: "
            r"[Tt]his user has no permissions to run the 'evalsha' command( or its subcommand)?; "
            r"let its user run scripts, and read and write keys that begin with llmfb:",
            str(caught.value),
        )

    def test_unknown_command(self, tmp_path: Path, opened: Opened) -> None:
        """A server without a command that is needed, as one that is too old, is refused."""
        with RedisServer(tmp_path, "--rename-command", "SMISMEMBER", "") as server:
            store = opened(server.url)
            with pytest.raises(StoreRefused) as caught:
                store.append(ratings(["1"]), NOW)

        assert re.fullmatch(
            rf"{server.url}: cannot store ratings: .*Unknown Redis command called from.*; "
            r"Redis 6\.2 or newer is needed, or Valkey, with no command renamed",
            str(caught.value),
        )

    def test_no_such_database(self, redis_url: str, opened: Opened) -> None:
        """A number of a database that the server does not have is refused."""
        url = redis_url.removesuffix("0") + "99"
        refused(
            lambda: opened(url).record(KEY),
            f"{url}: cannot read a record: DB index is out of range; give the number of a database that it has",
        )

    def test_somebody_elses_keys(self, redis_url: str, client: redis.Redis, opened: Opened) -> None:
        """Keys of another type where ours should be are refused."""
        client.set(place_of(KEY).key("record"), "x")
        with pytest.raises(StoreRefused) as caught:
            opened(redis_url).record(KEY)

        assert str(caught.value) == (
            f"{redis_url}: cannot read a record: WRONGTYPE Operation against a key holding the wrong kind of value; "
            "something else keeps its keys there: give another database, redis://host/1"
        )

    @staticmethod
    @pytest.mark.parametrize(("stamp", "value"), [("width", 7200), ("format", 2)])
    def test_other_format(redis_url: str, client: redis.Redis, opened: Opened, stamp: str, value: int) -> None:
        """A store with buckets of another width, or of a newer format, is refused: at first sight, and later."""
        store = opened(redis_url)
        store.append(ratings(["1"]), NOW)
        client.hset(f"llmfb:{{{place_of(KEY).shard}}}:meta", stamp, str(value))
        found = {"format": 1, "width": 3600, stamp: value}
        told = f"its records have format {found['format']} with buckets of {found['width']} s"

        refused(
            opened(redis_url).ping,
            f"{redis_url}: {told}, this version reads format 1 with buckets of 3600 s; "
            "use the version that wrote them, or another store",
        )
        refused(
            lambda: store.append(ratings(["2"]), NOW),
            f"{redis_url}: cannot store ratings: {told}; use the version that wrote them, or another store",
        )
        assert len(store.history([KEY], 10)) == 1

    @pytest.mark.parametrize(
        "url",
        [
            "redis://host:port/0",
            "redis://:pa/ss@host/0",
            "redis://host?socket_timeout=soon",
            "redis://host?no_such_option=1",
            "redis://[::1/0",
        ],
    )
    def test_unreadable_url(self, url: str) -> None:
        """A URL that cannot be read is refused when the store is made, and is not shown beyond what is no secret."""
        with pytest.raises(StoreRefused) as caught:
            open_store(url)

        assert re.fullmatch(
            r"store URL 'redis://[^']*' cannot be read: see its port and what follows '\?', and percent-encode "
            "a password's special characters",
            str(caught.value),
        )


class TestUnavailable:
    """Waiting may mend it."""

    def test_out_of_memory(self, store: Store, client: redis.Redis, redis_url: str) -> None:
        """A server without memory takes no rating, is still read, and takes them again later."""
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable) as caught:
            store.append([rating("1", KEY._replace(tier=f"{tier}")) for tier in range(100)], NOW)

        assert re.fullmatch(
            rf"{redis_url}: cannot store ratings: .*command not allowed when used memory > 'maxmemory'.*; "
            r"give it more memory \(maxmemory\)",
            str(caught.value),
        )
        assert [key for key, _ in store.changes(None).items] == [KEY]
        client.config_set("maxmemory", 0)
        assert store.append(ratings(["1", "2"]), NOW) == ["duplicate", "new"]

    def test_read_only_replica(self, tmp_path: Path, opened: Opened) -> None:
        """A replica takes no rating, and can be read."""
        with RedisServer(tmp_path, "--replicaof", f"127.0.0.1 {free_port()}") as server:
            store = opened(server.url)
            for doing, ask in (("store ratings", lambda: store.append(ratings(["1"]), NOW)), ("write", store.ping)):
                with pytest.raises(StoreUnavailable) as caught:
                    ask()
                assert re.fullmatch(
                    rf"{server.url}: cannot {doing}: [Yy]ou can't write against a read only replica\.?.*; "
                    "it is a read-only replica: give its primary",
                    str(caught.value),
                )
            assert store.changes(None).items == []

    def test_unwritable_disk(self, tmp_path: Path, opened: Opened) -> None:
        """A server that cannot save takes no rating, and is still read."""
        with RedisServer(tmp_path / "gone", "--save", "900 1") as server:
            store = opened(server.url)
            store.append(ratings(["1"]), NOW)
            shutil.rmtree(tmp_path / "gone")
            with redis.Redis.from_url(server.url) as client:
                client.bgsave()
                status = "rdb_last_bgsave_status"
                eventually(lambda: client.info("persistence")[status] == "err", "a failed save")
            with pytest.raises(StoreUnavailable) as caught:
                store.append(ratings(["2"]), NOW)
            assert count(store.record(KEY)) == 1

        assert re.fullmatch(
            rf"{server.url}: cannot store ratings: .*MISCONF .*; it cannot save to its disk: see its log",
            str(caught.value),
        )

    def test_no_such_host(self, opened: Opened) -> None:
        """A name that cannot be resolved is unavailable: it may be known later."""
        store = opened("redis://no.such.host.invalid:6379/0")
        with pytest.raises(StoreUnavailable) as caught:
            store.ping()

        assert re.fullmatch(
            r"redis://no\.such\.host\.invalid:6379/0: cannot write: "
            r"Error -\d connecting to no\.such\.host\.invalid:6379\. .*; "
            r"see that it runs and that the URL names it",
            str(caught.value),
        )


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (BusyLoadingError("Redis is loading the dataset in memory"), StoreUnavailable, "it is reading its data: wait"),
        (ResponseError("Error running script: -OOM command not allowed"), StoreUnavailable, "give it more memory"),
        (
            MovedError("1234 127.0.0.1:7000"),
            StoreRefused,
            "it belongs to a Redis Cluster: give redis+cluster:// instead of redis://",
        ),
        (ResponseError("BUSY Redis is busy running a script"), StoreUnavailable, "see that it runs"),
        (
            redis.ConnectionError("Error 1 connecting to host:6380. certificate verify failed: self-signed"),
            StoreRefused,
            "name the authority that signed its certificate: ?ssl_ca_certs=FILE",
        ),
    ],
    ids=["loading", "error inside a script of Redis 6.2", "cluster", "busy", "certificate"],
)
def test_meaning(error: redis.RedisError, kind: type[StoreError], advice: str) -> None:
    """Errors that are hard to bring about are told apart by their class and text."""
    way = Way("redis://host")
    with pytest.raises(kind) as caught, way.doing("write"):
        raise error
    assert str(caught.value).startswith(f"redis://host: cannot write: {error}; {advice}")


class TestPassword:
    """A password is never shown."""

    def shown(self, url: str) -> str:
        """Return all that a store with ``url`` may print when it fails."""
        store = open_store(url)
        texts = [repr(store), str(store)]
        for ask in (store.ping, lambda: store.changes(None), lambda: store.append(ratings(["1"]), NOW)):
            with pytest.raises(StoreError) as caught:
                ask()
            texts += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
        store.close()
        return "\n".join(texts)

    def test_server_away(self) -> None:
        """Not when the server is away."""
        shown = self.shown(f"redis://user:{ENCODED}@127.0.0.1:{free_port()}/0?password={ENCODED}")

        assert "s3cr3t" not in shown
        assert "rd%23" not in shown

    def test_wrong(self, guarded: RedisServer) -> None:
        """Not when it is wrong."""
        for url in (f"redis://user:{ENCODED}@127.0.0.1:{guarded.port}", f"{guarded.url}?password={ENCODED}x"):
            assert "s3cr3t" not in self.shown(url)

    @pytest.mark.parametrize(
        "url",
        [f"redis://:{SECRET}@host", f"redis://host:{SECRET}", f"redis://u:{SECRET}@host:x?y=1", "redis://:s3cr3t"],
    )
    def test_unencoded(self, url: str) -> None:
        """Not when it makes the URL unreadable."""
        with pytest.raises(StoreRefused) as caught:
            open_store(url).ping()

        assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
        assert "w?rd" not in str(caught.value)
