"""Waiting for replicas: what is acknowledged is on as many of them as was asked for."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

import exporter.store.redis_way
from exporter import FeedbackLoop
from exporter.config import load
from exporter.errors import ConfigError, StoreRefused, StoreUnavailable
from exporter.store import open_store
from exporter.store.base import Store
from exporter.store.redis_keys import place_of
from tests.store.helpers import count, exactly, rating, ratings
from tests.support.exporter_process import ExporterProcess
from tests.support.ratings import KEY, NOW
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

Opened = Callable[..., Store]

RECORD = place_of(KEY).key("record")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, RedisServer]]:
    """Return a primary and its replica."""
    directory = tmp_path_factory.mktemp("replicas")
    quick = ("--repl-diskless-sync-delay", "0")
    with (
        RedisServer(directory / "primary", *quick) as primary,
        RedisServer(directory / "replica", *quick, "--replicaof", f"127.0.0.1 {primary.port}") as replica,
    ):
        yield primary, replica


@pytest.fixture
def primary(servers: tuple[RedisServer, RedisServer]) -> RedisServer:
    """Return a primary that holds nothing, and has its replica."""
    with redis.Redis(port=servers[0].port) as client:
        client.flushall()
        eventually(lambda: client.wait(1, 100), "a replica that follows")
    return servers[0]


@pytest.fixture
def replica(primary: RedisServer, servers: tuple[RedisServer, RedisServer]) -> Iterator[RedisServer]:
    """Return the replica; it runs on afterwards."""
    assert primary is servers[0]
    yield servers[1]
    servers[1].resume()


@pytest.fixture
def careful(primary: RedisServer, opened: Opened) -> Store:
    """Return a store that waits for one replica."""
    return opened(primary.url, wait_replicas=1)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a tenth of a second only."""
    monkeypatch.setattr(exporter.store.redis_way, "WAIT_SECONDS", 0.1)


def test_acknowledged_is_there(careful: Store, replica: RedisServer) -> None:
    """When ratings are acknowledged the replica has them, with nobody waiting."""
    with redis.Redis(port=replica.port) as client:
        for place in range(20):
            careful.append(ratings([f"{place}"]), NOW)
            assert len(client.lrange(place_of(KEY).key("log"), 0, -1)) == place + 1


def test_too_few(careful: Store, primary: RedisServer, replica: RedisServer) -> None:
    """With too few replicas nothing is acknowledged, though it may have been stored, and it is said what to do."""
    replica.pause()
    reason = (
        f"{primary.url}: cannot store ratings: 0 of 1 replicas acknowledged it within 1 s; "
        "see that its replicas run and follow it, or lower wait_replicas"
    )
    with pytest.raises(StoreUnavailable, match=exactly(reason)):
        careful.append(ratings(["1"]), NOW)

    assert count(careful.record(KEY)) == 1


@pytest.mark.usefixtures("_impatient")
class TestTooFew:
    """What waits for replicas that hang."""

    def test_retry(self, primary: RedisServer, replica: RedisServer, opened: Opened) -> None:
        """A retry, whoever makes it, is not acknowledged either while the replica lacks what was stored at first."""
        replica.pause()
        for _ in range(3):
            store = opened(primary.url, wait_replicas=1)
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas acknowledged it"):
                store.append(ratings(["1"]), NOW)
        replica.resume()

        eventually(lambda: _acknowledged(store), "a retry that is acknowledged")
        with redis.Redis(port=replica.port) as client:
            assert client.exists(RECORD)
        assert count(store.record(KEY)) == 1

    def test_others(self, careful: Store, replica: RedisServer) -> None:
        """Clearing and the question whether one can write wait too; reading does not."""
        careful.append(ratings(["1"]), NOW)
        replica.pause()

        assert careful.changes(None).items == [(KEY, careful.record(KEY))]
        for ask in (careful.ping, lambda: careful.clear(KEY.workflow, None, NOW)):
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas acknowledged it"):
                ask()

    def test_many_shards(self, primary: RedisServer, replica: RedisServer, opened: Opened) -> None:
        """Who waits for nobody is acknowledged at once; who waits for more than there are, never."""
        replica.pause()
        batch = [rating("1", KEY._replace(stage=f"{place}")) for place in range(50)]

        assert opened(primary.url).append(batch, NOW) == ["new"] * 50
        replica.resume()
        with pytest.raises(StoreUnavailable, match="of 2 replicas acknowledged it"):
            opened(primary.url, wait_replicas=2).append(batch, NOW)


