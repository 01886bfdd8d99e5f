"""Readers that take a scrape at 1 kB a second: what others feel of them."""

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from exporter.clock import now_microseconds
from tests.bench import forms, streams
from tests.bench.harness import Outcome, Say, Scale, alternate, at_most, figure, ratio
from tests.bench.load import Line, drive
from tests.support.exporter_process import ExporterProcess

READERS = 32
# What each takes a tenth of a second.
BITE = 100
PAUSE_SECONDS = 0.1
# As little as the system allows, so that what is not read stays with the server.
WINDOW = 4_096
SCRAPES = 5
POST, SCRAPE = "a single rating", "a scrape"


def readers(scale: Scale, say: Say) -> Outcome:
    """Post and scrape, alone and beside slow readers of the same server."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        url = streams.populate(Path(name) / "bench.db", scale.series, scale.ratings, now_microseconds())
        port = stack.enter_context(ExporterProcess(Path(name) / "exporter", url)).port
        alone: dict[str, Callable[[], float]] = {
            POST: partial(_post, port, scale.seconds / 2),
            SCRAPE: partial(_scrape, port),
        }
        for action in alone.values():
            action()
        beside = {f"{what}, beside": _beside(port, action) for what, action in alone.items()}
        times = alternate(scale.pairs, {**alone, **beside}, say, "Slow readers")
    ratios = [
        ratio(f"{what}: beside {READERS} slow readers / alone", times[f"{what}, beside"], times[what], at_most(2))
        for what in alone
    ]
    return Outcome([*ratios, *(figure(f"{what}: median answer, alone", times[what], "s") for what in alone)])


def _post(port: int, seconds: float) -> float:
    return drive(port, forms.ratings(1), seconds).percentile(50)


def _scrape(port: int) -> float:
    with Line(port, 200) as line:
        return median(line.ask(forms.get("/metrics", compressed=True)) for _ in range(SCRAPES))


def _beside(port: int, action: Callable[[], float]) -> Callable[[], float]:
    def measured() -> float:
        with slow_readers(port):
            return action()

    return measured


@contextmanager
def slow_readers(port: int) -> Iterator[None]:
    """Let readers ask for the plain text, and take it slowly as long as the block lasts."""
    enough = threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(READERS):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
            reader.connect(("127.0.0.1", port))
            reader.sendall(forms.get("/metrics"))
            # Its first bytes show that the answer has begun.
            reader.recv(BITE)
            selector.register(reader, selectors.EVENT_READ)
        taking = threading.Thread(target=_take, args=(selector, enough))
        taking.start()
        try:
            yield
        finally:
            enough.set()
            taking.join()


def _take(selector: selectors.BaseSelector, enough: threading.Event) -> None:
    while not enough.wait(PAUSE_SECONDS):
        for key, _ in selector.select(0):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv(BITE)
