"""Stores behind one contract (``base``); an URL chooses which."""

import re

from exporter.errors import StoreRefused
from exporter.rules import WEEK
from exporter.store.base import Store

SCHEMES = "sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://, redis+sentinel://, redis+cluster://"
SERIES_LIMIT = 10_000

_REDIS = {"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

# What follows the host and is not a port, or an address in brackets; where there may be several hosts, after any.
_NO_PORT = re.compile(r":(?![0-9]*\Z|[^\]]*\]).*")
_NO_PORTS = re.compile(r":(?![0-9]*(?:,|\Z)|[^\],]*\]).*")


def open_store(url: str, *, retention: int = WEEK, series_limit: int = SERIES_LIMIT, wait_replicas: int = 0) -> Store:
    """Return the store that ``url`` names. No connection is made yet.

    Args:
        url: ``sqlite:///path`` (relative; four slashes make it absolute), ``sqlite://`` for one in
            memory, ``redis://``, ``rediss://`` or ``unix://`` as redis-py takes them,
            ``redis+sentinel://host:port,host:port/service`` or ``redis+cluster://host:port,host:port``; the last
            two with TLS as ``rediss+``.
        retention: seconds with which a new store is stamped.
        series_limit: most live series.
        wait_replicas: replicas that must have what is written before it is acknowledged; Redis only.

    Raises:
        StoreRefused: the URL names no store that this version knows, or one without replicas to wait for.

    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and (not rest or rest[0] == "/" != rest):
        if wait_replicas:
            raise StoreRefused(f"{url} has no replicas to wait for: set wait_replicas to 0, or give a Redis store")
        from exporter.store.sqlite import SQLiteStore  # noqa: PLC0415 - only what the URL names is loaded

        return SQLiteStore(rest[1:], retention, series_limit)
    if separator and scheme in _REDIS:
        from exporter.store.redis import RedisStore  # noqa: PLC0415 - redis-py is loaded only where it is used

        return RedisStore(url, retention, series_limit, wait_replicas)
    raise StoreRefused(f"store URL {without_password(url)!r} names no store; known are {SCHEMES}")


def without_password(url: str) -> str:
    """Return ``url`` fit for a log or an error: the password, wherever it may stand, is masked."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***"
    if scheme == "sqlite" and rest.startswith("/"):
        return url
    # A password may hold any of @ : / ? # unescaped, so it ends at the last @; without one, what is no port may be it.
    user_info, at, rest = rest.rpartition("@")
    authority, slash, path = rest.partition("?")[0].partition("/")
    user = re.split("[:/?#]", user_info)[0] + ":***@" if at else ""
    no_port = _NO_PORTS if "+" in scheme else _NO_PORT
    return f"{scheme}://{user}{no_port.sub(':***', authority)}{slash}{path}{'?***' if '?' in rest else ''}"