def test_duplicates_write(careful: Store, primary: RedisServer) -> None:
    """A batch of duplicates writes something too, since WAIT waits for what its own connection wrote."""
    careful.append(ratings(["1"]), NOW)
    with redis.Redis(port=primary.port) as client:
        client.config_resetstat()
        assert careful.append(ratings(["1"]), NOW) == ["duplicate"]
        assert client.info("commandstats")["cmdstat_hset"]["calls"] == 1


def _acknowledged(store: Store) -> bool:
    try:
        return store.append(ratings(["1"]), NOW) == ["duplicate"]
    except StoreUnavailable:
        return False


def test_over_http(primary: RedisServer, replica: RedisServer, tmp_path: Path) -> None:
    """``wait_replicas`` in the configuration reaches the store: ingest answers 503, with the ids to retry with."""
    variables = {"FEEDBACK_EXPORTER_WAIT_REPLICAS": "1"}
    entry = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5, "feedback_id": "a"}
    with ExporterProcess(tmp_path, primary.url, environment=variables) as exporter, exporter.client() as client:
        assert client.post(entry).status == 202
        replica.pause()
        answer = client.post({**entry, "feedback_id": "b"})
        replica.resume()
        eventually(lambda: client.post({**entry, "feedback_id": "c"}).status == 202, "an acknowledgement")
        later = client.post({**entry, "feedback_id": "b"})

    assert answer.status == 503
    assert answer.json["feedback_ids"] == ["b"]
    assert re.search("0 of 1 replicas acknowledged it within 1 s; see that its replicas run", answer.json["detail"])
    assert later.json["duplicates"] == 1


@pytest.mark.usefixtures("_impatient")
def test_an_application_waits_as_its_server_does(
    primary: RedisServer, replica: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``FeedbackLoop`` takes ``wait_replicas`` of the configuration file, for a store that has replicas."""
    file = tmp_path / "exporter.yml"
    file.write_text(f"store: {primary.url}\nwait_replicas: 1\n")
    monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", f"{file}")
    with FeedbackLoop(primary.url, strict=True) as loop, FeedbackLoop("sqlite://", strict=True) as alone:
        assert loop.record_feedback("w", "s", "cheap", 0.5)
        replica.pause()
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas acknowledged it"):
            loop.record_feedback("w", "s", "cheap", 0.5)
        assert alone.record_feedback("w", "s", "cheap", 0.5)


NO_REPLICAS = "has no replicas to wait for: set wait_replicas to 0, or give a Redis store"


def test_no_replicas() -> None:
    """A store that can have no replicas refuses to wait for them."""
    with pytest.raises(StoreRefused, match=exactly(f"sqlite:///x.db {NO_REPLICAS}")):
        open_store("sqlite:///x.db", wait_replicas=1)


def test_checked_with_the_configuration() -> None:
    """A configuration that asks for that is refused, wherever its parts come from."""
    with pytest.raises(ConfigError, match=exactly(f"--wait-replicas: sqlite:///llm-feedback.db {NO_REPLICAS}")):
        load(None, {}, {"wait_replicas": 1})
    with pytest.raises(
        ConfigError, match=exactly(f"FEEDBACK_EXPORTER_WAIT_REPLICAS: sqlite:///llm-feedback.db {NO_REPLICAS}")
    ):
        load(None, {"FEEDBACK_EXPORTER_WAIT_REPLICAS": "2"}, {})
    assert load(None, {}, {"wait_replicas": 1, "store": "redis://host"}).wait_replicas == 1
