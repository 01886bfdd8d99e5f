"""A Redis Cluster whose slots move and whose servers die: nothing counts twice, nothing stays unseen."""

import threading
from collections.abc import Callable, Iterator

import pytest

import exporter.store.redis
import exporter.store.redis_cluster
from exporter.domain import Feedback
from exporter.errors import StoreUnavailable
from exporter.fold import fold
from exporter.rules import WEEK
from exporter.store.base import Store
from exporter.store.redis_keys import place_of
from exporter.store.redis_routes import SLOTS
from tests.store.helpers import Reader, count, exactly, keys, neighbours, rating, ratings
from tests.support.ratings import KEY, NOW
from tests.support.redis_cluster import ClusterNode, RedisCluster
from tests.support.redis_traffic import Fate, Traffic
from tests.support.waiting import eventually

Opened = Callable[..., Store]

SLOT = SLOTS[place_of(KEY).shard]
RECORD = place_of(KEY).key("record")
ADVICE = "the Cluster is moving the slot: ask again, or see that its resharding goes on"


@pytest.fixture
def cluster(redis_cluster: RedisCluster, cluster_url: str) -> Iterator[RedisCluster]:
    """Return a Cluster that holds nothing; what is killed runs again afterwards, as whatever it is then."""
    assert cluster_url == redis_cluster.url
    yield redis_cluster
    for node in redis_cluster.nodes:
        if node.running:
            node.resume()
        else:
            node.start()
    redis_cluster.settle()


@pytest.fixture
def store(cluster: RedisCluster, opened: Opened) -> Store:
    """Return a store with one rating, in series KEY."""
    store = opened(cluster.url)
    store.append(ratings(["1"]), NOW)
    return store


@pytest.fixture
def target(cluster: RedisCluster) -> ClusterNode:
    """Return a primary that does not serve the slot of KEY."""
    source = cluster.primary_of(SLOT)
    return next(node for node in cluster.primaries if node is not source)


@pytest.fixture
def half_moved(cluster: RedisCluster, store: Store, target: ClusterNode) -> Store:
    """Return the store while the record of KEY has moved to another primary, and the rest of its shard has not."""
    assert store.record(KEY)
    cluster.begin_move(SLOT, target)
    cluster.move_keys(SLOT, target, RECORD)
    return store


def finish(cluster: RedisCluster, target: ClusterNode) -> None:
    """Move the rest of the shard."""
    cluster.move_keys(SLOT, target)
    cluster.end_move(SLOT, target)


