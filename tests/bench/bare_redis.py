"""The bare loop on Redis: the script calls that the store would send, their arguments made beforehand."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

import redis
from redis.connection import AbstractConnection

from exporter.domain import Feedback
from exporter.store import open_store
from exporter.store.redis_way import script
from tests.bench.harness import seconds

Call = tuple[Any, ...]
# Databases of the same server: where the calls are prepared, and where the bare loop stores.
SCRATCH, BARE = 2, 1


class NothingSent(Exception):
    """The store sent no call that could be prepared."""


def prepared(server: str, batches: Sequence[list[Feedback]], now: int) -> list[list[Call]]:
    """Let the store send ``batches`` to another database, and return the script calls of each.

    Raises:
        NothingSent: there were none.

    """
    calls = []
    with closing(open_store(f"{server}/{SCRATCH}")) as store:
        for batch in batches:
            with _caught() as caught:
                store.append(batch, now)
            calls.append(caught)
    with closing(redis.Redis.from_url(f"{server}/{SCRATCH}")) as client:
        client.flushdb()
    if not all(calls):
        raise NothingSent("the store packs its commands elsewhere by now; see what bare_redis.py listens to")
    return calls


@contextmanager
def _caught() -> Iterator[list[Call]]:
    """Note the calls of the script that are packed inside the block; the last attempt, if there are several."""
    caught: list[Call] = []
    pack, digest = AbstractConnection.pack_commands, script("record").digest

    def noting(connection: AbstractConnection, commands: Sequence[Call]) -> Any:  # noqa: ANN401 - as redis-py has it
        records = [command for command in commands if command[:2] == ("EVALSHA", digest)]
        if records:
            caught[:] = records
        return pack(connection, commands)  # type: ignore[no-untyped-call]  # redis-py's types are incomplete

    with patch.object(AbstractConnection, "pack_commands", noting):
        yield caught


def send(client: redis.Redis, batches: Sequence[list[Call]]) -> float:
    """Send the calls of each batch in one MULTI, as the store does, and return the seconds that took."""

    def send_all() -> None:
        for calls in batches:
            with client.pipeline(transaction=True) as pipeline:
                for call in calls:
                    pipeline.execute_command(*call)  # type: ignore[no-untyped-call]  # redis-py's types are incomplete
                pipeline.execute()

    return seconds(send_all)
