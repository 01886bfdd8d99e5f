"""Ratings taken over HTTP into Redis: against a bare loop of the same script calls, and an empty Flask route."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from exporter.clock import now_microseconds
from exporter.domain import Feedback
from exporter.store import open_store
from tests.bench import bare_redis, streams
from tests.bench.clients import Client, filled, warm_up
from tests.bench.forms import BATCH, SERIES
from tests.bench.harness import Outcome, Say, Scale, alternate, at_least, figure, ratio, seconds
from tests.bench.ingest_sqlite import BATCHES, SINGLE
from tests.bench.servers import EmptyRoute, redis_that_keeps
from tests.support.exporter_process import ExporterProcess


def over_redis(scale: Scale, say: Say) -> Outcome:
    """Post to ``serve`` over Redis and to the empty route, append to its store, and send the same script calls."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        say("Filling Redis, and preparing calls")
        server = stack.enter_context(redis_that_keeps(directory / "redis"))
        url = server.url.rpartition("/")[0]
        for database in (0, bare_redis.BARE):
            filled(f"{url}/{database}", scale.full)
        batches = streams.batches(list(streams.keys(SERIES)), BATCH, scale.batches * scale.pairs, now_microseconds())
        bare = stack.enter_context(_bare_loop(url, batches, scale.batches))
        store = stack.enter_context(_store_alone(f"{url}/0", batches, scale.batches))
        exporter = stack.enter_context(ExporterProcess(directory / "exporter", f"{url}/0"))
        empty = stack.enter_context(EmptyRoute(directory / "empty"))
        watched = {"the exporter": exporter, "Redis": server}
        clients = {
            "single": Client(exporter.port, 1, scale.seconds, watched),
            "batch": Client(exporter.port, BATCH, scale.seconds, watched),
            "empty": Client(empty.port, 1, scale.seconds, {}),
        }
        warm_up(clients.values())
        rates = alternate(scale.pairs, {**clients, "bare": bare, "store": store}, say, "Ingest, Redis")
    return Outcome(
        [
            ratio(f"{BATCHES}: over HTTP / bare loop, same calls", rates["batch"], rates["bare"], at_least(0.5)),
            ratio(f"{BATCHES}: store alone / bare loop, same calls", rates["store"], rates["bare"], at_least(0.5)),
            ratio(f"{SINGLE}: over HTTP / empty Flask route", rates["single"], rates["empty"]),
            *clients["single"].figures(SINGLE, rates["single"]),
            *clients["batch"].figures(BATCHES, rates["batch"]),
            figure(f"{BATCHES}: bare loop, a rating", [1 / rate for rate in rates["bare"]], "s"),
        ]
    )


@contextmanager
def _bare_loop(server: str, batches: list[list[Feedback]], number: int) -> Iterator[Callable[[], float]]:
    """Give what sends the calls of ``number`` more batches and returns the ratings a second."""
    calls = iter(bare_redis.prepared(server, batches, batches[0][0].arrival))
    with closing(redis.Redis.from_url(f"{server}/{bare_redis.BARE}", protocol=2)) as client:
        yield lambda: number * BATCH / bare_redis.send(client, list(islice(calls, number)))


@contextmanager
def _store_alone(url: str, batches: list[list[Feedback]], number: int) -> Iterator[Callable[[], float]]:
    """Give what appends ``number`` more batches and returns the ratings a second."""
    rest, now = iter(batches), batches[0][0].arrival
    with closing(open_store(url)) as store:
        yield lambda: number * BATCH / seconds(lambda: [store.append(batch, now) for batch in islice(rest, number)])
