"""The ways to several servers: how a URL names them, how one finds the right one, and what is said when not."""

from collections.abc import Callable, Iterable, Sequence

import pytest

import exporter.store.redis
import exporter.store.redis_routes
from exporter.errors import StoreRefused, StoreUnavailable
from exporter.store import open_store, without_password
from exporter.store.base import Store
from exporter.store.redis_keys import SHARDS, place_of
from exporter.store.redis_node import Command, Node, Reply, Talk
from exporter.store.redis_routes import SLOTS, Routes
from exporter.store.redis_url import connection_options, hosts
from tests.store.helpers import count, exactly, keys, rating, ratings
from tests.support.ports import free_port
from tests.support.ratings import KEY, NOW
from tests.support.redis_cluster import RedisCluster

Opened = Callable[..., Store]


class TestUrl:
    """URLs of several hosts."""

    def test_hosts(self) -> None:
        """Each host has its port or the usual one; user, password and options are for all."""
        found = hosts("rediss+cluster://u%40:p%2Fw@one,[::1]:7001,three:7002/0?socket_timeout=2", 6379)

        assert found.addresses == [("one", 6379), ("::1", 7001), ("three", 7002)]
        assert (found.options["username"], found.options["password"]) == ("u@", "p/w")
        assert found.options["socket_timeout"] == 2
        assert found.options["connection_class"].__name__ == "SSLConnection"
        assert found.path == ["0"]
        assert "host" not in found.options

    def test_slots(self) -> None:
        """A shard is one slot of a Cluster, whatever the series."""
        assert len(set(SLOTS)) == SHARDS

    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("redis+cluster://u:s3cret@one:1,two:2/0?x=s3cret", "redis+cluster://u:***@one:1,two:2/0?***"),
            ("redis+cluster://one:1,two,[::1]:3", "redis+cluster://one:1,two,[::1]:3"),
            ("rediss+sentinel://:s3cret@one,two:2/ratings/1", "rediss+sentinel://:***@one,two:2/ratings/1"),
            ("redis+sentinel://:s3cr,et@one/ratings", "redis+sentinel://:***@one/ratings"),
            ("redis+sentinel://u:s3@cr:7,et@one/ratings", "redis+sentinel://u:***@one/ratings"),
            ("redis+cluster://one:s3cret,two:2", "redis+cluster://one:***"),
            ("redis+cluster://one:1,two:s3,cret", "redis+cluster://one:1,two:***"),
            ("redis://one:s3,cret", "redis://one:***"),
        ],
    )
    def test_masked(self, url: str, masked: str) -> None:
        """The password is masked and the hosts are shown; what is no port may be a password, to the end."""
        assert without_password(url) == masked

    @pytest.mark.parametrize(
        "url",
        [
            "redis+cluster://host:port",
            "redis+cluster://one:1,two:s3cret",
            "redis+cluster://one,,two",
            "redis+cluster://",
            "redis+sentinel:///ratings",
            "redis+cluster://:s3/cret@one",
            "redis+cluster://one?no_such_option=s3cret",
            "redis+sentinel://one/ratings/zero",
            "redis+sentinel://one/ratings/0?socket_timeout=s3cret",
        ],
    )
    def test_unreadable(self, url: str) -> None:
        """A URL that cannot be read is refused in the same words as one of a single server, and keeps its secret."""
        reason = (
            f"store URL {without_password(url)!r} cannot be read: see its port and what follows '?', and "
            "percent-encode a password's special characters"
        )
        with pytest.raises(StoreRefused, match=exactly(reason)) as caught:
            open_store(url)
        assert "cret" not in str(caught.value)

    @pytest.mark.parametrize("tail", ["/1", "/0/1", "?db=1"])
    def test_database(self, tail: str) -> None:
        """A Cluster has one database."""
        url = f"redis+cluster://host:1{tail}"
        reason = f"store URL {without_password(url)!r} names a database: a Redis Cluster has one, leave it out"
        with pytest.raises(StoreRefused, match=exactly(reason)):
            open_store(url)


