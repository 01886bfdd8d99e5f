"""Writers at full speed and a reader that polls: what was acknowledged before a poll is in it."""

import multiprocessing
import threading
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.domain import SeriesKey
from exporter.fold import unpack_hours
from exporter.store import open_store
from exporter.store.base import Store
from tests.store.helpers import Reader, count, rating
from tests.support.ratings import NOW

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.sharedctypes import Synchronized

Opened = Callable[..., Store]

WRITERS = 8
STEPS = 120
# Writers go on until the reader has polled so often, whom a busy machine may leave little time; they end at last.
POLLS = 20
MOST_STEPS = 50 * STEPS
SHARED = SeriesKey("shared", "s", "t")


class State(NamedTuple):
    """How far a writer's series has come: clears, and ratings since the last. Scores tell the clears."""

    clears: int = 0
    ratings: int = 0


class Writer(threading.Thread):
    """Appends to and clears a series of its own, and appends to one that all share."""

    def __init__(self, store: Store, number: int, polled: threading.Event) -> None:
        """Begin with an empty series; end when the reader has ``polled`` often enough."""
        super().__init__()
        self._store = store
        self._number = number
        self._polled = polled
        self.key = SeriesKey(f"writer-{number}", "s", "t")
        self.begun = self.acknowledged = State()
        self.shared = 0

    def run(self) -> None:
        """Take random steps; note each before it begins, and after it was acknowledged."""
        random = Random(self._number)
        for step in range(MOST_STEPS):
            if step >= STEPS and self._polled.is_set():
                return
            clears, ratings = self.acknowledged
            if random.random() < 0.2:
                self.begun = State(clears + 1)
                self._store.clear(self.key.workflow, None, NOW)
            else:
                size = random.randint(1, 4)
                self.begun = State(clears, ratings + size)
                own = [rating(f"{step}-{place}", self.key, score=clears) for place in range(size)]
                self._store.append([*own, rating(f"{self._number}-{step}", SHARED)], NOW)
                self.shared += 1
            self.acknowledged = self.begun


def append_from_afar(url: str, number: int, acknowledged: "Synchronized[int]") -> None:
    """Append to the shared series from another process, counting what was acknowledged."""
    store = open_store(url)
    for step in range(STEPS):
        store.append([rating(f"far-{number}-{step}", SHARED)], NOW)
        with acknowledged:
            acknowledged.value += 1
    store.close()


def seen(reader: Reader, key: SeriesKey) -> State | None:
    """Return the state of a writer's series that the reader knows, ``None`` where it is gone."""
    record = reader.records.get(key)
    return State(min(hour.min for hour in unpack_hours(record.hours)), count(record)) if record else None


def check(reader: Reader, writer: Writer, least: State) -> None:
    """See that the reader knows a state between what was acknowledged before its poll and what has begun since."""
    known, most = seen(reader, writer.key), writer.begun
    if known is None:
        assert least.ratings == 0 or most.clears > least.clears, f"{writer.key}: gone, {least} was acknowledged"
    else:
        assert least <= known <= most, f"{writer.key}: {known}, {least} was acknowledged"


@pytest.mark.parametrize(
    ("store_url", "processes"), [("memory", 0), ("sqlite", 2), ("redis", 2), ("cluster", 2)], indirect=["store_url"]
)
def test_acknowledged_is_seen(store_url: str, processes: int, opened: Opened) -> None:
    """Every append and clear that was acknowledged before a poll began is seen by it, whoever wrote it."""
    store = opened(store_url)
    reader = Reader(store if store_url == "sqlite://" else opened(store_url))
    spawn = multiprocessing.get_context("spawn")
    counters = [spawn.Value("i", 0) for _ in range(processes)]
    far = [
        spawn.Process(target=append_from_afar, args=(store_url, number, counter))
        for number, counter in enumerate(counters)
    ]
    polled = threading.Event()
    writers = [Writer(store, number, polled) for number in range(WRITERS)]
    workers: list[BaseProcess | threading.Thread] = [*far, *writers]
    for worker in workers:
        worker.start()
    polls = 0
    while any(worker.is_alive() for worker in workers):
        shared = sum(writer.shared for writer in writers) + sum(counter.value for counter in counters)
        least = [writer.acknowledged for writer in writers]
        reader.poll()
        polls += 1
        if polls > POLLS:
            polled.set()
        assert count(reader.records.get(SHARED)) >= shared
        for writer, state in zip(writers, least, strict=True):
            check(reader, writer, state)
    for worker in workers:
        worker.join()
    reader.poll()

    assert polls > POLLS
    assert [process.exitcode for process in far] == [0] * processes
    assert count(reader.records[SHARED]) == sum(writer.shared for writer in writers) + processes * STEPS
    for writer in writers:
        assert writer.acknowledged.ratings == count(reader.records.get(writer.key))
