"""A store in Redis 6.2 or newer, or Valkey: series spread over 64 shards, each changed by one script call.

``record.lua`` says how ratings are stored, ``redis_keys`` where, ``redis_way`` how servers are reached. On one server a
request is stored whole or not at all, since its calls are one transaction; on a Cluster, whole per shard.

The series limit is looked at before a batch is stored, and only where it holds series that this object has
not seen alive within the hour. Processes that begin series in the same instant may overshoot it by
what they begin together.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.errors import StoreError
from exporter.fold import HOUR_SECONDS, ID_PERIOD_SECONDS, SCORE, VERSION, Record, first_live_hour
from exporter.store.base import (
    LOG_LENGTH,
    MAX_TOMBSTONES,
    SWEPT,
    Changes,
    Cursor,
    Store,
    Verdict,
    check_stamp,
    digest,
    grouped,
    newest_first,
    pack_entry,
    unpack_entry,
)
from exporter.store.redis_changes import ALL_SHARDS, read_changes, record_of
from exporter.store.redis_cluster import RedisCluster
from exporter.store.redis_keys import SHARDS, encode, place_of, series_key, shard_key
from exporter.store.redis_server import RedisServer, SentinelServer
from exporter.store.redis_settings import QUESTIONS, losses
from exporter.store.redis_way import Way

# Ratings in one call of a script: what keeps a server busy for some milliseconds.
RATINGS_A_CALL = 1000
SHARD_TOMBSTONES = MAX_TOMBSTONES // SHARDS
PING_SECONDS = 60
# Microseconds for which an id is known at least: within them no log has it twice.
REMEMBERED = 2 * ID_PERIOD_SECONDS * MILLION

# Ways to Redis by the URL's scheme.
_WAYS: dict[str, Callable[[str, int], Way]] = {
    "redis": RedisServer,
    "rediss": RedisServer,
    "unix": RedisServer,
    "redis+sentinel": SentinelServer,
    "rediss+sentinel": SentinelServer,
    "redis+cluster": RedisCluster,
    "rediss+cluster": RedisCluster,
}
_VERDICTS: dict[int, Verdict] = {ord("n"): "new", ord("d"): "duplicate", ord("l"): "series_limit"}


class RedisStore(Store):
    """See ``Store``."""

    def __init__(self, url: str, retention: int, series_limit: int, wait_replicas: int = 0) -> None:
        """Read the URL; connect later. An append or a clear waits until so many replicas have it.

        Raises:
            StoreRefused: it cannot be read.

        """
        super().__init__(retention, series_limit)
        self._server = _WAYS[url.partition("://")[0]](url, wait_replicas)
        self._checked = False
        self._alive: set[SeriesKey] = set()
        self._first_hour = 0

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """See ``Store``."""
        groups = grouped(batch)
        verdicts: list[Verdict] = ["series_limit"] * len(batch)
        with self._server.doing("store ratings"):
            self._check()
            alive = self._alive_since(first_live_hour(now, self.retention))
            refused = self._without_room([key for key in groups if key not in alive], now)
            parts = list(_parts(groups))
            calls = [(shard, self._arguments(batch, places, refused, now)) for shard, places in parts]
            replies = self._server.run("record", calls, writes=True, replicated=True)
        alive.update(groups.keys() - refused)
        for (_, places), reply in zip(parts, replies, strict=True):
            for place, verdict in zip(places, reply, strict=True):
                verdicts[place] = _VERDICTS[verdict]
        return verdicts

    def _alive_since(self, first_hour: int) -> set[SeriesKey]:
        """Series seen alive since ``first_hour`` is the first retained; until the next, only a clear ends one."""
        if first_hour != self._first_hour:
            self._alive, self._first_hour = set(), first_hour
        return self._alive

    def _without_room(self, keys: list[SeriesKey], now: int) -> set[SeriesKey]:
        """Those of ``keys`` that are not alive and may not begin."""
        if not keys:
            return set()
        seconds = now // MILLION
        commands: list[tuple[Any, ...]] = [
            ("ZCOUNT", shard_key(shard, "expiry"), f"({seconds}", "+inf") for shard in ALL_SHARDS
        ]
        commands += [("ZSCORE", shard_key(place.shard, "expiry"), place.series) for place in map(place_of, keys)]
        replies = self._server.ask(commands)
        room = max(0, self.series_limit - sum(replies[:SHARDS]))
        dead = [key for key, death in zip(keys, replies[SHARDS:], strict=True) if float(death or 0) <= seconds]
        return set(dead[room:])

    def _arguments(self, batch: Sequence[Feedback], places: list[int], refused: set[SeriesKey], now: int) -> list[Any]:
        """Arguments of ``record.lua`` for the ratings at ``places``, which stand together by series."""
        epoch, swept = secrets.token_hex(8), max(SWEPT, len(places))
        arguments: list[Any] = [now // MILLION, self.retention, epoch, VERSION, HOUR_SECONDS]
        arguments += [SHARD_TOMBSTONES, swept, LOG_LENGTH]
        for key, same in groupby(places, key=lambda place: batch[place].key):
            ratings = [batch[place] for place in same]
            arguments += [place_of(key).series, int(key not in refused), len(ratings)]
            for rating in ratings:
                score = SCORE.pack(rating.timestamp, rating.arrival, rating.score)
                arguments += [score + digest(rating.feedback_id), pack_entry(rating)]
        return arguments

    def changes(self, cursor: Cursor | None) -> Changes:
        """See ``Store``."""
        with self._server.doing("read what changed"):
            self._check()
            changes = read_changes(self._server, cursor)
        if changes.complete:
            self._alive = set()
        self._alive.difference_update(key for key, record in changes.items if record is None)
        return changes

    def record(self, key: SeriesKey) -> Record | None:
        """See ``Store``."""
        with self._server.doing("read a record"):
            self._check()
            return record_of(self._server.ask([("HGETALL", place_of(key).key("record"))])[0])

    def history(self, keys: Iterable[SeriesKey], limit: int, before: int | None = None) -> list[Feedback]:
        """See ``Store``."""
        wanted = list(keys)
        with self._server.doing("read ratings"):
            self._check()
            logs = self._server.ask(("LRANGE", place_of(key).key("log"), 0, -1) for key in wanted)
        entries = [entry for key, log in zip(wanted, logs, strict=True) for entry in _once(key, log)]
        return newest_first(entries, limit, before)

    def clear(self, workflow: str, stage: str | None, now: int) -> list[tuple[SeriesKey, Record]]:
        """See ``Store``."""
        prefix = encode(workflow) if stage is None else encode(workflow, stage)
        arguments = [now // MILLION, SHARD_TOMBSTONES, f"{prefix}:"]
        with self._server.doing("clear ratings"):
            self._check()
            calls = [(shard, arguments) for shard in ALL_SHARDS]
            replies = self._server.run("clear", calls, writes=True, replicated=True)
        self._alive = set()
        deleted = []
        for reply in replies:
            for series, fields in zip(reply[::2], reply[1::2], strict=True):
                record = record_of(fields)
                if record is not None:
                    deleted.append((series_key(series), record))
        return deleted

    def raise_retention(self, retention: int) -> None:
        """See ``Store``."""
        with self._server.doing("prepare the store"):
            self._check()
            self._server.run("raise", [(shard, [retention, self.retention]) for shard in ALL_SHARDS], writes=True)
        self.retention = max(self.retention, retention)

    def ping(self) -> None:
        """See ``Store``."""
        with self._server.doing("write"):
            self._check()
            pings = (("SET", shard_key(shard, "ping"), "", "EX", PING_SECONDS) for shard in ALL_SHARDS)
            self._server.ask(pings, replicated=True)

    def warning(self) -> str | None:
        """See ``Store``."""
        with suppress(StoreError), self._server.doing("read settings"):
            found = losses(self._server.survey(QUESTIONS))
            return f"{self._server.shown}: {found}" if found else None
        return None

    def close(self) -> None:
        """See ``Store``."""
        self._server.close()

    def _check(self) -> None:
        """Once: see that the store's records can be read."""
        if self._checked:
            return
        stamps = self._server.ask(("HMGET", shard_key(shard, "meta"), "format", "width") for shard in ALL_SHARDS)
        for version, width in stamps:
            if version is not None:
                check_stamp(self._server.shown, int(version), int(width))
        self._checked = True


def _once(key: SeriesKey, log: list[bytes]) -> list[Feedback]:
    """Entries of a log, without those whose rating was stored once more, as only a server that lost it does.

    ``docs/redis.md`` tells how an AOF that was cut off brings back, in the log alone, what had been lost.
    """
    kept: dict[str, Feedback] = {}
    entries = []
    for entry in (unpack_entry(key, packed) for packed in reversed(log)):
        later = kept.get(entry.feedback_id)
        if later is None or later.arrival - entry.arrival > REMEMBERED:
            kept[entry.feedback_id] = entry
            entries.append(entry)
    return entries[::-1]


def _parts(groups: dict[SeriesKey, list[int]]) -> Iterator[tuple[int, list[int]]]:
    """Places of ratings for each call of the script, with its shard."""
    shards: dict[int, list[int]] = {}
    for key, places in groups.items():
        shards.setdefault(place_of(key).shard, []).extend(places)
    for shard, places in shards.items():
        for begin in range(0, len(places), RATINGS_A_CALL):
            yield shard, places[begin : begin + RATINGS_A_CALL]
