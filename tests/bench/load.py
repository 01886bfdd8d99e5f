"""A client that costs little: one thread, some connections, and on each the next request as soon as one is answered."""

import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple, Self

CONNECTIONS = 8
# A whole batch of requests' bytes fits, so that sending never waits for a server.
SEND_BUFFER = 1 << 20
RECEIVE_BUFFER = 1 << 20
ANSWER_SECONDS = 30

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class UnexpectedAnswer(Exception):
    """A server did not answer as it should: what was measured means nothing."""


class Answered(NamedTuple):
    """How a load went: the seconds that each answer took, in no order, and all of them together."""

    latencies: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Requests answered in a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Seconds within which so many percent of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


class Line:
    """One connection to a server on 127.0.0.1, kept open; one request at a time."""

    def __init__(self, port: int, status: int = 202) -> None:
        """Connect; every answer must have ``status``."""
        self.began = 0.0
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._buffer = memoryview(bytearray(RECEIVE_BUFFER))
        self._expected = b"HTTP/1.1 %d " % status
        self._head = b""
        self._missing: int | None = None
        self._is_chunked = False
        self._tail = b""

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._socket.close()

    def fileno(self) -> int:
        """Return what ``epoll`` watches."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request whose answer is then to be taken."""
        self._head, self._missing = b"", None
        self.began = time.perf_counter()
        try:
            self._socket.sendall(request)
        except OSError as error:
            raise UnexpectedAnswer(f"the connection was closed: {error}") from None

    def take(self) -> bool:
        """Read what has come, and tell whether that is the end of the answer.

        Raises:
            UnexpectedAnswer: it has another status, or there is none.

        """
        size = self._socket.recv_into(self._buffer)
        if not size:
            raise UnexpectedAnswer("the connection was closed")
        came = self._buffer[:size]
        if self._missing is None:
            self._head += came
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._missing = self._length(self._head[:end]) + end + 4 - len(self._head)
            self._tail = self._head[end:]
        else:
            self._missing -= size
            self._tail += bytes(came[-len(_LAST_CHUNK) :])
        self._tail = self._tail[-len(_LAST_CHUNK) :]
        return self._tail == _LAST_CHUNK if self._is_chunked else self._missing <= 0

    def _length(self, head: bytes) -> int:
        if not head.startswith(self._expected):
            raise UnexpectedAnswer(self._head.decode(errors="replace"))
        self._is_chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        return int(length[1]) if length else 0

    def ask(self, request: bytes) -> float:
        """Send a request, and return the seconds until the end of the answer."""
        self.send(request)
        while not self.take():
            pass
        return time.perf_counter() - self.began


def drive(port: int, requests: Iterator[bytes], seconds: float, connections: int = CONNECTIONS) -> Answered:
    """Send requests for ``seconds``, or until there is none left, over several connections; all must answer 202.

    Raises:
        UnexpectedAnswer: one was not.

    """
    latencies: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        lines: dict[int, Line] = {}
        for request in (request for _, request in zip(range(connections), requests, strict=False)):
            line = stack.enter_context(Line(port))
            lines[line.fileno()] = line
            poll.register(line, select.EPOLLIN)
            line.send(request)
        while lines:
            for number in _ready(poll):
                line = lines[number]
                if line.take():
                    now = time.perf_counter()
                    latencies.append(now - line.began)
                    following = next(requests, None) if now < until else None
                    if following is None:
                        poll.unregister(line)
                        del lines[number]
                    else:
                        line.send(following)
    return Answered(latencies, time.perf_counter() - began)


def _ready(poll: select.epoll) -> list[int]:
    ready = [number for number, _ in poll.poll(ANSWER_SECONDS)]
    if not ready:
        raise UnexpectedAnswer(f"no answer within {ANSWER_SECONDS} s")
    return ready
