"""How a body may come: media type, coding, length, and what is too much of it."""

import gzip
import io
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client
from tests.support.waiting import eventually
from tests.web.edge import FEEDBACK, JSON, NDJSON, Edge, problem, rating

MIB = 1024 * 1024
LIMIT = 10 * MIB
BODY = json.dumps(rating()).encode()
LINE = BODY + b"\n"

TOO_LARGE = {"detail": "The body is larger than 10485760 bytes; send it in several requests."}
TOO_LARGE_INSIDE = {"detail": "The decompressed body is larger than 10485760 bytes; send it in several requests."}
NO_GZIP = {"detail": "The body says that it is gzip, but it is not; send gzip, or no Content-Encoding."}
CUT_GZIP = {"detail": "The body says that it is gzip, but it ends too early; send it whole."}


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;;"]
)
def test_json_is_known_by_its_media_type(edge: Edge, media_type: str) -> None:
    """Case and parameters make no difference."""
    assert edge.send(BODY, media_type).status_code == 202


@pytest.mark.parametrize(
    ("media_type", "shown"),
    [
        ("application/x-www-form-urlencoded", "'application/x-www-form-urlencoded'"),
        ("multipart/form-data; boundary=x", "'multipart/form-data'"),
        ("text/plain", "'text/plain'"),
        ("text/json", "'text/json'"),
        ("application/problem+json", "'application/problem+json'"),
        ("*/*", "'*/*'"),
        ("", "missing"),
        (None, "missing"),
    ],
)
def test_another_media_type_is_415(edge: Edge, media_type: str | None, shown: str) -> None:
    """The answer says what was sent and what to send; the form type of a bare ``curl -d`` is another too."""
    answer = edge.send(BODY, media_type)

    assert problem(answer, 415) == {
        "detail": f"Content-Type is {shown}; send application/json or application/x-ndjson."
    }
    assert answer.headers["Accept"] == "application/json, application/x-ndjson"
    assert not edge.counts()


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd", ""])
def test_another_coding_is_415(edge: Edge, coding: str) -> None:
    """Only gzip is undone."""
    answer = edge.send(BODY, Content_Encoding=coding)

    assert problem(answer, 415) == {"detail": f"Content-Encoding {coding!r} is not supported; send gzip or none."}
    assert answer.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("coding", ["identity", "Identity"])
def test_identity_is_no_coding(edge: Edge, coding: str) -> None:
    """A body that names it is read as it is."""
    assert edge.send(BODY, Content_Encoding=coding).status_code == 202


ZIPPED = {
    "one member": gzip.compress(LINE * 3),
    "several members": gzip.compress(LINE) + gzip.compress(LINE[:20]) + gzip.compress(LINE[20:] + LINE),
    "an empty member": gzip.compress(LINE * 2) + gzip.compress(b"") + gzip.compress(LINE),
    "zeros at the end": gzip.compress(LINE * 3) + b"\0" * 1000,
    "zeros between members": gzip.compress(LINE) + b"\0" * 7 + gzip.compress(LINE * 2),
}


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
@pytest.mark.parametrize("body", ZIPPED.values(), ids=ZIPPED)
def test_gzip_may_have_several_members(edge: Edge, body: bytes, coding: str) -> None:
    """Members stand for one text, and zeros after them for nothing, as ``gzip`` itself has it."""
    answer = edge.send(body, NDJSON, Content_Encoding=coding)

    assert answer.get_json()["accepted"] == 3


BROKEN = {
    "not gzip": (BODY, NO_GZIP),
    "zlib": (zlib.compress(BODY), NO_GZIP),
    "only the first magic byte": (b"\x1f", NO_GZIP),
    "something after it": (gzip.compress(BODY) + b"x", NO_GZIP),
    "a second member that is none": (gzip.compress(BODY) + b"\0\0" + BODY, NO_GZIP),
    "a wrong checksum": (gzip.compress(BODY)[:-8] + b"12345678", NO_GZIP),
    "a broken stream": (gzip.compress(BODY)[:20] + b"\xff" * 20 + gzip.compress(BODY)[40:], NO_GZIP),
    "cut in the header": (gzip.compress(BODY)[:5], CUT_GZIP),
    "cut in the stream": (gzip.compress(BODY)[:30], CUT_GZIP),
    "cut in the checksum": (gzip.compress(BODY)[:-1], CUT_GZIP),
    "a second member cut": (gzip.compress(BODY) + gzip.compress(b" ")[:-4], CUT_GZIP),
}


