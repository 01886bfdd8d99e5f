"""Group commit: what many requests bring at once is stored in one transaction, and synced to disk once.

Nobody waits for company. While one group is being stored, those who come gather; then the first of them stores for
all. Each learns its own verdicts, after the transaction that holds its ratings has ended.
"""

import threading
from collections import deque
from collections.abc import Sequence

from exporter.domain import Feedback
from exporter.errors import StoreUnavailable
from exporter.store.base import Store, Verdict

# Ratings in one transaction, where more than one request is in it; readers and other processes get their turn.
MOST_RATINGS = 10_000


class GroupCommit:
    """Appends to a store. Thread-safe."""

    def __init__(self, store: Store) -> None:
        """Append to ``store``, from any number of threads."""
        self._store = store
        self._turn = threading.Lock()
        self._waiting: deque[_Request] = deque()

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Do as ``Store.append``; a group that fails other than by an outage is stored request by request."""
        request = _Request(batch, now)
        self._waiting.append(request)
        with self._turn:
            while not request.is_done:
                self._commit(self._next_group())
        return request.outcome()

    def _next_group(self) -> list["_Request"]:
        group = [self._waiting.popleft()]
        ratings = len(group[0].batch)
        while self._waiting and ratings + len(self._waiting[0].batch) <= MOST_RATINGS:
            group.append(self._waiting.popleft())
            ratings += len(group[-1].batch)
        return group

    def _commit(self, group: list["_Request"]) -> None:
        try:
            batch = [rating for request in group for rating in request.batch]
            verdicts = iter(self._store.append(batch, max(request.now for request in group)))
        except Exception as error:  # noqa: BLE001 - it is raised to each whom it concerns
            if isinstance(error, StoreUnavailable) or len(group) == 1:
                for request in group:
                    request.failure = error
            else:
                for request in group:
                    self._commit([request])
        else:
            for request in group:
                request.verdicts = [next(verdicts) for _ in request.batch]


class _Request:
    """A batch that waits, and what became of it."""

    def __init__(self, batch: Sequence[Feedback], now: int) -> None:
        self.batch = batch
        self.now = now
        self.verdicts: list[Verdict] | None = None
        self.failure: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.verdicts is not None or self.failure is not None

    def outcome(self) -> list[Verdict]:
        if self.verdicts is None:
            failure = self.failure or RuntimeError("the request was not stored")
            raise type(failure)(*failure.args) from failure
        return self.verdicts
