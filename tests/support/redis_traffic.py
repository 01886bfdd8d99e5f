"""Ratings that go on arriving while servers come and go, and what became of them."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import NamedTuple, Self

from exporter.domain import Feedback, SeriesKey
from exporter.errors import StoreUnavailable
from exporter.fold import unpack_totals
from exporter.store.base import LOG_LENGTH, Changes, Store
from tests.support.ratings import NOW
from tests.support.waiting import eventually

SERIES = [SeriesKey("traffic", f"stage-{place}", "cheap") for place in range(200)]
RATINGS_A_BATCH = 5
# Between two batches, so that no series outgrows its log, nor a machine its cores.
PAUSE_SECONDS = 0.02


class Fate(NamedTuple):
    """How many ratings were acknowledged, and of these are not there, or were counted more than once."""

    acknowledged: int
    lost: int
    twice: int


class Writer(threading.Thread):
    """Sends ratings, each again and again with its id until it is acknowledged, as a client that retries does."""

    def __init__(self, store: Store, number: int, pause: float) -> None:
        """Send nothing yet."""
        super().__init__(daemon=True)
        self._store = store
        self._random = Random(number)
        self._number = number
        self._pause = pause
        self._end = threading.Event()
        self.acknowledged: list[Feedback] = []
        self.refusals: Counter[str] = Counter()

    def run(self) -> None:
        """Send batches until told to end; the last one is acknowledged too."""
        while not self._end.wait(self._pause):
            batch = list(self._batch())
            while not self._sent(batch):
                self._end.wait(0.1)
            self.acknowledged += batch

    def end(self) -> None:
        """Come to an end."""
        self._end.set()
        self.join()

    @property
    def answers(self) -> int:
        """Batches that were acknowledged or refused."""
        return len(self.acknowledged) // RATINGS_A_BATCH + self.refusals.total()

    def _batch(self) -> Iterator[Feedback]:
        for place in range(RATINGS_A_BATCH):
            name = f"{self._number}-{len(self.acknowledged)}-{place}"
            yield Feedback(self._random.choice(SERIES), name, self._random.randrange(1_000_001), NOW, NOW)

    def _sent(self, batch: Sequence[Feedback]) -> bool:
        try:
            self._store.append(batch, NOW)
        except StoreUnavailable as error:
            self.refusals[str(error)] += 1
            return False
        return True


class Follower(threading.Thread):
    """Reads what changed, over and over, and sees that what was acknowledged before it began to read is in it."""

    def __init__(self, store: Store, writers: Sequence[Writer]) -> None:
        """Know nothing yet."""
        super().__init__(daemon=True)
        self._store = store
        self._writers = writers
        self._end = threading.Event()
        self._changes: Changes | None = None
        self._noted = [0] * len(writers)
        self._least: Counter[SeriesKey] = Counter()
        self.counts: dict[SeriesKey, int] = {}
        self.missed: list[str] = []
        self.polls = 0

    def run(self) -> None:
        """Read until told to end."""
        while not self._end.wait(PAUSE_SECONDS):
            self._note_acknowledged()
            if self.poll():
                self.missed += [
                    f"{key.stage}: {self.counts.get(key, 0)} of {number}"
                    for key, number in self._least.items()
                    if self.counts.get(key, 0) < number
                ]

    def _note_acknowledged(self) -> None:
        for place, writer in enumerate(self._writers):
            news = writer.acknowledged[self._noted[place] :]
            self._noted[place] += len(news)
            self._least.update(rating.key for rating in news)

    def poll(self) -> bool:
        """Read once; false where the store cannot be read."""
        try:
            self._changes = self._store.changes(self._changes and self._changes.cursor)
        except StoreUnavailable:
            return False
        if self._changes.complete:
            self.counts.clear()
        for key, record in self._changes.items:
            self.counts[key] = sum(unpack_totals(record.totals).buckets) if record else 0
        self.polls += 1
        return True

    def end(self) -> None:
        """Come to an end."""
        self._end.set()
        self.join()


class Traffic:
    """Writers with a store each, and a reader; in a ``with`` statement they are at work inside."""

    def __init__(self, stores: Sequence[Store], pause: float = PAUSE_SECONDS) -> None:
        """Let the last of ``stores`` be the reader's, and each other one a writer's, who pauses between batches."""
        self._store = stores[-1]
        self.writers = [Writer(store, number, pause) for number, store in enumerate(stores[:-1])]
        self.follower = Follower(self._store, self.writers)

    @contextmanager
    def flowing(self) -> Iterator[Self]:
        """Let ratings flow inside the block."""
        threads: list[Writer | Follower] = [*self.writers, self.follower]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for thread in threads:
                thread.end()

    def flow_on(self, batches: int = 5) -> None:
        """Wait until every writer has had so many more batches acknowledged."""
        wanted = [len(writer.acknowledged) + batches * RATINGS_A_BATCH for writer in self.writers]
        eventually(
            lambda: all(len(writer.acknowledged) >= least for writer, least in zip(self.writers, wanted, strict=True)),
            "ratings acknowledged",
            60,
        )

    def go_on(self) -> None:
        """Wait until every writer has had another batch answered, be it with a refusal."""
        seen = [writer.answers for writer in self.writers]
        eventually(
            lambda: all(writer.answers > before for writer, before in zip(self.writers, seen, strict=True)),
            "ratings answered",
        )

    def fate(self) -> Fate:
        """Tell what became of the ratings; the follower has seen all that there is."""
        eventually(self.follower.poll, "a reading")
        acknowledged = {(rating.key, rating.feedback_id) for writer in self.writers for rating in writer.acknowledged}
        there = [(key, entry.feedback_id) for key in SERIES for entry in self._store.history([key], LOG_LENGTH)]
        counted = sum(self.follower.counts.values())
        records = {key: self._store.record(key) for key in SERIES}
        assert counted == sum(sum(unpack_totals(record.totals).buckets) for record in records.values() if record)
        return Fate(len(acknowledged), len(acknowledged - set(there)), counted - len(set(there)))
