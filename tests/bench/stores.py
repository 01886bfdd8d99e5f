"""What a series, an id and a rating take of a SQLite file and of Redis."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from exporter.store import open_store
from exporter.store.redis_keys import place_of
from tests.bench import streams
from tests.bench.harness import Figure, Outcome, Say, Scale, at_most, figure
from tests.bench.servers import redis_that_keeps

SERIES = 20
# What pages that are full in part, and an allocator, add by chance.
SLACK = 1.05

# Bytes of all series by part: ``record``, ``log``, ``ids``.
Sizes = dict[str, int]


def by_ratings(scale: Scale, say: Say) -> Outcome:
    """Measure stores whose logs are full, with few and with many more ratings."""
    figures: list[Figure] = []
    for name, sizes_of in (("SQLite", _of_sqlite), ("Redis", _of_redis)):
        with TemporaryDirectory(prefix="llm-feedback-bench-") as directory:
            sizes = {}
            for count in (scale.full, scale.full * scale.log_times):
                say(f"Memory of {name}, {count:,} ratings a series")
                sizes[count] = sizes_of(Path(directory) / f"{count}", count)
        figures += _figures(name, *sizes.items())
    return Outcome(figures)


def _figures(name: str, few: tuple[int, Sizes], many: tuple[int, Sizes]) -> list[Figure]:
    (_, small), (count, large) = few, many
    kept = (large["record"] + large["log"]) / (small["record"] + small["log"])
    return [
        figure(
            f"{name}: {count // few[0]} times the ratings, same series: memory without ids", [kept], "x", at_most(SLACK)
        ),
        figure(f"{name}: a series, its record over a full week", [small["record"] / SERIES], "B"),
        figure(f"{name}: a series, its full log", [small["log"] / SERIES], "B"),
        figure(f"{name}: an id", [large["ids"] / (count * SERIES)], "B"),
    ]


def _of_sqlite(path: Path, count: int) -> Sizes:
    with closing(open_store(f"sqlite:///{path}")) as store:
        list(streams.fill(store, SERIES, count))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        ((page,),) = db.execute("PRAGMA page_size")
        db.execute("BEGIN")
        sizes = {
            part: page * _pages(db, table) for part, table in (("record", "series"), ("log", "log"), ("ids", "ids"))
        }
        db.execute("ROLLBACK")
    return sizes


def _pages(db: sqlite3.Connection, table: str) -> int:
    """Pages that come free when ``table`` is dropped, its indexes with it."""
    ((before,),) = db.execute("PRAGMA freelist_count")
    db.execute(f"DROP TABLE {table}")
    ((after,),) = db.execute("PRAGMA freelist_count")
    return int(after - before)


def _of_redis(directory: Path, count: int) -> Sizes:
    with redis_that_keeps(directory) as server, closing(redis.Redis.from_url(server.url, protocol=2)) as client:
        with closing(open_store(server.url)) as store:
            list(streams.fill(store, SERIES, count))
        places = [place_of(key) for key in streams.keys(SERIES)]
        ids = [key for place in places for key in client.scan_iter(f"{_escaped(place.key('ids'))}:*")]
        used = {
            "record": [place.key("record") for place in places],
            "log": [place.key("log") for place in places],
            "ids": ids,
        }
        return {part: sum(client.memory_usage(key, samples=0) or 0 for key in keys) for part, keys in used.items()}


def _escaped(pattern: str) -> str:
    return pattern.replace("[", "\\[").replace("*", "\\*").replace("?", "\\?")
