"""Store URL -> what redis-py needs to connect: options, and the addresses of several hosts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.exceptions import RedisError
from redis.retry import Retry

from exporter.errors import StoreRefused
from exporter.store import without_password

CONNECT_SECONDS = 2
REPLY_SECONDS = 5
# More than a process has threads.
MOST_CONNECTIONS = 1024

Address = tuple[str, int]


class Hosts(NamedTuple):
    """What a URL of several hosts says: their addresses, the options of a connection to each, and the path."""

    addresses: list[Address]
    options: dict[str, Any]
    path: list[str]


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Refuse, in our words, a URL that the block cannot read or use.

    Raises:
        StoreRefused: the block could not.

    """
    try:
        yield
    except (TypeError, ValueError, RedisError):
        raise StoreRefused(
            f"store URL {without_password(url)!r} cannot be read: see its port and what follows '?', and "
            "percent-encode a password's special characters"
        ) from None


def connection_options(url: str) -> dict[str, Any]:
    """Return what a connection to a URL of one host is made with. A command is sent once: nothing is retried.

    Raises:
        ValueError: it cannot be read.

    """
    over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return {
        "max_connections": MOST_CONNECTIONS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": REPLY_SECONDS,
        **over_tcp,
        **parse_url(url),  # type: ignore[no-untyped-call] # redis-py's types are incomplete
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "decode_responses": False,
    }


def hosts(url: str, port: int) -> Hosts:
    """Read ``scheme+kind://user:password@host:port,host:port/path?options``; a host without a port has ``port``.

    Raises:
        ValueError: it cannot be read.

    """
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path, _, query = rest[len(authority) :].partition("?")
    user, at, named = authority.rpartition("@")
    each = [connection_options(f"{scheme.partition('+')[0]}://{user}{at}{host}?{query}") for host in named.split(",")]
    addresses = [(options.pop("host", ""), options.pop("port", port)) for options in each]
    if not all(host for host, _ in addresses):
        raise ValueError("a host has no name")
    return Hosts(addresses, each[0], [part for part in path.split("/") if part])


def pool_of(options: dict[str, Any]) -> ConnectionPool:
    """Make a pool, and see that its connections can be made; none is made yet.

    Raises:
        TypeError, ValueError, RedisError: there is an option that redis-py does not know.

    """
    pool = ConnectionPool(**options)
    pool.connection_class(**pool.connection_kwargs)
    return pool
