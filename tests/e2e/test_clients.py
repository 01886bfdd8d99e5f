"""Clients that hang, dawdle or push do not stand in the way of the others."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.web.ingest import MOST_AT_ONCE
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Answer, Client, Unanswered
from tests.support.waiting import eventually

# Far below the scrape time-out of 10 s, far above what a loaded machine of two cores takes.
PROMPT_SECONDS = 5
HANGING = 50
SLOW = 10


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterProcess]:
    """An exporter over SQLite."""
    with ExporterProcess(tmp_path, sqlite_url(tmp_path)) as process:
        yield process


def _rating(stage: str = "s") -> dict[str, Any]:
    return {"workflow_name": "w", "stage_name": stage, "tier": "cheap", "quality_score": 0.5}


@contextmanager
def _connections(port: int, count: int, request: bytes) -> Iterator[None]:
    """Connections that send ``request`` and then do nothing: neither write nor read."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request)
        yield


def _serves(exporter: ExporterProcess) -> bool:
    """Whether a rating and a scrape are answered promptly."""
    with exporter.client(PROMPT_SECONDS) as client:
        return (client.post(_rating()).status, client.get("/metrics").status) == (202, 200)


@pytest.mark.parametrize(
    "request_text",
    [
        pytest.param(b"POST /api/v1/feedback HTTP/1.1\r\nHos", id="headers"),
        pytest.param(
            b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n[{",
            id="body",
        ),
        pytest.param(
            b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n[{\r\n",
            id="chunked body",
        ),
    ],
)
def test_requests_that_never_end_hold_up_nobody(exporter: ExporterProcess, request_text: bytes) -> None:
    """While many clients leave their request unfinished, others are answered promptly."""
    with _connections(exporter.port, HANGING, request_text):
        assert _serves(exporter)


def _post(client: Client) -> Answer | None:
    """Answer to a rating; ``None`` where the server closed the connection before it had all of it."""
    try:
        return client.post(_rating())
    except Unanswered:
        return None


def test_scrapes_go_on_when_ingest_is_full(exporter: ExporterProcess) -> None:
    """When unfinished ratings hold all that ingest may have, more are refused in words and scrapes go on."""
    request = b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[{"
    with ExitStack() as stack, exporter.client(PROMPT_SECONDS) as client:

        def refused() -> Answer | None:
            """Hold more until a rating is refused: how many of them reach a thread at once is the server's choice."""
            stack.enter_context(_connections(exporter.port, MOST_AT_ONCE // 8, request))
            answer = _post(client)
            return answer if answer and answer.status == 503 else None

        answer = eventually(refused, "ingest is full")
        assert answer is not None
        assert answer.headers["retry-after"] == "5"
        assert answer.json["detail"] == "224 requests with ratings are under way; nothing of this one was stored."
        assert client.get("/metrics").status == 200
    eventually(lambda: _serves(exporter), "ratings are taken again")


def test_clients_that_do_not_read_hold_up_nobody(exporter: ExporterProcess) -> None:
    """While several clients leave a large answer unread, others are answered promptly."""
    with exporter.client() as client:
        assert client.post([_rating(f"stage-{number}") for number in range(2000)]).status == 202
        assert len(client.get("/metrics").body) > 2_000_000
    with _connections(exporter.port, SLOW, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5):
        assert _serves(exporter)


def test_scrapes_answer_during_heavy_ingest(exporter: ExporterProcess) -> None:
    """While three clients post large batches as fast as they can, every scrape answers well within its time-out."""
    enough = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        posting = [pool.submit(_post_until, exporter.port, enough) for _ in range(3)]
        try:
            with exporter.client(PROMPT_SECONDS) as client:
                statuses = [client.get("/metrics").status for _ in range(10)]
        finally:
            enough.set()
        posted = sum(each.result() for each in posting)

    assert statuses == [200] * 10
    assert posted > 0


def _post_until(port: int, enough: threading.Event) -> int:
    """Post batches of 500 over 50 series, and count the ratings."""
    posted = 0
    with Client(port) as client:
        while not enough.is_set():
            answer = client.post([_rating(f"stage-{number % 50}") for number in range(500)])
            assert answer.status == 202, answer.text
            posted += answer.json["accepted"]
    return posted


def test_curl_reads_a_compressed_scrape_to_its_end(exporter: ExporterProcess) -> None:
    """What curl, which reads one member of a gzip stream and no more, gets of /metrics is all of it."""
    with exporter.client() as client:
        assert client.post([_rating(f"{number}") for number in range(20)]).status == 202
        command = ["curl", "--silent", "--fail", "--compressed", f"http://127.0.0.1:{exporter.port}/metrics"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        plain = client.get("/metrics").text

    assert _quality(said) == _quality(plain)
    assert len(_quality(plain)) > 20
    assert said.splitlines()[-1].startswith("llm_feedback_exporter_")


def _quality(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("llm_feedback_quality")]
