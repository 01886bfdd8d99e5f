"""The client of the benchmark counts whole answers, and accepts none that is not as expected."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat

import pytest

from tests.bench import forms
from tests.bench.load import Answered, Line, UnexpectedAnswer, drive

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WHOLE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def answering(parts: list[bytes], connections: int = 1) -> Iterator[int]:
    """Give the port of a server that answers each request with ``parts``, each sent by itself."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65_536):
                for part in parts:
                    connection.sendall(part)

    def accept() -> None:
        threads = []
        for _ in range(connections):
            threads.append(threading.Thread(target=serve, args=listener.accept()[:1]))
            threads[-1].start()
        for thread in threads:
            thread.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname()[1]
        accepting.join()


@pytest.mark.parametrize(
    "parts",
    [
        [WHOLE],
        [WHOLE[:10], WHOLE[10:50], WHOLE[50:]],
        [b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n", b"0\r\n", b"\r\n"],
    ],
    ids=["whole", "in parts", "in chunks"],
)
def test_an_answer_is_taken_to_its_end(parts: list[bytes]) -> None:
    """Whatever parts an answer comes in, the next request is sent when it has ended."""
    with answering(parts) as port, Line(port) as line:
        assert [line.ask(REQUEST) > 0 for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("answer", "text"),
    [(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "^HTTP/1.1 503 Busy"), (b"", "^the connection was closed$")],
)
def test_another_answer_ends_the_measurement(answer: bytes, text: str) -> None:
    """An answer with another status, or none, is an error that shows it."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with Line(listener.getsockname()[1]) as line, pytest.raises(UnexpectedAnswer, match=text):
            line.ask(REQUEST)
        thread.join()


def test_a_load_ends_with_its_requests_or_its_time() -> None:
    """Requests are sent over all connections until there is none left, or the time is over; all are answered."""
    with answering([WHOLE], 3) as port:
        assert len(drive(port, repeat(REQUEST, 50), 60, 3).latencies) == 50
    with answering([WHOLE], 3) as port:
        answered = drive(port, repeat(REQUEST), 0.05, 3)
    assert len(answered.latencies) >= 3
    assert 0.05 <= answered.seconds < 60


def test_percentiles() -> None:
    """Half of the answers, and 99 of 100, came within what is said."""
    answered = Answered([float(each) for each in range(100, 0, -1)], 10)

    assert answered.rate == 10
    assert [answered.percentile(percent) for percent in (50, 99, 100)] == [51, 100, 100]


def test_every_rating_has_an_id_of_its_own() -> None:
    """No two ratings of a run carry the same id, and every body is as long as its head says."""
    ids: list[str] = []
    for size in (1, 500):
        for request, _ in zip(forms.ratings(size), range(3), strict=False):
            head, _, body = request.partition(b"\r\n\r\n")
            assert f"Content-Length: {len(body)}".encode() in head
            assert body.count(b"feedback_id") == size
            ids += [part[:12].decode() for part in body.split(b'"feedback_id": "')[1:]]

    assert len(set(ids)) == len(ids) == 1503
