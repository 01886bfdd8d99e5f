"""Group commit: requests that come at once share a transaction, and each learns what became of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.errors import StoreRefused, StoreUnavailable
from exporter.store.base import Store, Verdict
from exporter.store.group_commit import MOST_RATINGS, GroupCommit
from tests.support.waiting import eventually

NOW = 1_767_603_600 * MILLION
KEY = SeriesKey("code-review", "analysis", "cheap")


def rating(name: str, key: SeriesKey = KEY) -> Feedback:
    """Return a rating with an id."""
    return Feedback(key, name, 800_000, NOW, NOW, None, b"{}")


class Held:
    """A store whose appends wait until they are let go, and are written down."""

    def __init__(self, store: Store, failure: Exception | None = None) -> None:
        """Append to ``store``; fail with ``failure`` instead whenever a batch holds an id ``bad``."""
        self.store = store
        self.failure = failure
        self.batches: list[list[str]] = []
        self.gate = threading.Event()

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Append, once the gate is open."""
        self.batches.append([each.feedback_id for each in batch])
        self.gate.wait(20)
        if self.failure and any(each.feedback_id == "bad" for each in batch):
            raise self.failure
        return self.store.append(batch, now)


def together(held: Held, batches: Sequence[Sequence[Feedback]]) -> list[list[Verdict] | Exception]:
    """Send the first batch; while it is being stored, the others in their order; then let all go on."""
    group = GroupCommit(held)  # type: ignore[arg-type]  # the one method of a store that it uses

    def send(batch: Sequence[Feedback]) -> list[Verdict] | Exception:
        try:
            return group.append(batch, NOW)
        except Exception as error:  # noqa: BLE001 - what was raised is what is looked at
            return error

    def queued(count: int) -> bool:
        return len(held.batches) == 1 and len(group._waiting) == count

    with ThreadPoolExecutor(len(batches)) as pool:
        answers = []
        for waiting, batch in enumerate(batches):
            answers.append(pool.submit(send, batch))
            # The first is being stored, the others wait.
            eventually(partial(queued, waiting), "a queue")
        held.gate.set()
        return [answer.result(20) for answer in answers]


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    """Return an empty store in memory."""
    return opened("sqlite://")


class TestGroups:
    """Who comes while a group is being stored is in the next one."""

    def test_one_transaction(self, store: Store) -> None:
        """Requests that waited are stored in one append, in the order in which they came."""
        held = Held(store)
        answers = together(held, [[rating("a")], [rating("b"), rating("c")], [rating("d")]])

        assert answers == [["new"], ["new", "new"], ["new"]]
        assert held.batches == [["a"], ["b", "c", "d"]]

    def test_own_verdicts(self, store: Store) -> None:
        """Of one id in two requests of a group, the one that came first is new."""
        answers = together(Held(store), [[rating("a")], [rating("a"), rating("b")], [rating("b")]])

        assert answers == [["new"], ["duplicate", "new"], ["duplicate"]]

    def test_bounded(self, store: Store) -> None:
        """A group ends before it holds too many ratings; what waits is in the next."""
        large = [rating(f"{number}") for number in range(MOST_RATINGS - 1)]
        held = Held(store)
        answers = together(held, [[rating("a")], large, [rating("b"), rating("c")]])

        assert [len(batch) for batch in held.batches] == [1, MOST_RATINGS - 1, 2]
        assert answers[2] == ["new", "new"]

    def test_alone(self, store: Store) -> None:
        """Nobody waits for company."""
        held = Held(store)
        held.gate.set()

        assert GroupCommit(held).append([rating("a")], NOW) == ["new"]  # type: ignore[arg-type]  # the one method of a store that it uses


class TestFailures:
    """A request fails by its own fault, or by the store's."""

    def test_refused(self, store: Store) -> None:
        """What the store refuses in one request costs no other request of its group."""
        held = Held(store, StoreRefused("no"))
        answers = together(held, [[rating("a")], [rating("b")], [rating("bad")], [rating("c")]])

        assert [str(answer) for answer in answers] == ["['new']", "['new']", "no", "['new']"]
        assert isinstance(answers[2], StoreRefused)

    def test_away(self, store: Store) -> None:
        """An outage is told to all of the group after one try."""
        held = Held(store, StoreUnavailable("away"))
        answers = together(held, [[rating("a")], [rating("b")], [rating("bad")]])

        assert [type(answer) for answer in answers] == [list, StoreUnavailable, StoreUnavailable]
        assert held.batches == [["a"], ["b", "bad"]]

    def test_afterwards(self, store: Store) -> None:
        """After a failure the next request is stored."""
        held = Held(store, RuntimeError("a fault of ours"))
        held.gate.set()
        group = GroupCommit(held)  # type: ignore[arg-type]  # the one method of a store that it uses

        with pytest.raises(RuntimeError, match=r"\Aa fault of ours\Z"):
            group.append([rating("bad")], NOW)

        assert group.append([rating("a")], NOW) == ["new"]


def test_real_threads(opened: Callable[..., Store]) -> None:
    """From many threads at once, every rating is stored once, and every verdict is right."""
    group = GroupCommit(opened("sqlite://"))

    def send(number: int) -> list[Verdict]:
        return group.append([rating(f"{number // 2}")], NOW)

    with ThreadPoolExecutor(16) as pool:
        verdicts = [verdict for answer in pool.map(send, range(400)) for verdict in answer]

    assert (verdicts.count("new"), verdicts.count("duplicate")) == (200, 200)
