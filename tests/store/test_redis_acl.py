"""The user that docs/redis.md gives the exporter: it may do what is needed, and nothing else."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

import exporter.store.redis
from exporter.domain import MILLION
from exporter.errors import StoreRefused, StoreUnavailable
from exporter.rules import WEEK
from exporter.store.base import Store
from tests.store.helpers import count, keys, rating
from tests.support.exporter_process import ExporterProcess
from tests.support.ratings import HOUR, KEY, NOW
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer

Opened = Callable[..., Store]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")
SETUSER = re.search(r"^ACL SETUSER feedback (.*)$", DOCUMENT, re.MULTILINE)[1].split()  # type: ignore[index] # it must be there
COMMANDS = [word for word in SETUSER if word.startswith("+")]
# What is more, by what it is for.
MORE = {
    purpose: words.replace("\\|", "|").split()
    for purpose, words in re.findall(r"^\| ([^|]*) \| `(\+.*)` \|$", DOCUMENT, re.MULTILINE)
}
SECRET = "s3cret"  # noqa: S105 - it guards a server of this test


def allow(server: RedisServer, *words: str) -> None:
    """Give a server's user ``feedback`` what the document says, and ``words``."""
    rules = [word.replace("PASSWORD", SECRET) for word in SETUSER]
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "feedback", "reset", *rules, *words)


def url_of(server: RedisServer) -> str:
    """Return the URL by which the user connects."""
    return f"redis://feedback:{SECRET}@127.0.0.1:{server.port}/0"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a server of this module's own."""
    with RedisServer(tmp_path_factory.mktemp("guarded")) as server:
        yield server


@pytest.fixture
def server(guarded: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """Return a server that holds nothing and knows the user; tombstones are dropped soon."""
    monkeypatch.setattr(exporter.store.redis, "SHARD_TOMBSTONES", 0)
    with redis.Redis(port=guarded.port) as client:
        client.flushall()
        client.script_flush()
    allow(guarded)
    return guarded


def use(store: Store) -> None:
    """Do everything that a store can do, on every way through its scripts."""
    store.raise_retention(WEEK)
    assert store.append([rating("1", key) for key in [KEY, *keys(70)]], NOW) == ["new"] * 71
    store.raise_retention(2 * WEEK)
    cursor = store.changes(None).cursor
    later = NOW + 10 * 24 * HOUR
    assert store.append([rating("1"), rating("2", timestamp=later)], NOW) == ["duplicate", "new"]
    later = NOW + 2 * WEEK * MILLION + 25 * HOUR
    assert store.append([rating("3", timestamp=later)], later) == ["new"]
    assert (KEY, store.record(KEY)) in store.changes(cursor).items
    assert count(store.record(KEY)) == 3
    assert len(store.history([KEY], 10)) == 3
    assert len(store.clear(KEY.workflow, None, later)) == 1
    store.ping()
    store.close()


def test_it_is_enough(server: RedisServer, opened: Opened) -> None:
    """The user of the document can do everything that a store does."""
    use(opened(url_of(server)))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_needed(server: RedisServer, opened: Opened, command: str) -> None:
    """Without any one of its commands something fails, in words."""
    allow(server, command.replace("+", "-"))
    with pytest.raises(StoreRefused, match="let its user run scripts, and read and write keys that begin with llmfb:"):
        use(opened(url_of(server)))


@pytest.mark.parametrize(
    "words",
    [
        *("GET llmfb:{1}:x", "DEL llmfb:{1}:x", "EVAL return{} 0", "SCRIPT FLUSH", "KEYS *", "SCAN 0", "PING"),
        *("FLUSHALL", "CONFIG SET appendonly no", "CONFIG GET *", "INFO", "ACL LIST", "CLUSTER SLOTS", "SELECT 1"),
        *("SHUTDOWN", "REPLICAOF NO ONE", "PUBLISH llmfb: x", "SET other x", "HGETALL other"),
    ],
)
def test_nothing_else_is_allowed(server: RedisServer, words: str) -> None:
    """Other commands, and its own commands on other keys, are refused."""
    with redis.Redis.from_url(url_of(server)) as client, pytest.raises(NoPermissionError):
        client.execute_command(*words.split())


def test_redis_knows_no_more(server: RedisServer) -> None:
    """What Redis says of the user is what the document says."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        user = client.acl_getuser("feedback")

    assert (set(user["commands"]), user["categories"]) == (set(COMMANDS), ["-@all"])
    assert (user["keys"], user["channels"], user["selectors"]) == (["~llmfb:*"], [], [])


class TestMore:
    """What the document adds for single purposes is what these need."""

    def test_database(self, server: RedisServer, opened: Opened) -> None:
        """A database other than 0 needs SELECT."""
        url = url_of(server).removesuffix("0") + "1"
        with pytest.raises(StoreRefused, match="'select'"):
            opened(url).ping()
        allow(server, *MORE["a database other than 0"])
        use(opened(url))

    def test_replicas(self, server: RedisServer, opened: Opened) -> None:
        """Waiting for replicas needs WAIT."""
        with pytest.raises(StoreRefused, match="'wait'"):
            opened(url_of(server), wait_replicas=1).ping()
        allow(server, *MORE["`wait_replicas`"])
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas acknowledged it"):
            opened(url_of(server), wait_replicas=1).ping()

    def test_warning(self, server: RedisServer, opened: Opened) -> None:
        """Without INFO there is no warning and no error."""
        assert opened(url_of(server)).warning() is None
        allow(server, *MORE["the warning at the start"])
        assert "appendonly is no" in str(opened(url_of(server)).warning())

    def test_cluster(self, redis_cluster: RedisCluster, cluster_url: str, opened: Opened) -> None:
        """A Cluster needs to be asked for its slots."""
        words = MORE["a Redis Cluster"]
        url = cluster_url.replace("://", f"://feedback:{SECRET}@")
        for node in redis_cluster.nodes:
            allow(node)
        with pytest.raises(StoreRefused, match=re.escape("'cluster|slots'")):
            opened(url).ping()
        for node in redis_cluster.nodes:
            allow(node, *words)
        use(opened(url))
        for node in redis_cluster.nodes:
            node.client.acl_deluser("feedback")


def test_serve(server: RedisServer, tmp_path: Path) -> None:
    """``serve`` starts, takes ratings and shows them as this user."""
    with ExporterProcess(tmp_path, url_of(server)) as exporter, exporter.client() as client:
        entry = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5}
        assert client.post(entry).status == 202
        assert b'workflow="w"' in client.get("/metrics").body
        assert "WARNING" not in exporter.output
