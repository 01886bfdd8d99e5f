"""A client that costs little: each connection sends one ready-made request again and again."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

CONNECTIONS = 8
START_SECONDS = 30
POLL_SECONDS = 0.05

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class UnexpectedAnswer(Exception):
    """A server did not answer as it should: what was measured means nothing."""


class Target(NamedTuple):
    """Where requests go, and what each carries."""

    port: int
    path: str
    body: bytes

    @property
    def request(self) -> bytes:
        """The request, whole."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def requests_a_second(target: Target, seconds: float) -> float:
    """Send as many requests as are answered within ``seconds``, over several connections at once.

    Raises:
        UnexpectedAnswer: an answer was not 202.

    """
    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answered = sum(pool.map(_send, [target] * CONNECTIONS, [began + seconds] * CONNECTIONS))
    return answered / (time.perf_counter() - began)


def _send(target: Target, until: float) -> int:
    request, answered = target.request, 0
    with socket.create_connection(("127.0.0.1", target.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            try:
                connection.sendall(request)
            except ConnectionError as error:
                raise UnexpectedAnswer(f"the connection was closed: {error}") from None
            _take_answer(connection)
            answered += 1
    return answered


def _take_answer(connection: socket.socket) -> None:
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += _receive(connection)
    length = _LENGTH.search(answer, 0, end)
    missing = end + 4 + int(length[1]) - len(answer) if length else 0
    while missing > 0:
        missing -= len(_receive(connection))
    if not answer.startswith(b"HTTP/1.1 202 "):
        raise UnexpectedAnswer(answer.decode(errors="replace"))


def _receive(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    if not chunk:
        raise UnexpectedAnswer("the connection was closed")
    return chunk


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(command: list[str], port: int) -> Iterator[None]:
    """Run a server for as long as the context lasts; begins when ``port`` is listened on.

    Raises:
        UnexpectedAnswer: it does not listen in time.

    """
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            _await(port)
            yield
        finally:
            server.terminate()


def _await(port: int) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise UnexpectedAnswer(f"nobody listens on port {port} after {START_SECONDS} s")