class TestMovingSlot:
    """A slot moves key by key, and scripts touch several keys."""

    def test_reading(self, half_moved: Store, cluster: RedisCluster, target: ClusterNode) -> None:
        """What is read is followed to wherever its key is, and a series that is not there is not there."""
        assert half_moved.record(KEY) == fold(None, ratings(["1"]), NOW, WEEK)
        assert half_moved.history([KEY, *neighbours(1)], 10) == ratings(["1"])
        assert half_moved.record(*neighbours(1)) is None
        finish(cluster, target)

    def test_writing_waits(self, half_moved: Store, cluster: RedisCluster, target: ClusterNode) -> None:
        """A rating is stored once its slot is whole again, in the record that it belongs to, and a new series too."""
        verdicts: list[str] = []
        batch = [*ratings(["1", "2"]), rating("1", *neighbours(1))]
        writing = threading.Thread(target=lambda: verdicts.extend(half_moved.append(batch, NOW)))
        source = cluster.primary_of(SLOT)
        source.client.config_resetstat()
        writing.start()
        eventually(lambda: source.client.info("errorstats").get("errorstat_TRYAGAIN"), "a refused script")
        finish(cluster, target)
        writing.join()

        assert verdicts == ["duplicate", "new", "new"]
        assert half_moved.record(KEY) == fold(None, ratings(["1", "2"]), NOW, WEEK)
        assert count(half_moved.record(*neighbours(1))) == 1

    def test_too_long(
        self, half_moved: Store, cluster: RedisCluster, target: ClusterNode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A slot that moves for too long is unavailable; nothing was stored, so the retry is new."""
        monkeypatch.setattr(exporter.store.redis_cluster, "MOVING_SECONDS", 0.1)
        source = cluster.primary_of(SLOT)
        reason = (
            f"{cluster.url}: cannot store ratings: 127.0.0.1:{source.port}: "
            f"Multiple keys request during rehashing of slot; {ADVICE}"
        )
        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            half_moved.append(ratings(["2"]), NOW)
        finish(cluster, target)

        assert half_moved.append(ratings(["2"]), NOW) == ["new"]
        assert half_moved.record(KEY) == fold(None, ratings(["1", "2"]), NOW, WEEK)

    def test_meta_moved_first(
        self, store: Store, cluster: RedisCluster, target: ClusterNode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the key that scripts name has moved before the others, the target refuses them too."""
        monkeypatch.setattr(exporter.store.redis_cluster, "MOVING_SECONDS", 0.1)
        cluster.begin_move(SLOT, target)
        cluster.move_keys(SLOT, target, RECORD.replace(f"{place_of(KEY).series}:record", "meta"))
        with pytest.raises(StoreUnavailable, match=ADVICE):
            store.append(ratings(["2"]), NOW)
        assert target.client.info("errorstats")["errorstat_TRYAGAIN"]
        finish(cluster, target)

        assert store.append(ratings(["2"]), NOW) == ["new"]
        assert store.record(KEY) == fold(None, ratings(["1", "2"]), NOW, WEEK)

    def test_moved(self, store: Store, cluster: RedisCluster, target: ClusterNode) -> None:
        """A slot that has moved is found; a reader reads it there, and goes on from there."""
        reader = Reader(store)
        reader.poll()
        cluster.begin_move(SLOT, target)
        finish(cluster, target)

        assert store.append(ratings(["1", "2"]), NOW) == ["duplicate", "new"]
        assert reader.poll()
        assert not reader.poll()
        assert count(reader.records[KEY]) == 2

    def test_all_slots_under_load(self, cluster: RedisCluster, opened: Opened) -> None:
        """While every shard moves to another primary, key by key, each rating counts once and is seen at once."""
        for node in cluster.nodes:
            node.client.config_resetstat()
        traffic = Traffic([opened(cluster.url) for _ in range(4)], pause=0.001)
        with traffic.flowing():
            traffic.flow_on()
            for slot in SLOTS:
                after = cluster.primaries.index(cluster.primary_of(slot)) + 1
                target = cluster.primaries[after % len(cluster.primaries)]
                cluster.begin_move(slot, target)
                for key in cluster.primary_of(slot).cluster("GETKEYSINSLOT", slot, 10_000):
                    cluster.move_keys(slot, target, key)
                cluster.end_move(slot, target)
            traffic.flow_on()

        fate = traffic.fate()
        assert fate == Fate(fate.acknowledged, lost=0, twice=0)
        assert traffic.follower.missed == []
        met = {error for node in cluster.primaries for error in node.client.info("errorstats")}
        assert met >= {"errorstat_MOVED", "errorstat_ASK", "errorstat_TRYAGAIN"}


def fail_over(cluster: RedisCluster, traffic: Traffic, number: int, *, lags: bool = False) -> None:
    """Kill a primary, wait for its replica to take over, and start it again, as the replica that it is then.

    A replica that ``lags`` does not have what came last.
    """
    primary = cluster.primaries[number % len(cluster.primaries)]
    replica = cluster.replica_of(primary)
    if lags:
        replica.pause()
        primary.drop_replicas()
        traffic.go_on()
    primary.kill()
    replica.resume()
    eventually(lambda: replica.is_primary, "the replica taking over")
    primary.start()
    cluster.settle()
    traffic.flow_on()


class TestFailover:
    """Another server takes over."""

    def test_on_purpose(self, cluster: RedisCluster, opened: Opened) -> None:
        """A failover that is asked for loses nothing, counts nothing twice, and leaves nothing unseen."""
        traffic = Traffic([opened(cluster.url) for _ in range(3)])
        with traffic.flowing():
            traffic.flow_on()
            replica = cluster.replica_of(cluster.primaries[0])
            replica.cluster("FAILOVER")
            eventually(lambda: replica.is_primary, "the replica taking over")
            traffic.flow_on()

        fate = traffic.fate()
        assert fate == Fate(fate.acknowledged, lost=0, twice=0)
        assert traffic.follower.missed == []

    def test_killed(self, cluster: RedisCluster, opened: Opened) -> None:
        """What a replica had acknowledged when its primary was killed is there; what a client retried counts once."""
        traffic = Traffic([opened(cluster.url, wait_replicas=1) for _ in range(3)])
        with traffic.flowing():
            traffic.flow_on()
            fail_over(cluster, traffic, 0)

        fate = traffic.fate()
        assert fate == Fate(fate.acknowledged, lost=0, twice=0)
        assert traffic.follower.missed == []
        assert sum(writer.refusals.total() for writer in traffic.writers) > 0

    def test_lost_writes(self, cluster: RedisCluster, store: Store) -> None:
        """A replica that takes over without the newest writes is noticed, also if others are under their versions."""
        reader = Reader(store)
        primary = cluster.primary_of(SLOT)
        replica = cluster.replica_of(primary)
        lost, other = neighbours(2)
        eventually(lambda: replica.client.dbsize() == primary.client.dbsize(), "the replica has it all")
        replica.pause()
        primary.drop_replicas()
        store.append([rating("1", lost)], NOW)
        reader.poll()
        assert set(reader.records) == {KEY, lost}
        primary.kill()
        replica.resume()
        eventually(lambda: replica.is_primary, "the replica taking over")
        eventually(lambda: appended(store, [rating("1", other)]), "a primary that takes ratings")

        assert reader.poll()
        assert set(reader.records) == {KEY, other}
        assert not reader.poll()

    def test_primary_that_hangs(self, cluster: RedisCluster, opened: Opened) -> None:
        """What was acknowledged by another, while a primary hung, is read as soon as that one goes on."""
        store, late = opened(f"{cluster.url}?socket_timeout=0.5"), Reader(opened(cluster.url))
        opened(cluster.url, wait_replicas=1).append([rating("1", key) for key in keys(200)], NOW)
        late.poll()
        primary = cluster.primary_of(SLOT)
        replica = cluster.replica_of(primary)
        primary.pause()
        eventually(lambda: replica.is_primary, "the replica taking over")
        eventually(lambda: appended(store, [rating("2", key) for key in keys(200)]), "a Cluster that takes ratings")
        primary.resume()
        late.poll()

        assert {count(record) for record in late.records.values()} == {2}

    def test_away(self, cluster: RedisCluster, store: Store) -> None:
        """While a shard has no primary it is unavailable, in words, and then so is the whole Cluster."""
        primary = cluster.primary_of(SLOT)
        cluster.replica_of(primary).kill()
        primary.kill()
        with pytest.raises(StoreUnavailable) as caught:
            store.append(ratings(["2"]), NOW)
        assert str(caught.value) == (
            f"{cluster.url}: cannot store ratings: Error 111 connecting to 127.0.0.1:{primary.port}. Connection "
            "refused; see that it runs and that the URL names it"
        )
        well = cluster.primaries[0]
        eventually(lambda: b"cluster_state:fail" in well.cluster("INFO"), "a Cluster that is down")
        other = next(key for key in keys(200) if cluster.primary_of(SLOTS[place_of(key).shard]) is well)
        reason = (
            f"{cluster.url}: cannot read a record: 127.0.0.1:{well.port}: The cluster is down; "
            "some slots of the Cluster have no primary: wait for its failover, or see CLUSTER NODES"
        )
        with pytest.raises(StoreUnavailable, match=exactly(reason)):
            store.record(other)

    @pytest.mark.long
    @pytest.mark.timeout(600)
    @pytest.mark.parametrize("wait_replicas", [1, 0])
    def test_twenty(self, cluster: RedisCluster, opened: Opened, wait_replicas: int) -> None:
        """Over 20 failovers, half of them to a replica that lags, nothing that a replica acknowledged is lost.

        Nothing ever counts twice.
        """
        traffic = Traffic([opened(cluster.url, wait_replicas=wait_replicas) for _ in range(3)])
        with traffic.flowing():
            traffic.flow_on()
            for number in range(20):
                fail_over(cluster, traffic, number, lags=number % 2 == 1)

        fate = traffic.fate()
        print(f"20 failovers, wait_replicas {wait_replicas}: {fate}")  # noqa: T201 - the loss is a figure, not a verdict
        assert fate.twice == 0
        assert (fate.lost == 0) == bool(wait_replicas)
        assert traffic.follower.missed == [] or not wait_replicas


def appended(store: Store, batch: list[Feedback]) -> bool:
    """Whether a batch could be stored."""
    try:
        return bool(store.append(batch, NOW))
    except StoreUnavailable:
        return False
