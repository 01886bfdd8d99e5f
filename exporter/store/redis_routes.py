"""Which primary of a Redis Cluster has which shard: asked for when needed, forgotten when wrong."""

from collections import Counter
from threading import Lock
from typing import Any

from redis.crc import key_slot
from redis.exceptions import ClusterDownError, RedisError

from exporter.store.redis_keys import SHARDS, shard_key
from exporter.store.redis_node import Node, Reply, exchange
from exporter.store.redis_url import Address, pool_of

SLOTS = [key_slot(shard_key(shard, "meta").encode()) for shard in range(SHARDS)]
QUESTION = [("CLUSTER", "SLOTS")]

# The node of each shard.
Nodes = tuple[Node, ...]


class Routes:
    """The nodes of a Cluster. Thread-safe."""

    def __init__(self, addresses: list[Address], options: dict[str, Any]) -> None:
        """Know no more than some addresses, and how to connect to each; connect later.

        Raises:
            TypeError, ValueError, RedisError: there is an option that redis-py does not know.

        """
        self._options = options
        self._given = tuple(addresses)
        # In the order in which they are asked.
        self._addresses = addresses
        self._nodes: dict[Address, Node] = {}
        self._known: Nodes = ()
        self._lock = Lock()
        self.node(addresses[0])

    def node(self, address: Address) -> Node:
        """Return the node at ``address``."""
        node = self._nodes.get(address)
        if node is None:
            host, port = address
            pool = pool_of({**self._options, "host": host, "port": port})
            node = self._nodes.setdefault(address, Node(f"{host}:{port}", pool, address))
        return node

    def known(self) -> Nodes:
        """Return the node of each shard; ask if that is not known.

        Raises:
            RedisError: no node can tell, or a shard has none.

        """
        with self._lock:
            if not self._known:
                self._adopt(self._ask())
            return self._known

    def forget(self, wrong: Nodes, *, first: Address | None = None, last: Address | None = None) -> None:
        """Ask anew, where ``wrong`` is still what is known: from now on one node ``first``, and one ``last``."""
        with self._lock:
            if self._known is wrong:
                self._known = ()
            if first and first not in self._addresses:
                self._addresses.append(first)
            self._addresses.sort(key=lambda address: (address != first) + (address == last))

    def look(self) -> None:
        """Ask all primaries whether one of them was replaced; of itself none is believed.

        One that hung learns it last. One that is wrongly thought to be new says so when it is sent to.

        Raises:
            RedisError: as ``known``, or a primary that was not replaced does not answer: reading need not try.

        """
        routes = self.known()
        answers = exchange([(node, QUESTION) for node in dict.fromkeys(routes)])
        views = [(talk.node, _primaries(reply, talk.node.address)) for talk, (reply,) in answers]
        believed = []
        for shard, node in enumerate(routes):
            named = Counter(primaries[shard] for other, primaries in views if primaries and other is not node)
            del named[node.address]
            believed.append(named.most_common(1)[0][0] if named else node.address)
        if believed != [node.address for node in routes]:
            with self._lock:
                if self._known is routes:
                    self._adopt(believed)
        for talk, _ in answers:
            if talk.error and talk.node.address in believed:
                self.forget(routes, last=talk.node.address)
                raise talk.error

    def close(self) -> None:
        """Close every connection."""
        for node in list(self._nodes.values()):
            node.close()

    def _adopt(self, primaries: list[Address]) -> None:
        # A node that is a primary no more, and is one later, then has new connections: it may have lost writes.
        for address in self._nodes.keys() - set(primaries):
            self._nodes.pop(address).close_idle()
        self._known = tuple(map(self.node, primaries))

    def _ask(self) -> list[Address]:
        """Ask one node after the other for the primary of each shard, and remember all that it names."""
        reply: Reply = None
        for address in self._addresses:
            ((_, (reply,)),) = exchange([(self.node(address), QUESTION)])
            primaries = _primaries(reply, address)
            if primaries:
                named = [_address(node, address) for _, _, *nodes in reply for node in nodes]
                self._addresses = list(dict.fromkeys([address, *named, *self._given]))
                return primaries
        raise reply if isinstance(reply, RedisError) else ClusterDownError("no node serves all slots")


def _primaries(reply: Reply, asked: Address) -> list[Address]:
    """Address of the primary of each shard, from what a node answered; nothing where one has none, or on an error."""
    if isinstance(reply, RedisError):
        return []
    ranges = [(range(low, high + 1), _address(nodes[0], asked)) for low, high, *nodes in reply]
    found = [address for slot in SLOTS for slots, address in ranges if slot in slots]
    return found if len(found) == SHARDS else []


def _address(node: list[Any], asked: Address) -> Address:
    """Address of a node in an answer; one that does not know its own name is where it was asked."""
    name, port, *_ = node
    return ((name or b"").decode() or asked[0], port)