class TestCluster:
    """Finding the way in a Cluster."""

    def test_first_host_is_away(self, redis_cluster: RedisCluster, cluster_url: str, opened: Opened) -> None:
        """One host of those that the URL names is enough, be it a replica."""
        away, replica = f"127.0.0.1:{free_port()}", f"127.0.0.1:{redis_cluster.nodes[-1].port}"
        assert cluster_url

        store = opened(f"redis+cluster://{away},{replica}")
        assert store.append([rating("1", key) for key in keys(100)], NOW) == ["new"] * 100

    def test_all_are_away(self, opened: Opened) -> None:
        """Without any host it is unavailable."""
        port = free_port()
        url = f"redis+cluster://127.0.0.1:{port}"
        reason = (
            f"{url}: cannot write: Error 111 connecting to 127.0.0.1:{port}. Connection refused; "
            "see that it runs and that the URL names it"
        )
        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            opened(url).ping()

    def test_single_server(self, redis_url: str, opened: Opened) -> None:
        """A single server is no Cluster, and it is said how to name it."""
        url = redis_url.replace("redis://", "redis+cluster://")
        reason = (
            f"{url}: cannot write: This instance has cluster support disabled; "
            "it is a single server: give redis:// instead of redis+cluster://"
        )
        with pytest.raises(StoreRefused, match=exactly(reason)):
            opened(url).ping()

    def test_named_as_single_server(self, redis_cluster: RedisCluster, opened: Opened) -> None:
        """A node of a Cluster is no single server, and it is said how to name it."""
        with pytest.raises(
            StoreRefused, match=r"it belongs to a Redis Cluster: give redis\+cluster:// instead of redis://\Z"
        ):
            opened(redis_cluster.nodes[0].url).ping()

    def test_whole_per_shard(
        self, redis_cluster: RedisCluster, cluster_url: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Several calls of the script for one shard are one transaction, those for others their own."""
        store = opened(cluster_url)
        store.append([rating("0", KEY._replace(stage="other"))], NOW)
        for node in redis_cluster.nodes:
            node.client.config_resetstat()
        monkeypatch.setattr(exporter.store.redis, "RATINGS_A_CALL", 10)
        assert store.append(ratings(f"{place}" for place in range(35)), NOW) == ["new"] * 35

        source = redis_cluster.primary_of(SLOTS[place_of(KEY).shard])
        assert source.client.info("commandstats")["cmdstat_exec"]["calls"] in {1, 2}
        assert count(store.record(KEY)) == 35

    def test_too_few_replicas(self, redis_cluster: RedisCluster, cluster_url: str, opened: Opened) -> None:
        """Too few replicas are named with the primary that lacks them; the ratings may have been stored."""
        store = opened(cluster_url, wait_replicas=2)
        source = redis_cluster.primary_of(SLOTS[place_of(KEY).shard])
        reason = (
            f"{cluster_url}: cannot store ratings: 127.0.0.1:{source.port}: 1 of 2 replicas acknowledged it within "
            "1 s; see that its replicas run and follow it, or lower wait_replicas"
        )
        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            store.append(ratings(["1"]), NOW)

        assert opened(cluster_url, wait_replicas=1).append(ratings(["1"]), NOW) == ["duplicate"]

    def test_error_of_one_node(self, redis_cluster: RedisCluster, cluster_url: str, opened: Opened) -> None:
        """An error of one node is told with its name; what the others were sent may have been stored."""
        store = opened(cluster_url)
        store.append([rating("1", key) for key in [KEY, *keys(100)]], NOW)
        source = redis_cluster.primary_of(SLOTS[place_of(KEY).shard])
        source.client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{source.port}: .*; give it more memory") as caught:
                store.append([rating("2", key) for key in [KEY, *keys(100)]], NOW)
        finally:
            source.client.config_set("maxmemory", 0)

        assert str(caught.value).startswith(f"{cluster_url}: cannot store ratings: 127.0.0.1:")
        verdicts = store.append([rating("2", key) for key in [KEY, *keys(100)]], NOW)
        assert set(verdicts) == {"new", "duplicate"}
        assert {count(record) for _, record in store.changes(None).items} == {2}


def test_a_node_is_not_believed_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other primaries say that a shard has another one, that is believed, and of each its own word is not."""
    one, two, three, four = ((f"host-{place}", 1) for place in range(4))
    thirds = [(0, 5460), (5461, 10922), (10923, 16383)]
    old, new = (
        [[*third, [host.encode(), 1]] for third, (host, _) in zip(thirds, owners, strict=True)]
        for owners in ((one, two, three), (four, two, three))
    )
    answers = {"host-0:1": old, "host-1:1": old, "host-2:1": old}

    def exchange(parts: Iterable[tuple[Node, Sequence[Command]]]) -> list[tuple[Talk, list[Reply]]]:
        return [(Spoken(node), [answers[node.name]]) for node, _ in parts]

    monkeypatch.setattr(exporter.store.redis_routes, "exchange", exchange)
    routes = Routes([one], connection_options("redis://"))
    assert {node.name for node in routes.known()} == {"host-0:1", "host-1:1", "host-2:1"}
    routes.look()
    assert {node.name for node in routes.known()} == {"host-0:1", "host-1:1", "host-2:1"}
    answers |= {"host-1:1": new, "host-2:1": new}
    routes.look()
    assert {node.name for node in routes.known()} == {"host-3:1", "host-1:1", "host-2:1"}


class Spoken(Talk):
    """A talk that took place."""

    def __init__(self, node: Node) -> None:
        """Note with whom."""
        self.node = node
        self.error = None