@pytest.mark.parametrize(("body", "expected"), BROKEN.values(), ids=BROKEN)
def test_broken_gzip_is_400(edge: Edge, body: bytes, expected: dict[str, str]) -> None:
    """Whatever could be read of it, nothing is stored."""
    assert problem(edge.send(body, NDJSON, Content_Encoding="gzip"), 400) == expected
    assert not edge.counts()


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_a_body_may_have_10_mib(edge: Edge, size: int) -> None:
    """One byte more is 413."""
    answer = edge.send(BODY + b" " * (size - len(BODY)))

    if size == LIMIT:
        assert answer.status_code == 202
    else:
        assert problem(answer, 413) == TOO_LARGE
        assert not edge.counts()


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("members", [1, 2])
def test_a_decompressed_body_may_have_10_mib(edge: Edge, size: int, members: int) -> None:
    """One byte more is 413, in one member or in several."""
    parts = [BODY + b" " * (size - len(BODY) - members + 1), b" " * (members - 1)][:members]

    answer = edge.send(b"".join(map(gzip.compress, parts)), Content_Encoding="gzip")

    if size == LIMIT:
        assert answer.status_code == 202
    else:
        assert problem(answer, 413) == TOO_LARGE_INSIDE


def test_a_bomb_takes_no_more_memory_than_a_body_may(edge: Edge) -> None:
    """64 MiB of blanks in 64 KiB of gzip are 413 before they are there."""
    bomb = gzip.compress(b" " * 64 * MIB)
    tracemalloc.start()
    try:
        answer = edge.send(bomb, Content_Encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert problem(answer, 413) == TOO_LARGE_INSIDE
    assert peak < 5 * LIMIT


def test_very_many_members_are_read_in_one_go(edge: Edge) -> None:
    """Five MiB of empty members cost a second or two, not minutes: what follows a member is not copied."""
    member = gzip.compress(b"")
    body = member * (5 * MIB // len(member)) + gzip.compress(BODY)
    began = time.process_time()

    answer = edge.send(body, Content_Encoding="gzip")

    assert answer.status_code == 202
    assert time.process_time() - began < 20


class Endless(io.RawIOBase):
    """A stream that never ends, as of a client that sends for ever; counts what was read."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        """Give as much as is asked for."""
        self.taken += size
        return b" " * size


def test_chunks_are_dropped_up_to_64_mib(edge: Edge) -> None:
    """A body of unknown length is read to its end, so that the client sees the answer; but not for ever."""
    stream = Endless()
    environ = {"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}

    answer = edge.client.post(FEEDBACK, content_type=JSON, environ_overrides=environ)

    assert problem(answer, 413) == TOO_LARGE
    assert 64 * MIB < stream.taken < 65 * MIB


def test_a_length_over_64_mib_is_refused_unread(edge: Edge) -> None:
    """What is said to be that large is not waited for."""
    stream = Endless()
    environ = {"wsgi.input": stream, "CONTENT_LENGTH": f"{64 * MIB + 1}"}

    answer = edge.client.post(FEEDBACK, content_type=JSON, environ_overrides=environ)

    assert problem(answer, 413) == TOO_LARGE
    assert stream.taken == 0


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
def test_a_body_that_ends_before_its_length_is_refused(edge: Edge, media_type: str) -> None:
    """The whole lines that arrived of it are not stored: the client will send them again."""
    environ = {"CONTENT_LENGTH": "10000"}

    answer = edge.client.post(FEEDBACK, data=LINE * 2, content_type=media_type, environ_overrides=environ)

    assert problem(answer, 400) == {"detail": f"The body ends after {2 * len(LINE)} of 10000 bytes; send it whole."}
    assert not edge.counts()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """One exporter on a real socket."""
    directory = tmp_path_factory.mktemp("served")
    with ExporterProcess(directory, sqlite_url(directory)) as exporter:
        yield exporter


@pytest.fixture
def client(served: ExporterProcess) -> Iterator[Client]:
    """Return a client of its own."""
    with served.client() as client:
        yield client


def chunked(*parts: bytes) -> Iterator[bytes]:
    """Write chunks as they go over the wire, with the last one."""
    for part in (*parts, b""):
        yield b"%x\r\n%b\r\n" % (len(part), part)


def speak(exporter: ExporterProcess, head: bytes, body: Iterator[bytes]) -> tuple[int, bytes]:
    """Send a request byte by byte as given, then read the whole answer: status and body."""
    with socket.create_connection(("127.0.0.1", exporter.port), 15) as connection:
        connection.sendall(b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n\r\n")
        for part in body:
            connection.sendall(part)
        with connection.makefile("rb") as answer:
            top, _, rest = answer.read().partition(b"\r\n\r\n")
    return int(top.split()[1]), rest


class TestOnASocket:
    """What only a real server and a real client show."""

    def test_chunks_are_put_together(self, served: ExporterProcess) -> None:
        """A body without a length may come in chunks that end anywhere."""
        head = b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked"

        status, body = speak(served, head, chunked(LINE[:7], LINE[7:] + LINE, LINE[:-1]))

        assert (status, json.loads(body)["accepted"]) == (202, 3)

    @pytest.mark.parametrize("size", [11 * MIB, 63 * MIB])
    def test_a_client_that_sends_too_much_sees_the_answer(self, client: Client, size: int) -> None:
        """It is read to its end and dropped; the connection goes on."""
        answer = client.ask("POST", FEEDBACK, b" " * size, {"Content-Type": JSON})

        assert (answer.status, answer.json["detail"]) == (413, TOO_LARGE["detail"])
        assert client.post(rating()).status == 202

    def test_a_client_that_sends_too_many_chunks_sees_the_answer(self, served: ExporterProcess) -> None:
        """A body without a length is dropped likewise."""
        head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked"

        status, body = speak(served, head, chunked(*[b" " * MIB] * 30))

        assert (status, json.loads(body)["detail"]) == (413, TOO_LARGE["detail"])

    def test_a_client_that_sends_the_wrong_type_sees_the_answer(self, client: Client) -> None:
        """A large body is read before it is refused for what it is."""
        answer = client.ask("POST", FEEDBACK, b" " * 9 * MIB, {"Content-Type": "text/plain"})

        assert answer.status == 415
        assert answer.json["detail"] == ("Content-Type is 'text/plain'; send application/json or application/x-ndjson.")
        assert client.post(rating()).status == 202

    def test_a_body_that_breaks_off_is_not_stored(self, served: ExporterProcess, client: Client) -> None:
        """A client that dies in its request leaves nothing of it."""
        head = b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        entry = json.dumps(rating(workflow_name="breaks off")).encode() + b"\n"

        def refused() -> float:
            metrics = client.get("/metrics").text
            count = "llm_feedback_exporter_http_request_duration_seconds_count"
            return sum(
                sample.value
                for family in text_string_to_metric_families(metrics)
                for sample in family.samples
                if sample.name == count and sample.labels == {"handler": FEEDBACK, "code": "400"}
            )

        before = refused()
        with socket.create_connection(("127.0.0.1", served.port), 15) as connection:
            connection.sendall(head + b"Content-Length: 10000\r\n\r\n" + entry)

        eventually(lambda: refused() > before, "the request being refused")
        assert client.get("/api/v1/stats", {"workflow_name": "breaks off", "stage_name": "s"}).json is None

    def test_gzip_comes_through(self, client: Client) -> None:
        """A compressed body on a real connection is stored like any other."""
        headers = {"Content-Type": NDJSON, "Content-Encoding": "gzip"}

        answer = client.ask("POST", FEEDBACK, gzip.compress(LINE * 500), headers)

        assert (answer.status, answer.json["accepted"]) == (202, 500)
