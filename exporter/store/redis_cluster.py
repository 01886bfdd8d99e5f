"""The way to a Redis Cluster: each shard is one slot, and each slot is served by one primary at a time.

What is sent goes to all primaries at once. It is sent again only where the server said that it did nothing: the slot
is elsewhere (MOVED), or on its way (ASK, TRYAGAIN), the script is not known (NOSCRIPT), or no connection could be made.
So a verdict is always that of the one time at which a rating was stored, or an error says that it may have been.
"""

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from redis.exceptions import AskError, MovedError, NoScriptError, RedisError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as BrokenConnection
from redis.exceptions import TimeoutError as NoReply

from exporter.errors import StoreRefused
from exporter.store.redis_errors import StillMoving
from exporter.store.redis_keys import shard_of
from exporter.store.redis_node import Command, Node, Reply, Talk, exchange
from exporter.store.redis_routes import Nodes, Routes
from exporter.store.redis_url import hosts, reading
from exporter.store.redis_way import Arguments, Call, Outcome, Way, do, flat, script

PORT = 6379
# How long a slot that is being moved is waited for, and how much longer after every refusal.
MOVING_SECONDS = 3
PAUSE_SECONDS = 0.01


class Part(NamedTuple):
    """What is done in one shard, together or not at all; ``text`` is that of the script that is run, if one is."""

    shard: int
    commands: Sequence[Command]
    text: str = ""


class RedisCluster(Way):
    """See ``Way``."""

    def __init__(self, url: str, wait_replicas: int = 0) -> None:
        """Read ``redis+cluster://user:password@host:port,host:port``; the hosts are some of the Cluster's.

        Raises:
            StoreRefused: it cannot be read, or names a database.

        """
        super().__init__(url, wait_replicas)
        with reading(url):
            addresses, options, path = hosts(url, PORT)
            if options.pop("db", 0) or path not in ([], ["0"]):
                raise StoreRefused(f"store URL {self.shown!r} names a database: a Redis Cluster has one, leave it out")
            self._routes = Routes(addresses, options)

    def ask(self, commands: Iterable[Command], *, replicated: bool = False) -> list[Reply]:
        """See ``Way``."""
        return self._do([Part(shard_of(command[1]), [command]) for command in commands], replicated=replicated)

    def run(
        self,
        name: str,
        calls: Iterable[Arguments],
        *,
        writes: bool,  # noqa: ARG002 - calls of one shard are done together in any case
        replicated: bool = False,
    ) -> list[Reply]:
        """See ``Way``; calls for one shard stand together."""
        known = script(name)
        by_shard = groupby(calls, key=lambda call: call[0])
        parts = [Part(shard, [known.command(*call) for call in same], known.text) for shard, same in by_shard]
        return self._do(parts, replicated=replicated)

    def _do(self, parts: Sequence[Part], *, replicated: bool) -> list[Reply]:
        return flat(_Errand(self._routes, parts, self.wait_replicas if replicated else 0).finish())

    def serials(self) -> tuple[int, ...]:
        """See ``Way``."""
        return tuple(node.serial for node in self._routes.known())

    def survey(self, commands: Sequence[Command]) -> dict[str, list[Reply]]:
        """See ``Way``."""
        nodes = dict.fromkeys(self._routes.known())
        return {talk.node.name: replies for talk, replies in exchange([(node, commands) for node in nodes])}

    def look(self) -> None:
        """See ``Way``."""
        self._routes.look()

    def close(self) -> None:
        """See ``Way``."""
        self._routes.close()


class _Errand:
    """Parts on their way to wherever their shards are, until each is done or has failed."""

    def __init__(self, routes: Routes, parts: Sequence[Part], replicas: int) -> None:
        self._routes = routes
        self._parts = parts
        self._replicas = replicas
        self._outcomes: list[Outcome] = [[]] * len(parts)
        # Places of the parts that are not done, each with the node that it was told to ask.
        self._left: dict[int, Node | None] = dict.fromkeys(range(len(parts)))
        self._out_of_reach: set[Node] = set()
        self._unknown: set[tuple[Node, str]] = set()

    def finish(self) -> list[Outcome]:
        """Return what came of every part."""
        give_up, pause = time.monotonic() + MOVING_SECONDS, 0.0
        while self._left and time.monotonic() < give_up:
            time.sleep(pause)
            pause += PAUSE_SECONDS
            self._send()
            self._load_unknown()
        for place in self._left:
            if isinstance(self._outcomes[place], ResponseError):
                self._outcomes[place] = StillMoving(str(self._outcomes[place]))
        return self._outcomes

    def _send(self) -> None:
        """Send what is left, and keep as left what may be sent again."""
        routes, left = self._routes.known(), self._left
        by_node: dict[Node, list[int]] = {}
        for place, told in left.items():
            by_node.setdefault(told or routes[self._parts[place].shard], []).append(place)
        calls = [
            (node, [Call(self._parts[place].commands, asking=left[place] is not None) for place in places])
            for node, places in by_node.items()
        ]
        self._left = {}
        for (talk, outcomes), places in zip(do(calls, self._replicas), by_node.values(), strict=True):
            for place, outcome in zip(places, outcomes, strict=True):
                self._outcomes[place] = outcome
                if isinstance(outcome, RedisError):
                    self._judge(place, outcome, talk, routes)
            if not talk.sent:
                self._out_of_reach.add(talk.node)

    def _judge(self, place: int, error: RedisError, talk: Talk, routes: Nodes) -> None:
        """Say in the error who made it, and keep the part as left if nothing of it can have been done."""
        if talk.node.name not in str(error):
            error.args = (f"{talk.node.name}: {error}",)
        match error:
            case MovedError(host=host, port=port):
                self._routes.forget(routes, first=(host or talk.node.address[0], port))
                self._left[place] = None
            case AskError(host=host, port=port):
                self._left[place] = self._routes.node((host or talk.node.address[0], port))
            case NoScriptError():
                self._unknown.add((talk.node, self._parts[place].text))
                self._left[place] = None
            case TryAgainError():
                self._left[place] = None
            case BrokenConnection() | NoReply():
                # Another may have taken over its shards; where it has not, one refusal is enough.
                self._routes.forget(routes, last=talk.node.address)
                if not talk.sent and talk.node not in self._out_of_reach:
                    self._left[place] = None

    def _load_unknown(self) -> None:
        for node, text in self._unknown:
            ((_, (reply,)),) = exchange([(node, [("SCRIPT", "LOAD", text)])])
            if isinstance(reply, RedisError):
                raise reply
        self._unknown.clear()
