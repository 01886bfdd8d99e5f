"""The store is away, hangs, or does not take writes: what is served meanwhile, and that it mends by itself."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import redis as redis_py

from exporter import names
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Answer, ask, status
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.samples import sample
from tests.support.waiting import eventually

# Prometheus gives up on a scrape after 10 s.
SCRAPE_SECONDS = 10


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that keeps what it acknowledges."""
    with RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
def exporter(tmp_path: Path, redis: RedisServer) -> Iterator[ExporterProcess]:
    """An exporter over that Redis, with one rating."""
    with ExporterProcess(tmp_path / "exporter", redis.url) as process:
        assert _post(process).status == 202
        yield process


def _post(exporter: ExporterProcess, **more: object) -> Answer:
    with exporter.client() as client:
        return client.post({"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5, **more})


def _scrape(exporter: ExporterProcess) -> tuple[float, float]:
    """Whether the store is said to be up, and how many ratings are shown; fails after the scrape time-out."""
    began = time.monotonic()
    with exporter.client() as client:
        answer = client.get("/metrics")
    assert answer.status == 200
    assert time.monotonic() - began < SCRAPE_SECONDS
    shown = sample(answer.text, names.WINDOW_SAMPLES.name, workflow="w", stage="s", tier="cheap")
    return sample(answer.text, names.STORE_UP.name), shown


def test_a_store_that_is_away_at_the_start_is_waited_for(tmp_path: Path, redis: RedisServer) -> None:
    """Meanwhile it is healthy but not ready and the log has one line; when the store comes up, it works."""
    redis.kill()
    with ExporterProcess(tmp_path / "exporter", redis.url, awaited="/-/healthy") as exporter:
        ready = ask(exporter.port, "GET", "/-/ready")
        metrics = ask(exporter.port, "GET", "/metrics")
        refused = _post(exporter)
        waiting = exporter.output
        redis.start()
        exporter.wait_ready()
        taken = _post(exporter)
        eventually(lambda: exporter.output.endswith(" INFO the store is reached\n"), "a line that says so")

        assert (ready.status, metrics.status, refused.status, taken.status) == (503, 200, 503, 202)
        assert sample(metrics.text, names.STORE_UP.name) == 0
        assert waiting.count("waiting for the store") == 1
        assert len(waiting.splitlines()) == 2
        assert _scrape(exporter) == (1, 1)


def test_a_store_that_turns_out_to_refuse_ends_the_wait(tmp_path: Path) -> None:
    """When the store that was waited for comes up and wants a password that is not given, it ends in words."""
    redis = RedisServer(tmp_path / "redis", "--requirepass", "right")
    with ExporterProcess(tmp_path / "exporter", redis.url, awaited="/-/healthy") as exporter, redis:
        code = exporter.wait()

    assert code == 1
    assert "Traceback" not in exporter.output
    assert (
        f"CRITICAL redis://127.0.0.1:{redis.port}/0: cannot prepare the store: Authentication required; "
        "give its user and password in the URL, percent-encoded: redis://user:password@host\n"
    ) in exporter.output


def test_a_store_that_goes_away_leaves_the_last_view(redis: RedisServer, exporter: ExporterProcess) -> None:
    """Scrapes go on with the last known view, the JSON API with its age; ingest says 503; then all mends itself."""
    assert _scrape(exporter) == (1, 1)
    redis.kill()
    shown = _scrape(exporter)
    stats = ask(exporter.port, "GET", "/api/v1/stats?workflow_name=w&stage_name=s")
    ready = status(exporter.port, "/-/ready")
    redis.start()
    exporter.wait_ready()

    assert shown == (0, 1)
    assert (stats.status, stats.json["sample_count"], int(stats.headers["age"]) >= 0) == (200, 1, True)
    assert ready == 503
    assert _scrape(exporter) == (1, 1)


def test_ingest_says_what_to_retry_while_the_store_is_away(redis: RedisServer, exporter: ExporterProcess) -> None:
    """The 503 lists the ids used; what is sent again with them counts once when the store is back."""
    redis.kill()
    refused = _post(exporter)
    (feedback_id,) = refused.json["feedback_ids"]
    redis.start()
    exporter.wait_ready()
    taken = [_post(exporter, feedback_id=feedback_id).json for _ in range(2)]

    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert refused.headers["content-type"] == "application/problem+json"
    assert [(receipt["accepted"], receipt["duplicates"]) for receipt in taken] == [(1, 0), (0, 1)]
    assert _scrape(exporter) == (1, 2)


def test_a_store_that_hangs_holds_up_no_scrape(redis: RedisServer, exporter: ExporterProcess) -> None:
    """With Redis stopped, several scrapers at once get the last view within the scrape time-out."""
    assert _scrape(exporter) == (1, 1)
    redis.pause()
    try:
        with ThreadPoolExecutor(6) as pool:
            scrapes = [pool.submit(_scrape, exporter) for _ in range(4)]
            posts = [pool.submit(_post, exporter) for _ in range(2)]
            seen = [scrape.result() for scrape in scrapes]
            refused = [post.result().status for post in posts]
    finally:
        redis.resume()
    exporter.wait_ready()

    assert seen == [(0, 1)] * 4
    assert refused == [503] * 2
    assert _scrape(exporter)[0] == 1


def test_a_store_that_takes_no_writes_is_not_up(redis: RedisServer, exporter: ExporterProcess) -> None:
    """A Redis that became a read-only replica still shows ratings, but is not up until it takes writes again."""
    with redis_py.Redis.from_url(redis.url) as client:
        client.replicaof("127.0.0.1", free_port())
        refused = _post(exporter)
        shown = _scrape(exporter)
        client.replicaof("NO", "ONE")
    eventually(lambda: _scrape(exporter) == (1, 1), "the store being up again, with nobody writing")

    assert (refused.status, shown) == (503, (0, 1))
    assert "read-only replica" in refused.json["detail"]
    assert _post(exporter).status == 202


def test_a_file_that_another_process_holds_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    """While somebody else holds the SQLite file's lock, ingest says 503 in the end, and scrapes go on at once."""
    with ExporterProcess(tmp_path, sqlite_url(tmp_path)) as exporter:
        assert _post(exporter).status == 202
        with closing(sqlite3.connect(tmp_path / "feedback.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(1) as pool:
                posting = pool.submit(_post, exporter)
                shown = _scrape(exporter)
                waited = not posting.done()
                refused = posting.result()
            down = _scrape(exporter)
            other.execute("ROLLBACK")
        taken = _post(exporter)

        assert (shown, waited) == ((1, 1), True)
        assert (refused.status, down) == (503, (0, 1))
        assert (taken.status, _scrape(exporter)) == (202, (1, 2))
