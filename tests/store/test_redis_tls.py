"""TLS, with real servers that speak nothing else: each kind of URL, and what is said when it does not fit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from exporter.errors import StoreRefused, StoreUnavailable
from exporter.store.base import Store
from tests.store.helpers import Reader, keys, rating
from tests.support.certificates import Certificates, make_certificates
from tests.support.exporter_process import ExporterProcess
from tests.support.ports import free_port
from tests.support.ratings import NOW
from tests.support.redis_sentinel import SERVICE, sentinel_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

Opened = Callable[..., Store]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return a certificate for 127.0.0.1."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[RedisServer]:
    """Return a server that speaks TLS only."""
    with RedisServer(tmp_path_factory.mktemp("tls"), certificates=certificates) as server:
        yield server


def use(store: Store, reader: Reader) -> None:
    """Store ratings and read them."""
    assert set(store.append([rating("1", key) for key in keys(100)], NOW)) == {"new"}
    reader.poll()
    assert set(keys(100)) <= set(reader.records)


def test_server(server: RedisServer, opened: Opened) -> None:
    """One server is used over TLS."""
    use(opened(server.url), Reader(opened(server.url)))


def test_cluster(tmp_path: Path, certificates: Certificates, opened: Opened) -> None:
    """So is a Cluster, here one of a single node, which does not know its own name."""
    kind = ("--cluster-enabled", "yes", "--cluster-port", f"{free_port()}")
    with RedisServer(tmp_path, *kind, certificates=certificates) as node:
        with redis.Redis.from_url(node.url) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            eventually(lambda: client.cluster("INFO")["cluster_state"] == "ok", "a Cluster")
        url = node.url.replace("rediss://", "rediss+cluster://")
        use(opened(url), Reader(opened(url)))


def test_sentinel(server: RedisServer, tmp_path: Path, certificates: Certificates, opened: Opened) -> None:
    """So are sentinels, and the server that they name."""
    with sentinel_of(server, tmp_path / "sentinel", certificates=certificates) as sentinel:
        url = f"rediss+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}/1?ssl_ca_certs={certificates.authority}"
        use(opened(url), Reader(opened(url)))
        assert dict(opened(server.url.replace("/0?", "/1?")).changes(None).items).keys() == set(keys(100))


def test_unknown_authority(server: RedisServer, opened: Opened) -> None:
    """A certificate whose authority is not known is refused, and it is said how to name it."""
    url = server.url.partition("?")[0]
    with pytest.raises(StoreRefused) as caught:
        opened(url).ping()

    assert str(caught.value).startswith(f"{url}: cannot write: Error 1 connecting to 127.0.0.1:{server.port}. ")
    assert "certificate verify failed" in str(caught.value)
    assert str(caught.value).endswith("; name the authority that signed its certificate: ?ssl_ca_certs=FILE")


def test_without_tls(server: RedisServer, opened: Opened) -> None:
    """Who speaks no TLS is hung up on."""
    url = f"redis://127.0.0.1:{server.port}/0"
    with pytest.raises(StoreUnavailable, match="; see that it runs and that the URL names it"):
        opened(url).ping()


def test_serve(server: RedisServer, tmp_path: Path) -> None:
    """``serve`` takes ratings and keeps them there."""
    entry = {"workflow_name": "over-tls", "stage_name": "s", "tier": "cheap", "quality_score": 0.5}
    with ExporterProcess(tmp_path, server.url) as exporter, exporter.client() as client:
        assert client.post(entry).status == 202
        assert b'workflow="over-tls"' in client.get("/metrics").body
