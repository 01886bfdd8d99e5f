"""``serve`` from start to end: what it says, how it refuses to start, how it ends."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from exporter.store import open_store
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import ask, status
from tests.support.ports import free_port, is_taken
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

# Less than requests under way are given at the end.
PROMPT_SECONDS = 3
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterProcess]:
    """An exporter over SQLite."""
    with ExporterProcess(tmp_path, sqlite_url(tmp_path)) as process:
        yield process


def test_a_start_is_one_line(exporter: ExporterProcess) -> None:
    """The log holds one line, with the address that it listens on and the store; requests add none."""
    assert ask(exporter.port, "GET", "/metrics").status == 200
    assert ask(exporter.port, "POST", "/api/v1/feedback", b"{}").status == 415

    url = re.escape(exporter.store or "")
    assert re.fullmatch(
        rf"{STAMP} INFO listening on http://127\.0\.0\.1:{exporter.port}, ratings are kept in {url}\n", exporter.output
    )


def test_a_password_is_never_printed(tmp_path: Path) -> None:
    """The password in the store's URL is masked in the log and on the landing page."""
    with RedisServer(tmp_path, "--requirepass", "s3cret") as redis:
        url = f"redis://:s3cret@127.0.0.1:{redis.port}/0"
        with ExporterProcess(tmp_path, url) as exporter:
            page = ask(exporter.port, "GET", "/").text

            shown = f"redis://:***@127.0.0.1:{redis.port}/0"
            assert exporter.output.endswith(f"ratings are kept in {shown}\n")
            assert f"<code>{shown}</code>" in page
            assert "s3cret" not in exporter.output + page


def _refused(directory: Path, store: str | None, *options: str, port: int | None = None) -> tuple[int, str]:
    """Start what cannot start; its exit code and all that it prints."""
    exporter = ExporterProcess(directory, store, *options, port=port)
    exporter.launch()
    try:
        return exporter.wait(20), exporter.output
    finally:
        exporter.kill()


def test_a_port_in_use_is_refused(exporter: ExporterProcess, tmp_path: Path) -> None:
    """A second exporter on the same port ends with exit code 1 and one line; the first goes on."""
    refused = _refused(tmp_path / "second", sqlite_url(tmp_path), port=exporter.port)

    assert refused == (1, f"Error: cannot listen on 127.0.0.1:{exporter.port}: Address already in use\n")
    assert status(exporter.port, "/-/ready") == 200


def test_a_bad_configuration_is_refused(tmp_path: Path) -> None:
    """Every problem of the file is named, one line each, and the exit code is 2."""
    file = tmp_path / "bad.yml"
    file.write_text("series_limit: 0\nrules: {quality_threshold: 1.6}\n")

    assert _refused(tmp_path, None, "--config", str(file)) == (
        2,
        (
            f"Error: {file}: series_limit: 0 is not an integer from 1 to 1000000\n"
            f"Error: {file}: rules.quality_threshold: 1.6 is not a number from 0 to 1\n"
        ),
    )


def test_an_unknown_kind_of_store_is_refused(tmp_path: Path) -> None:
    """A store URL that names no store ends the start in words, its password masked."""
    assert _refused(tmp_path, "mysql://me:s3cret@host/db") == (
        2,
        (
            "Error: --store: store URL 'mysql://me:***@host/db' names no store; "
            "known are sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://, redis+sentinel://, redis+cluster://\n"
        ),
    )


def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    """A Redis that refuses the password is not waited for: exit code 1 and one line without the password."""
    with RedisServer(tmp_path, "--requirepass", "right") as redis:
        code, output = _refused(tmp_path, f"redis://:wrong@127.0.0.1:{redis.port}/0")

    assert (code, output) == (
        1,
        (
            f"Error: redis://:***@127.0.0.1:{redis.port}/0: cannot prepare the store: invalid username-password pair "
            "or user is disabled; give its user and password in the URL, percent-encoded: redis://user:password@host\n"
        ),
    )


