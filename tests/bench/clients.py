"""Clients of the servers that are measured, and the figures of what they saw."""

from collections.abc import Iterable, Mapping
from contextlib import closing

from exporter.clock import now_microseconds
from exporter.store import open_store
from tests.bench import streams
from tests.bench.forms import SERIES, ratings
from tests.bench.harness import Figure, figure
from tests.bench.load import CONNECTIONS, drive
from tests.bench.servers import processor_seconds
from tests.support.processes import Process


class Client:
    """Posts ratings to one server, again and again, and notes what that costs."""

    def __init__(
        self,
        port: int,
        size: int,
        seconds: float,
        watched: Mapping[str, Process],
        connections: int = CONNECTIONS,
    ) -> None:
        """Send ``size`` ratings a request for ``seconds`` a time; ``watched`` are the processes that work for it."""
        self._port, self._size, self._seconds, self._connections = port, size, seconds, connections
        self._watched = watched
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.posted = 0
        self.medians: list[float] = []
        self.slowest: list[float] = []
        self.processor: dict[str, list[float]] = {name: [] for name in self._watched}

    def __call__(self) -> float:
        """Post, and return the ratings that were taken a second."""
        used = {name: processor_seconds(process) for name, process in self._watched.items()}
        answered = drive(self._port, ratings(self._size), self._seconds, self._connections)
        posted = len(answered.latencies) * self._size
        for name, process in self._watched.items():
            self.processor[name].append((processor_seconds(process) - used[name]) / posted)
        self.medians.append(answered.percentile(50))
        self.slowest.append(answered.percentile(99))
        self.posted += posted
        return posted / answered.seconds

    def figures(self, words: str, rates: list[float]) -> list[Figure]:
        """What it saw, and how many ratings a second were taken."""
        return [
            figure(f"{words}: taken over HTTP", rates, "/s"),
            *(
                figure(f"{words}: processor time of {name} a rating", each, "s")
                for name, each in self.processor.items()
            ),
            figure(f"{words}: median answer", self.medians, "s"),
            figure(f"{words}: 99 % of answers within", self.slowest, "s"),
        ]


def warm_up(clients: Iterable[Client]) -> None:
    """Let each post once, for nothing."""
    for client in clients:
        client()
        client.forget()


def filled(url: str, ratings: int) -> str:
    """Put ``ratings`` ratings in each of the series that clients post to, and return the URL."""
    with closing(open_store(url)) as store:
        list(streams.fill(store, SERIES, ratings, now_microseconds()))
    return url
