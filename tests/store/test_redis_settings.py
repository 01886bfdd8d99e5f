"""Settings of Redis that lose what was acknowledged: said once, at the start, with what to do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from exporter.store.base import Store
from exporter.store.redis_settings import losses
from tests.support.exporter_process import ExporterProcess
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

Opened = Callable[..., Store]

LOST = "acknowledged ratings can be lost: "
NO_AOF = "appendonly is no, a restart loses what came after the last snapshot: set it to yes"
NO_FSYNC = "appendfsync is no, a crash of the machine loses what it had not written: set it to everysec or always"
EVICTS = "maxmemory-policy is allkeys-lru, ratings are deleted when memory is full: set it to noeviction"
SAFE = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory": "100mb", "maxmemory-policy": "noeviction"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a server of this module's own."""
    with RedisServer(tmp_path_factory.mktemp("settings")) as server:
        yield server


def configure(server: RedisServer, settings: dict[str, str]) -> None:
    """Set what is safe, and then ``settings``."""
    with redis.Redis(port=server.port) as client:
        for name, value in (SAFE | settings).items():
            client.config_set(name, value)


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        ({}, []),
        ({"appendfsync": "always"}, []),
        ({"appendonly": "no"}, [NO_AOF]),
        ({"appendonly": "no", "appendfsync": "no"}, [NO_AOF]),
        ({"appendfsync": "no"}, [NO_FSYNC]),
        ({"maxmemory-policy": "allkeys-lru"}, [EVICTS]),
        ({"maxmemory-policy": "volatile-ttl"}, [EVICTS.replace("allkeys-lru", "volatile-ttl")]),
        ({"maxmemory-policy": "allkeys-lru", "maxmemory": "0"}, []),
        ({"appendfsync": "no", "maxmemory-policy": "allkeys-lru"}, [NO_FSYNC, EVICTS]),
    ],
)
def test_settings(server: RedisServer, opened: Opened, settings: dict[str, str], faults: list[str]) -> None:
    """Each setting that loses ratings is named with what to do; together they are one text."""
    configure(server, settings)

    assert opened(server.url).warning() == (f"{server.url}: {LOST}{'; '.join(faults)}" if faults else None)


def test_without_config(tmp_path: Path, opened: Opened) -> None:
    """Where CONFIG cannot be asked, as with managed servers, INFO tells most; what is not told is not warned of."""
    arguments = ("--rename-command", "CONFIG", "", "--appendonly", "yes", "--appendfsync", "no")
    with RedisServer(tmp_path, *arguments, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert opened(server.url).warning() == f"{server.url}: {LOST}{EVICTS}"


def test_away(tmp_path: Path, opened: Opened) -> None:
    """A store that is away has no settings to warn of."""
    server = RedisServer(tmp_path)

    assert opened(server.url).warning() is None
    assert opened(f"redis+cluster://127.0.0.1:{server.port}").warning() is None


def test_cluster(redis_cluster: RedisCluster, cluster_url: str, opened: Opened) -> None:
    """Of a Cluster's primaries those are named that have the setting."""
    first = redis_cluster.primaries[0]
    first.client.config_set("maxmemory", "100mb")
    first.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        warning = opened(cluster_url).warning()
    finally:
        first.client.config_set("maxmemory", "0")

    assert warning
    assert warning.endswith(f"; {EVICTS} (127.0.0.1:{first.port})")
    for node in redis_cluster.primaries:
        assert f"127.0.0.1:{node.port}" in warning.partition(NO_AOF)[2]


def test_many_servers() -> None:
    """Of many servers a few are named, and it is said how many more there are."""
    answers = {f"host-{place}": [b"aof_enabled:0\r\n", b"maxmemory:0\r\n", []] for place in range(5)}

    assert losses(answers) == f"{LOST}{NO_AOF} (host-0, host-1, host-2 and 2 more)"


class TestServe:
    """``serve`` says it once."""

    def test_warned(self, server: RedisServer, tmp_path: Path) -> None:
        """The log has one warning at the start."""
        configure(server, {"appendonly": "no", "maxmemory-policy": "allkeys-lru"})
        with ExporterProcess(tmp_path, server.url) as exporter:
            lines = [line for line in exporter.output.splitlines() if "WARNING" in line]

        (line,) = lines
        assert line.endswith(f"WARNING {server.url}: {LOST}{NO_AOF}; {EVICTS}")

    def test_not_warned(self, server: RedisServer, tmp_path: Path) -> None:
        """Where nothing is lost nothing is said."""
        configure(server, {})
        with ExporterProcess(tmp_path, server.url) as exporter:
            assert "WARNING" not in exporter.output

    def test_awaited(self, tmp_path: Path) -> None:
        """A store that is away at the start is asked when it has come."""
        server = RedisServer(tmp_path / "redis")
        with ExporterProcess(tmp_path, server.url, awaited="/-/healthy") as exporter, server:
            exporter.wait_ready()
            eventually(lambda: NO_AOF in exporter.output, "a warning")

        assert exporter.output.count(LOST) == 1
