"""A real Redis Cluster: three primaries, a replica each, all on 127.0.0.1."""

import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.support.ports import free_port
from tests.support.redis_server import PortTaken, RedisServer
from tests.support.waiting import eventually

PRIMARIES = 3
SLOTS = 16384
NODE_TIMEOUT_MILLISECONDS = 800


class ClusterNode(RedisServer):
    """One of its servers, which remembers over restarts that it is one."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        """Start nothing yet."""
        super().__init__(
            directory,
            *("--cluster-enabled", "yes", "--cluster-port", f"{free_port()}", "--repl-diskless-sync-delay", "0"),
            *("--cluster-node-timeout", f"{NODE_TIMEOUT_MILLISECONDS}", *arguments),
        )
        self.client = redis.Redis(port=self.port, socket_timeout=10, protocol=2)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process and no connection behind."""
        self.client.close()
        super().__exit__(kind, error, trace)

    def cluster(self, *words: object) -> Any:  # noqa: ANN401 - as redis-py has it
        """Send a CLUSTER command, and return the answer as it came."""
        connection = self.client.connection_pool.get_connection()
        try:
            connection.send_command("CLUSTER", *words)  # type: ignore[no-untyped-call] # redis-py's types are incomplete
            return connection.read_response()
        finally:
            self.client.connection_pool.release(connection)

    def drop_replicas(self) -> None:
        """Close the connections of its replicas, which then get nothing until they connect again."""
        self.client.execute_command("CLIENT KILL", "TYPE", "replica")  # type: ignore[no-untyped-call] # redis-py's types are incomplete

    @property
    def id(self) -> str:
        """Its name in the Cluster."""
        return str(self.cluster("MYID").decode())

    @property
    def is_primary(self) -> bool:
        """Whether it is a primary, as far as it knows."""
        return bool(self.client.role()[0] == b"master")


class RedisCluster:
    """Six servers; in a ``with`` statement they are one Cluster inside and are gone after."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        """Start nothing yet; ``arguments`` are added to every command line."""
        self._directory = directory
        self._arguments = arguments
        self.nodes: list[ClusterNode] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start, and let them find together."""
        with self._running as running:
            self.nodes = [self._started(f"{place}") for place in range(2 * PRIMARIES)]
            self._unite()
            self._running = running.pop_all()
        return self

    def _unite(self) -> None:
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        for place, node in enumerate(primaries):
            node.cluster("ADDSLOTSRANGE", SLOTS * place // PRIMARIES, SLOTS * (place + 1) // PRIMARIES - 1)
            node.cluster("SET-CONFIG-EPOCH", place + 1)
        for node in self.nodes:
            for other in self.nodes:
                bus = other.client.config_get("cluster-port")["cluster-port"]
                node.cluster("MEET", "127.0.0.1", other.port, bus)
        for primary, replica in zip(primaries, replicas, strict=True):
            known = f"{replica.port} knows {primary.port}"
            eventually(lambda: primary.id in str(replica.cluster("NODES")), known)  # noqa: B023 - called at once
            replica.cluster("REPLICATE", primary.id)
        self.settle()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self._running.close()

    def _started(self, name: str) -> ClusterNode:
        """Start a server on ports that nobody took meanwhile; so many are wanted that this does happen."""
        while True:
            with suppress(PortTaken):
                return self._running.enter_context(ClusterNode(self._directory / name, *self._arguments))
            shutil.rmtree(self._directory / name)

    @property
    def url(self) -> str:
        """URL of a store in it."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    @property
    def primaries(self) -> list[ClusterNode]:
        """The servers that are primaries and run, in order of age."""
        return [node for node in self.nodes if node.running and node.is_primary]

    def settle(self) -> None:
        """Wait until every shard has its primary and its replica, and everybody knows."""
        eventually(self._is_settled, "a Cluster of three primaries with a replica each", 60)

    def _is_settled(self) -> bool:
        try:
            views = {self._view(node) for node in self.nodes}
            return len(views) == 1 and len(self.primaries) == PRIMARIES and all(map(self._is_well, self.nodes))
        except (redis.ConnectionError, redis.ResponseError):
            return False

    @staticmethod
    def _view(node: ClusterNode) -> str:
        """How a node sees who serves what, with whom."""
        return str(
            sorted((low, high, *nodes[:1], *sorted(nodes[1:])) for low, high, *nodes in node.cluster("SLOTS")),
        )

    @staticmethod
    def _is_well(node: ClusterNode) -> bool:
        if b"cluster_state:ok" not in node.cluster("INFO"):
            return False
        replication = node.client.info("replication")
        if replication["role"] == "slave":
            return bool(replication["master_link_status"] == "up")
        return bool(replication["connected_slaves"] == 1 and replication["slave0"]["state"] == "online")

    def flush(self) -> None:
        """Let it hold nothing, not even a script."""
        for node in self.primaries:
            node.client.flushall()
            node.client.script_flush()

    def primary_of(self, slot: int) -> ClusterNode:
        """Return the server of a slot."""
        for low, high, (_, port, *_), *_ in self.primaries[0].cluster("SLOTS"):
            if low <= slot <= high:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"slot {slot} has no primary")

    def replica_of(self, primary: ClusterNode) -> ClusterNode:
        """Return the replica of a primary."""
        port = primary.client.info("replication")["slave0"]["port"]
        return next(node for node in self.nodes if node.port == port)

    def begin_move(self, slot: int, target: ClusterNode) -> None:
        """Let a slot be on its way to another primary; no key of it has moved yet."""
        source = self.primary_of(slot)
        target.cluster("SETSLOT", slot, "IMPORTING", source.id)
        source.cluster("SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, target: ClusterNode, *keys: str) -> None:
        """Move keys of a slot that is on its way: those that are named, or all."""
        source = self.primary_of(slot)
        moved = keys or source.cluster("GETKEYSINSLOT", slot, 1_000_000)
        if moved:
            source.client.migrate("127.0.0.1", target.port, moved, 0, 10_000)

    def end_move(self, slot: int, target: ClusterNode) -> None:
        """Give a slot to another primary."""
        source = self.primary_of(slot)
        for node in (target, source, *self.primaries):
            node.cluster("SETSLOT", slot, "NODE", target.id)
        eventually(lambda: all(self._serves(node, slot, target) for node in self.nodes), f"slot {slot} moved")

    @staticmethod
    def _serves(node: ClusterNode, slot: int, target: ClusterNode) -> bool:
        """Whether a node knows that ``target`` serves a slot."""
        found = (nodes[0][1] for low, high, *nodes in node.cluster("SLOTS") if low <= slot <= high)
        return next(found, None) == target.port
