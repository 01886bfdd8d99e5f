"""One Redis server: its connections, and what is said over one of them.

Commands are sent to several servers before the first answer is read, so that the servers work at once. They are sent
once: a lost answer becomes an error, never a second send.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import count
from types import TracebackType
from typing import Any, Self

from redis.connection import Connection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from exporter.store.redis_url import Address

Command = tuple[Any, ...]
# What a command brought: whatever Redis answers, or an error.
Reply = Any

_serials = count(1)


class Node:
    """A server, by its name for messages. Thread-safe."""

    def __init__(self, name: str, pool: ConnectionPool, address: Address = ("", 0)) -> None:
        """Take its connections from ``pool``; ``address`` is where it is, if that is known."""
        self.name = name
        self.address = address
        # Differs after every new connection, and from that of every other node: the server behind it may be
        # another, or have restarted and lost its newest writes.
        self.serial = 0
        self._pool = pool
        pool.connection_kwargs["redis_connect_func"] = self._connected

    def _connected(self, connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call] # redis-py's types are incomplete
        self.serial = next(_serials)

    def take(self) -> Connection:
        """Return a connection that is open.

        Raises:
            RedisError: there is none, and none could be made; nothing was sent.

        """
        connection: Connection = self._pool.get_connection()
        return connection

    def give_back(self, connection: Connection, *, usable: bool) -> None:
        """Take back a connection; one that is not ``usable`` is closed."""
        if not usable:
            connection.disconnect()  # type: ignore[no-untyped-call] # redis-py's types are incomplete
        self._pool.release(connection)

    def close_idle(self) -> None:
        """Close the connections that nobody uses: they lead to a server that is not the one that is meant."""
        self._pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.disconnect()


class Talk:
    """Commands that were sent over one connection of a node, and their replies.

    ``error`` tells what became of the connection; where ``sent`` is false, no command has left.
    """

    def __init__(self, node: Node, commands: Sequence[Command]) -> None:
        """Send ``commands``."""
        self.node = node
        self.sent = False
        self.error: RedisError | None = None
        self._unread = len(commands)
        self._connection: Connection | None = None
        try:
            self._connection = node.take()
            self.sent = True
            packed = self._connection.pack_commands(commands)  # type: ignore[no-untyped-call] # redis-py's types are incomplete
            self._connection.send_packed_command(packed)  # type: ignore[no-untyped-call] # redis-py's types are incomplete
        except RedisError as error:
            self.error = error

    def __enter__(self) -> Self:
        """Be read inside the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the connection back, or close it if replies may still come over it."""
        if self._connection is not None:
            self.node.give_back(self._connection, usable=not self._unread)

    def replies(self) -> list[Reply]:
        """Read the reply to every command; where the connection fails, its error is the reply to all."""
        number, replies = self._unread, []
        while self._unread and self._connection is not None and self.error is None:
            try:
                replies.append(_reply(self._connection))
                self._unread -= 1
            except RedisError as error:
                self.error = error
        return replies if self.error is None else [self.error] * number


def _reply(connection: Connection) -> Reply:
    """Read one reply, or the error that the server gives instead; the connection's own errors are raised."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def exchange(parts: Iterable[tuple[Node, Sequence[Command]]]) -> list[tuple[Talk, list[Reply]]]:
    """Send commands to each node, over a connection each, and read what all of them answer."""
    with ExitStack() as stack:
        talks = [stack.enter_context(Talk(node, commands)) for node, commands in parts]
        return [(talk, talk.replies()) for talk in talks]
