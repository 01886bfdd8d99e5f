"""A store in Redis 6.2 or newer, or Valkey: series spread over 64 shards, each changed by one script call.

``record.lua`` says how ratings are stored, ``redis_keys`` where. On one server a request is stored
whole or not at all: its calls are one transaction.

The series limit is looked at before a batch is stored, and only where it holds series that this object has
not seen alive within the hour. Processes that begin series in the same instant may overshoot it by
what they begin together.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.fold import HOUR_SECONDS, SCORE, VERSION, Record, first_live_hour
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
from exporter.store.redis_keys import SHARDS, encode, place_of, series_key, shard_key
from exporter.store.redis_server import RedisServer

ALL_SHARDS = range(SHARDS)
# Ratings in one call of a script, records in one reply: what keeps a server busy for some milliseconds.
RATINGS_A_CALL = 1000
RECORDS_A_REPLY = 500
SHARD_TOMBSTONES = MAX_TOMBSTONES // SHARDS
PING_SECONDS = 60

_VERDICTS: dict[int, Verdict] = {ord("n"): "new", ord("d"): "duplicate", ord("l"): "series_limit"}


class _State(NamedTuple):
    """How far a shard has come: random epoch, ``None`` before its first rating, and version within it."""

    epoch: bytes | None
    version: int


class _Cursor(NamedTuple):
    """What a reader has seen of each shard, and by which connection (see ``RedisServer.connection``)."""

    connection: int
    states: tuple[_State, ...]


class RedisStore(Store):
    """See ``Store``."""

    def __init__(self, url: str, retention: int, series_limit: int) -> None:
        """Read the URL; connect later.

        Raises:
            StoreRefused: it cannot be read.

        """
        super().__init__(retention, series_limit)
        self._server = RedisServer(url)
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
            replies = self._server.run("record", calls)
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
        replies = self._server.pipeline(commands)
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
            asked = (("HMGET", shard_key(shard, "meta"), "epoch", "version", "pruned") for shard in ALL_SHARDS)
            now = [_state(reply) for reply in self._server.pipeline(asked)]
            connection = self._server.connection
            if not isinstance(cursor, _Cursor) or cursor.connection != connection:
                return self._read_all(connection)
            changed = [shard for shard in ALL_SHARDS if now[shard] != cursor.states[shard]]
            if not changed:
                return Changes(cursor, [], complete=False)
            return self._read_changed(cursor, changed) or self._read_all(connection)

    def _read_changed(self, cursor: _Cursor, changed: list[int]) -> Changes | None:
        """Read ``changed`` shards from the cursor on; ``None`` when it does not lead to where one is now."""
        states, live, gone = list(cursor.states), [], []
        calls = [(shard, [states[shard].version]) for shard in changed]
        replies = self._server.run("changed", calls, atomic=False)
        for shard, (state, written, buried) in zip(changed, replies, strict=True):
            seen, now, pruned = states[shard], _state(state), int(state[2] or 0)
            if seen.epoch not in {None, now.epoch} or now.version < seen.version or pruned > seen.version:
                return None
            states[shard] = now
            live += written
            gone += buried
        items = [*self._records(live), *((series_key(series), None) for series in gone)]
        self._alive.difference_update(key for key, record in items if record is None)
        return Changes(_Cursor(cursor.connection, tuple(states)), items, complete=False)

    def _read_all(self, connection: int) -> Changes:
        replies = self._server.run("changed", [(shard, [-1]) for shard in ALL_SHARDS], atomic=False)
        states = tuple(_state(state) for state, _, _ in replies)
        live = [series for _, written, _ in replies for series in written]
        items = [item for item in self._records(live) if item[1] is not None]
        self._alive = set()
        return Changes(_Cursor(connection, states), items, complete=True)

    def _records(self, series: list[bytes]) -> Iterator[tuple[SeriesKey, Record | None]]:
        for begin in range(0, len(series), RECORDS_A_REPLY):
            keys = [series_key(encoded) for encoded in series[begin : begin + RECORDS_A_REPLY]]
            replies = self._server.pipeline(("HGETALL", place_of(key).key("record")) for key in keys)
            yield from zip(keys, map(_record, replies), strict=True)

    def record(self, key: SeriesKey) -> Record | None:
        """See ``Store``."""
        with self._server.doing("read a record"):
            self._check()
            return _record(self._server.pipeline([("HGETALL", place_of(key).key("record"))])[0])

    def history(self, keys: Iterable[SeriesKey], limit: int, before: int | None = None) -> list[Feedback]:
        """See ``Store``."""
        wanted = list(keys)
        with self._server.doing("read ratings"):
            self._check()
            logs = self._server.pipeline(("LRANGE", place_of(key).key("log"), 0, -1) for key in wanted)
        entries = [unpack_entry(key, entry) for key, log in zip(wanted, logs, strict=True) for entry in log]
        return newest_first(entries, limit, before)

    def clear(self, workflow: str, stage: str | None, now: int) -> list[tuple[SeriesKey, Record]]:
        """See ``Store``."""
        prefix = encode(workflow) if stage is None else encode(workflow, stage)
        arguments = [now // MILLION, SHARD_TOMBSTONES, f"{prefix}:"]
        with self._server.doing("clear ratings"):
            self._check()
            replies = self._server.run("clear", [(shard, arguments) for shard in ALL_SHARDS])
        self._alive = set()
        deleted = []
        for reply in replies:
            for series, fields in zip(reply[::2], reply[1::2], strict=True):
                record = _record(dict(zip(fields[::2], fields[1::2], strict=True)))
                if record is not None:
                    deleted.append((series_key(series), record))
        return deleted

    def raise_retention(self, retention: int) -> None:
        """See ``Store``."""
        with self._server.doing("prepare the store"):
            self._check()
            self._server.run("raise", [(shard, [retention, self.retention]) for shard in ALL_SHARDS])
        self.retention = max(self.retention, retention)

    def ping(self) -> None:
        """See ``Store``."""
        with self._server.doing("write"):
            self._check()
            self._server.pipeline([("SET", shard_key(0, "ping"), "", "EX", PING_SECONDS)])

    def close(self) -> None:
        """See ``Store``."""
        self._server.close()

    def _check(self) -> None:
        """Once: see that the store's records can be read."""
        if self._checked:
            return
        stamps = self._server.pipeline(("HMGET", shard_key(shard, "meta"), "format", "width") for shard in ALL_SHARDS)
        for version, width in stamps:
            if version is not None:
                check_stamp(self._server.shown, int(version), int(width))
        self._checked = True


def _state(reply: list[bytes | None]) -> _State:
    epoch, version, _ = reply
    return _State(epoch, int(version or 0))


def _record(fields: dict[bytes, bytes]) -> Record | None:
    """Put a record together; its fields sort as days, newest, totals."""
    if not fields:
        return None
    *days, newest, totals = (fields[name] for name in sorted(fields))
    return Record(b"".join(days), newest, totals)


def _parts(groups: dict[SeriesKey, list[int]]) -> Iterator[tuple[int, list[int]]]:
    """Places of ratings for each call of the script, with its shard."""
    shards: dict[int, list[int]] = {}
    for key, places in groups.items():
        shards.setdefault(place_of(key).shard, []).extend(places)
    for shard, places in shards.items():
        for begin in range(0, len(places), RATINGS_A_CALL):
            yield shard, places[begin : begin + RATINGS_A_CALL]
