"""What many tests use: a Redis server, a Redis Cluster, and the URL of an empty store of each kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from exporter.rules import WEEK
from exporter.store import SERIES_LIMIT, open_store
from exporter.store.base import Store
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer

# A loaded machine makes an example slow, not wrong; pytest's own time-out ends what hangs.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

BACKENDS = ("sqlite", "memory", "redis", "cluster")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis server for all tests, without persistence."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Return the URL of a Redis server that holds nothing."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        client.script_flush()
    return redis_server.url


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """One Redis Cluster for all tests, without persistence; who kills one of its servers starts it again."""
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster_url(redis_cluster: RedisCluster) -> str:
    """Return the URL of a Redis Cluster that holds nothing."""
    redis_cluster.flush()
    return redis_cluster.url


@pytest.fixture(params=BACKENDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store: of each kind in turn, or of the one that the test names."""
    if request.param in {"redis", "cluster"}:
        return str(request.getfixturevalue(f"{request.param}_url"))
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'feedback.db'}"


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Return a function that opens stores as ``open_store`` does; they are closed after the test."""
    stores: list[Store] = []

    def opened(url: str, *, retention: int = WEEK, series_limit: int = SERIES_LIMIT, wait_replicas: int = 0) -> Store:
        stores.append(open_store(url, retention=retention, series_limit=series_limit, wait_replicas=wait_replicas))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(store_url: str, opened: Callable[..., Store]) -> Store:
    """Return an empty store of each kind in turn."""
    return opened(store_url)
