"""What changed in the shards since a reader's cursor."""

from collections.abc import Iterator
from typing import NamedTuple

from exporter.domain import SeriesKey
from exporter.fold import Record
from exporter.store.base import Changes, Cursor
from exporter.store.redis_keys import SHARDS, place_of, series_key, shard_key
from exporter.store.redis_way import Way

ALL_SHARDS = range(SHARDS)
# Records in one reply: what keeps a server busy for some milliseconds.
RECORDS_A_REPLY = 500


class _State(NamedTuple):
    """How far a shard has come: random epoch, ``None`` before its first rating, and version within it."""

    epoch: bytes | None
    version: int


class _Cursor(NamedTuple):
    """What a reader has seen of each shard, and of which server (see ``Way.serials``)."""

    serials: tuple[int, ...]
    states: tuple[_State, ...]


def read_changes(way: Way, cursor: Cursor | None) -> Changes:
    """Do as ``Store.changes`` promises.

    A server that takes over from another, or that restarts, may lack the newest writes and have others under their
    versions. So versions lead on only while every shard is where it was; else all is read.
    """
    way.look()
    changes = _read_changed(way, cursor) if isinstance(cursor, _Cursor) else None
    return changes or _read_all(way)


def record_of(fields: list[bytes]) -> Record | None:
    """Put a record together of what HGETALL answers; its fields sort as days, newest, totals."""
    if not fields:
        return None
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    *days, newest, totals = (values[name] for name in sorted(values))
    return Record(b"".join(days), newest, totals)


def _read_changed(way: Way, cursor: _Cursor) -> Changes | None:
    """Read from the cursor on; ``None`` where it does not lead on."""
    asked = (("HMGET", shard_key(shard, "meta"), "epoch", "version", "pruned") for shard in ALL_SHARDS)
    now = [_state(reply) for reply in way.ask(asked)]
    changed = [shard for shard in ALL_SHARDS if now[shard] != cursor.states[shard]]
    changes = _read_shards(way, cursor, changed) if changed else Changes(cursor, [], complete=False)
    return changes if way.serials() == cursor.serials else None


def _read_shards(way: Way, cursor: _Cursor, shards: list[int]) -> Changes | None:
    states, live, gone = list(cursor.states), [], []
    replies = way.run("changed", [(shard, [states[shard].version]) for shard in shards], writes=False)
    for shard, (state, written, buried) in zip(shards, replies, strict=True):
        seen, now, pruned = states[shard], _state(state), int(state[2] or 0)
        if seen.epoch not in {None, now.epoch} or now.version < seen.version or pruned > seen.version:
            return None
        states[shard] = now
        live += written
        gone += buried
    items = [*_records(way, live), *((series_key(series), None) for series in gone)]
    return Changes(_Cursor(cursor.serials, tuple(states)), items, complete=False)


def _read_all(way: Way) -> Changes:
    serials = way.serials()
    replies = way.run("changed", [(shard, [-1]) for shard in ALL_SHARDS], writes=False)
    states = tuple(_state(state) for state, _, _ in replies)
    live = [series for _, written, _ in replies for series in written]
    items = [item for item in _records(way, live) if item[1] is not None]
    return Changes(_Cursor(serials, states), items, complete=True)


def _records(way: Way, series: list[bytes]) -> Iterator[tuple[SeriesKey, Record | None]]:
    for begin in range(0, len(series), RECORDS_A_REPLY):
        keys = [series_key(encoded) for encoded in series[begin : begin + RECORDS_A_REPLY]]
        replies = way.ask(("HGETALL", place_of(key).key("record")) for key in keys)
        yield from zip(keys, map(record_of, replies), strict=True)


def _state(reply: list[bytes | None]) -> _State:
    epoch, version, _ = reply
    return _State(epoch, int(version or 0))
