"""Where a series lives in Redis: its shard, and its name inside keys. Pure.

Every key of a shard carries the shard's number as hash tag, so one script call touches one Cluster slot.
Names are percent-encoded, so that none can forge a key or collide with another.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from exporter.domain import SeriesKey

SHARDS = 64
CACHED = 1 << 15


class Place(NamedTuple):
    """Shard of a series, and its encoded key."""

    shard: int
    series: str

    def key(self, kind: str) -> str:
        """Name of the series' key of a ``kind``: ``record`` or ``log``."""
        return shard_key(self.shard, f"{self.series}:{kind}")


def shard_key(shard: int, name: str) -> str:
    """Name of a key of a shard."""
    return f"llmfb:{{{shard}}}:{name}"


def shard_of(key: str) -> int:
    """Return the shard that a key belongs to."""
    return int(key[key.index("{") + 1 : key.index("}")])


def encode(*names: str) -> str:
    """Join ``names`` so that they can be told apart again."""
    return ":".join(quote(name, safe="") for name in names)


@lru_cache(CACHED)
def place_of(key: SeriesKey) -> Place:
    """Return where series ``key`` lives."""
    series = encode(*key)
    return Place(crc32(series.encode()) % SHARDS, series)


@lru_cache(CACHED)
def series_key(series: bytes) -> SeriesKey:
    """Return the series that an encoded key names."""
    return SeriesKey._make(map(unquote, series.decode().split(":")))
