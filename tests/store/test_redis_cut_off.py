"""An AOF that was cut off inside a transaction: at its next start but one, the server runs the beginning of that."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from exporter.domain import MILLION
from exporter.store.base import Store
from tests.store.helpers import count, rating, ratings
from tests.support.ratings import KEY, NOW
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

Opened = Callable[..., Store]

FIRST, LOST = ratings(["first"])[0], rating("lost", score=900_000)
AGAIN = rating("lost", score=900_000, arrival=NOW + 60 * MILLION)


@pytest.fixture
def server(tmp_path: Path, opened: Opened) -> Iterator[RedisServer]:
    """Return a server that died when it had written the log entry of a rating, but not its record, and runs again."""
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as started:
        store = opened(started.url)
        assert store.append([FIRST], NOW) == ["new"]
        assert store.append([LOST], NOW) == ["new"]
        started.kill()
        (file,) = tmp_path.glob("appendonlydir/*.incr.aof")
        written = file.read_bytes()
        file.write_bytes(written[: written.index(b"HSET", written.rindex(b"RPUSH")) + 2])
        started.start()
        assert "loaded anyway because aof-load-truncated is enabled" in started.output
        yield started


def restart(server: RedisServer) -> None:
    """Kill the server and start it again."""
    server.kill()
    server.start()


def test_what_was_lost_is_new(server: RedisServer, opened: Opened) -> None:
    """Nothing of the lost rating is there, so a client that sends it again is told that it is new."""
    store = opened(server.url)

    assert store.history([KEY], 10) == [FIRST]
    assert store.append([AGAIN], NOW) == ["new"]


def test_sent_again_is_there_once(server: RedisServer, opened: Opened) -> None:
    """Although the server brings back the first entry, the rating that was sent again counts once and is shown once."""
    store = opened(server.url)
    store.append([AGAIN], NOW)
    restart(server)
    store = opened(server.url)

    assert store.append([AGAIN], NOW) == ["duplicate"]
    assert count(store.record(KEY)) == 2
    assert store.history([KEY], 10) == [AGAIN, FIRST]


def test_rewritten_in_time(server: RedisServer, opened: Opened) -> None:
    """After BGREWRITEAOF nothing comes back: what was lost stays lost, and may be sent again whenever."""
    with redis.Redis(port=server.port) as client:
        client.bgrewriteaof()
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the AOF being rewritten")
    store = opened(server.url)
    store.append([rating("other", arrival=NOW + 1)], NOW)
    restart(server)
    store = opened(server.url)

    assert [entry.feedback_id for entry in store.history([KEY], 10)] == ["other", "first"]
    assert store.append([AGAIN], NOW) == ["new"]
    assert count(store.record(KEY)) == 3


def test_an_id_that_is_forgotten_may_come_again(opened: Opened, tmp_path: Path) -> None:
    """A rating under an id of two days ago is another one: both are shown."""
    days = [NOW, NOW + 48 * 3600 * MILLION]
    with RedisServer(tmp_path) as server:
        store = opened(server.url)
        for day in days:
            assert store.append([rating("same", timestamp=day, arrival=day)], day) == ["new"]

        assert [entry.arrival for entry in store.history([KEY], 10)] == days[::-1]
