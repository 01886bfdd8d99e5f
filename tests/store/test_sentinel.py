"""A primary that sentinels watch: who is it, and what becomes of ratings when it changes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.errors import StoreRefused, StoreUnavailable
from exporter.store import open_store
from exporter.store.base import Store
from tests.store.helpers import Reader, count, exactly, keys, rating, ratings
from tests.support.ports import free_port
from tests.support.ratings import NOW
from tests.support.redis_sentinel import SERVICE, SentinelService, sentinel_of
from tests.support.redis_server import RedisServer
from tests.support.redis_traffic import Fate, Traffic
from tests.support.waiting import eventually

Opened = Callable[..., Store]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelService]:
    """Return three servers that three sentinels watch."""
    with SentinelService(tmp_path_factory.mktemp("sentinel")) as service:
        yield service


def test_primary_that_hangs(service: SentinelService, opened: Opened) -> None:
    """When a primary hangs another takes over; when it goes on, nobody reads from it, nor is acknowledged by it."""
    primary = service.named()
    assert primary
    traffic = Traffic([opened(f"{service.url}?socket_timeout=1", wait_replicas=1) for _ in range(3)])
    late = Reader(opened(service.url))
    with traffic.flowing():
        traffic.flow_on()
        late.poll()
        primary.pause()
        eventually(lambda: service.named() not in {None, primary}, "another primary")
        traffic.flow_on()
        acknowledged = sum(len(writer.acknowledged) for writer in traffic.writers)
        primary.resume()
        late.poll()
        traffic.flow_on()

    assert sum(map(count, late.records.values())) >= acknowledged
    fate = traffic.fate()
    assert fate == Fate(fate.acknowledged, lost=0, twice=0)
    assert traffic.follower.missed == []
    assert sum(writer.refusals.total() for writer in traffic.writers) > 0


class TestOne:
    """One server, and one sentinel that watches it."""

    @pytest.fixture
    def sentinel(self, redis_server: RedisServer, redis_url: str, tmp_path: Path) -> Iterator[RedisServer]:
        """Return a sentinel with a password of its own."""
        assert redis_url == redis_server.url
        with sentinel_of(redis_server, tmp_path / "sentinel", "requirepass s3cret") as sentinel:
            yield sentinel

    @pytest.fixture
    def url(self, sentinel: RedisServer) -> str:
        """Return the URL that leads to the server."""
        return (
            f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/{SERVICE}/2?sentinel_password=s3cret"
        )

    def test_followed(self, url: str, redis_url: str, opened: Opened) -> None:
        """The server is found, past a sentinel that is away; ratings go into the database of the URL."""
        store, reader = opened(url), Reader(opened(url))
        assert store.append([rating("1", key) for key in keys(5)], NOW) == ["new"] * 5
        assert reader.poll()
        assert store.append(ratings(["1"]), NOW) == ["new"]
        assert not reader.poll()

        assert len(reader.records) == 6
        assert opened(redis_url).changes(None).items == []
        assert len(opened(redis_url.removesuffix("0") + "2").changes(None).items) == 6

    def test_sentinels_go(self, url: str, sentinel: RedisServer, opened: Opened) -> None:
        """Without sentinels who is connected stays so; who is not waits, and is told what for."""
        store = opened(url)
        store.append(ratings(["1"]), NOW)
        sentinel.kill()

        assert len(store.changes(None).items) == 1
        reason = (
            f"{url.partition('?')[0]}?***: cannot write: No master found for 'ratings'; "
            "see that its sentinels run and that the URL names them and the service as they do"
        )
        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            opened(url).ping()

    def test_unknown_service(self, url: str, opened: Opened) -> None:
        """A service that no sentinel knows is unavailable: it may be known later."""
        with pytest.raises(StoreUnavailable, match="No master found for 'others'; see that its sentinels run"):
            opened(url.replace(SERVICE, "others")).ping()

    def test_password(self, url: str, opened: Opened) -> None:
        """Sentinels that want a password refuse who gives none or another, and it is never shown."""
        for wrong in ("", "?sentinel_password=wr0ng"):
            with pytest.raises(StoreRefused) as caught:
                opened(url.partition("?")[0] + wrong).ping()
            assert str(caught.value).endswith(
                "cannot write: No master found for 'ratings'; "
                "give the sentinels' own password in the URL: ?sentinel_password=..."
            )
            assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis+sentinel://host:1", "redis+sentinel://u:p@host:1,host:2/?x=1"])
def test_no_service(url: str) -> None:
    """A URL that names no service is refused, and it is said how to write one."""
    with pytest.raises(StoreRefused, match=r"names no service: redis\+sentinel://HOST:PORT/SERVICE\Z"):
        open_store(url)
