"""How many exporters and Redis primaries a stream of ratings needs, by arithmetic, and by a simulation beside it.

The arithmetic adds up processor time. The simulation shows what that hides, how long answers wait: requests come at
random, each part does one after the other. Both take nothing but costs that were measured; the same seed gives the
same numbers.
"""

from itertools import count
from random import Random
from typing import Literal, NamedTuple

# How busy a part may be: beyond, queues grow faster than the load.
BUSY = 0.6
REQUESTS = 20_000
# The first of them find queues that are still empty, and are not counted.
WARM_UP = 2_000
SHARDS = 64


class Costs(NamedTuple):
    """Seconds that a rating takes, of a part that does one thing at a time.

    ``sqlite``: an exporter with its file. ``exporter``: one that stores in Redis. ``redis``: Redis itself.
    """

    sqlite: float
    exporter: float
    redis: float


class Load(NamedTuple):
    """Ratings a second, and how many come in one request."""

    ratings: float
    batch: int


class Deployment(NamedTuple):
    """What takes the ratings: so many exporter processes, and so many Redis primaries, or one SQLite file."""

    store: Literal["SQLite", "Redis"]
    exporters: int = 1
    primaries: int = 0

    def __str__(self) -> str:
        """Say it in words."""
        if self.store == "SQLite":
            return "one exporter, SQLite"
        exporters = "one exporter" if self.exporters == 1 else f"{self.exporters} workers or `ingest` replicas"
        return f"{exporters}, {'one Redis' if self.primaries == 1 else f'Cluster of {self.primaries} primaries'}"


class Seen(NamedTuple):
    """How busy exporters and Redis were, and within how many seconds answers came."""

    exporters: float
    redis: float
    median: float
    slowest: float


def plan(load: Load, costs: Costs) -> Deployment:
    """Return the smallest deployment of which no part is busier than ``BUSY``."""
    if load.ratings * costs.sqlite <= BUSY:
        return Deployment("SQLite")
    exporters, primaries = (
        next(number for number in count(1) if load.ratings * cost / number <= BUSY)
        for cost in (costs.exporter, costs.redis)
    )
    return Deployment("Redis", exporters, primaries)


def simulate(load: Load, deployment: Deployment, costs: Costs, seed: int = 1) -> Seen:
    """Let requests come at random, be taken by exporters, and be stored, each part first come, first served."""
    random = Random(seed)
    comes = 0.0
    asked: list[float] = []
    for _ in range(REQUESTS):
        comes += random.expovariate(load.ratings / load.batch)
        asked.append(comes)
    cost = costs.sqlite if deployment.store == "SQLite" else costs.exporter
    exporters = _Queues(deployment.exporters)
    taken = [exporters.do(at, random.randrange(deployment.exporters), load.batch * cost) for at in asked]
    redis = _Queues(deployment.primaries)
    done = _stored(taken, load.batch, redis, costs.redis, random) if deployment.store == "Redis" else taken
    waits = sorted(end - at for end, at in list(zip(done, asked, strict=True))[WARM_UP:])
    return Seen(exporters.share(comes), redis.share(comes), waits[len(waits) // 2], waits[len(waits) * 99 // 100])


class _Queues:
    """Servers that each do one thing after the other."""

    def __init__(self, number: int) -> None:
        self._free = [0.0] * number
        self._busy = 0.0

    def do(self, at: float, server: int, seconds: float) -> float:
        """Let a server do what comes ``at`` a moment, and return when it is done."""
        self._free[server] = max(at, self._free[server]) + seconds
        self._busy += seconds
        return self._free[server]

    def share(self, until: float) -> float:
        """How busy they were, 1 is always."""
        return self._busy / until / len(self._free) if self._free else 0.0


def _stored(taken: list[float], batch: int, redis: _Queues, cost: float, random: Random) -> list[float]:
    """When each request is stored: its ratings are spread over the shards, the shards over the primaries."""
    primaries = len(redis._free)
    done = [0.0] * len(taken)
    for number in sorted(range(len(taken)), key=taken.__getitem__):
        shards = random.sample(range(SHARDS), min(batch, SHARDS))
        for primary in {shard % primaries for shard in shards}:
            part = sum(shard % primaries == primary for shard in shards) / len(shards)
            done[number] = max(done[number], redis.do(taken[number], primary, part * batch * cost))
    return done