UNUSABLE = (
    "unable to open database file; give the path of a file, in a directory that exists, where this user may write"
)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("missing/feedback.db", UNUSABLE),
        ("directory", UNUSABLE),
        ("text", "file is not a database; the file is something else: give another path"),
    ],
)
def test_an_unusable_path_is_refused(tmp_path: Path, path: str, fault: str) -> None:
    """A SQLite path in no directory, one that is a directory, one that is no database: exit code 1 and one line."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one: " + "." * 1000)
    url = f"sqlite:///{tmp_path / path}"

    assert _refused(tmp_path / "run", url) == (1, f"Error: {url}: cannot open it: {fault}\n")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(exporter: ExporterProcess, signum: signal.Signals) -> None:
    """SIGTERM and SIGINT end it at once, whoever keeps a connection open: exit code 0, no further line, port free."""
    before = exporter.output
    with exporter.client() as client:
        assert client.get("/metrics").status == 200
        exporter.send(signum)
        code = exporter.wait(PROMPT_SECONDS)

    assert (code, exporter.output) == (0, before)
    assert not is_taken(exporter.port)


def test_a_sqlite_store_is_one_file_when_it_ended(exporter: ExporterProcess, tmp_path: Path) -> None:
    """After SIGTERM the database is whole in its one file, so that a copy of that file has every rating."""
    rating = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 1}
    with exporter.client() as client:
        assert client.post(rating).status == 202
    exporter.stop()

    assert [path.name for path in tmp_path.glob("feedback.db*")] == ["feedback.db"]
    with closing(open_store(sqlite_url(tmp_path))) as store:
        assert len(store.changes(None).items) == 1


def test_a_signal_ends_it_while_clients_hang(exporter: ExporterProcess) -> None:
    """Clients that never finish their requests do not hold up the end."""
    with _unfinished(exporter.port, 5):
        assert exporter.stop() == 0


@contextmanager
def _unfinished(port: int, count: int) -> Iterator[None]:
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    try:
        for connection in connections:
            connection.sendall(
                b"POST /api/v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1000\r\n\r\n[{"
            )
        yield
    finally:
        for connection in connections:
            connection.close()


def test_a_killed_parent_leaves_nothing_that_listens(exporter: ExporterProcess) -> None:
    """When only the process that was started is killed, its worker ends too, and the port can be taken again."""
    worker = exporter.worker
    exporter.process.kill()
    exporter.wait()
    try:
        eventually(lambda: not is_taken(exporter.port), "the port being free")
        exporter.start()
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)

    assert status(exporter.port, "/-/ready") == 200


def test_a_killed_worker_ends_it(exporter: ExporterProcess) -> None:
    """When the worker is killed, as for want of memory, the whole ends with exit code 1: a supervisor can see it."""
    os.kill(exporter.worker, signal.SIGKILL)

    assert exporter.wait() == 1
    assert "Unexpected exit from worker-1" in exporter.output
    assert not is_taken(exporter.port)


def test_the_access_log_is_json_and_only_on_request(tmp_path: Path) -> None:
    """With --access-log every request is one line that ends in a JSON object; without, there is none."""
    with ExporterProcess(tmp_path, sqlite_url(tmp_path), "--access-log") as exporter:
        ask(exporter.port, "GET", "/api/v1/nothing?secret=1")
        lines = [line.partition(" INFO ")[2] for line in exporter.output.splitlines()]

    logged = json.loads(lines[-1])
    assert logged.pop("seconds") >= 0
    assert logged == {"method": "GET", "path": "/api/v1/nothing", "status": 404, "remote": "127.0.0.1"}


def test_environment_and_flags_are_read(tmp_path: Path) -> None:
    """The address comes from the flag, which beats the environment; the store from the environment."""
    environment = {"FEEDBACK_EXPORTER_LISTEN": f"127.0.0.1:{free_port()}", "FEEDBACK_EXPORTER_STORE": "sqlite:///x.db"}
    with ExporterProcess(tmp_path, None, environment=environment):
        assert (tmp_path / "x.db").exists()
