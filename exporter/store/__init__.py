"""Stores behind one contract (``base``); an URL chooses which."""

import re

from exporter.errors import StoreRefused
from exporter.rules import WEEK
from exporter.store.base import Store

SCHEMES = "sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://"
SERIES_LIMIT = 10_000

# What follows the host and is not a port, or an address in brackets.
_NO_PORT = re.compile(r":(?![0-9]*\Z|[^\]]*\]).*")


def open_store(url: str, *, retention: int = WEEK, series_limit: int = SERIES_LIMIT) -> Store:
    """Return the store that ``url`` names. No connection is made yet.

    Args:
        url: ``sqlite:///path`` (relative; four slashes make it absolute), ``sqlite://`` for one in
            memory, ``redis://``, ``rediss://`` or ``unix://`` as redis-py takes them.
        retention: seconds with which a new store is stamped.
        series_limit: most live series.

    Raises:
        StoreRefused: the URL names no store that this version knows.

    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and (not rest or rest[0] == "/" != rest):
        from exporter.store.sqlite import SQLiteStore  # noqa: PLC0415 - only what the URL names is loaded

        return SQLiteStore(rest[1:], retention, series_limit)
    if separator and scheme in {"redis", "rediss", "unix"}:
        from exporter.store.redis import RedisStore  # noqa: PLC0415 - redis-py is loaded only where it is used

        return RedisStore(url, retention, series_limit)
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
    return f"{scheme}://{user}{_NO_PORT.sub(':***', authority)}{slash}{path}{'?***' if '?' in rest else ''}"
