"""Stores behind one contract (``base``); an URL chooses which."""

from urllib.parse import urlsplit

from exporter.errors import StoreRefused
from exporter.rules import WEEK
from exporter.store.base import Store

SCHEMES = "sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://"
SERIES_LIMIT = 10_000


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
    if separator and scheme == "sqlite" and (not rest or rest.startswith("/")):
        from exporter.store.sqlite import SQLiteStore  # noqa: PLC0415 - only what the URL names is loaded

        return SQLiteStore(rest[1:], retention, series_limit)
    if separator and scheme in {"redis", "rediss", "unix"}:
        from exporter.store.redis import RedisStore  # noqa: PLC0415 - redis-py is loaded only where it is used

        return RedisStore(url, retention, series_limit)
    raise StoreRefused(f"store URL {without_password(url)!r} names no store; known are {SCHEMES}")


def without_password(url: str) -> str:
    """Return ``url`` fit for a log or an error: the password, wherever it may stand, is masked."""
    try:
        parts = urlsplit(url)
        netloc = parts.netloc
    except ValueError:
        return f"{url.partition('://')[0]}://***"
    user_info, at, host = netloc.rpartition("@")
    user = user_info.partition(":")[0]
    masked = f"{user}:***@{host}" if at else netloc
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{masked}{parts.path}{query}" if "://" in url else "***"
