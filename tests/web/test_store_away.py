"""What clients are told while the store is away, and that it mends itself: over a Redis that is killed and started."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from exporter.config import Config
from exporter.rules import StageRules
from exporter.store.base import Store
from tests.support.redis_server import RedisServer
from tests.web.edge import Edge, problem, rating

STAGE = {"workflow_name": "w", "stage_name": "s"}
RETRY = "Entries may have been stored; a retry counts none twice if it sends these ids as feedback_id."


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a Redis server that keeps what it acknowledged over a kill, for all tests of this file."""
    arguments = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(tmp_path_factory.mktemp("killable"), *arguments) as server:
        yield server


@pytest.fixture
def server(killable: RedisServer) -> Iterator[RedisServer]:
    """Return that server, running, writable and empty."""
    with redis.Redis.from_url(killable.url) as client:
        client.flushall()
    yield killable
    if killable.process.poll() is not None:
        killable.start()


@pytest.fixture
def away(server: RedisServer, opened: Callable[..., Store]) -> Edge:
    """Return an exporter over that server."""
    return Edge(opened(server.url), Config(store=server.url))


def refused(server: RedisServer, what: str) -> str:
    """What is said of a server that does not run."""
    address = f"127.0.0.1:{server.port}"
    return (
        f"{server.url}: cannot {what}: Error 111 connecting to {address}. Connection refused; "
        "see that it runs and that the URL names it."
    )


def test_ingest_says_what_to_send_again(away: Edge, server: RedisServer) -> None:
    """503 with the ids used, those made here too, and null where there is nothing to send again."""
    entries = [rating(feedback_id="a"), rating(quality_score=2), rating()]
    server.kill()

    answer = away.post(entries)

    assert answer.headers["Retry-After"] == "5"
    document = problem(answer, 503)
    ids = document["feedback_ids"]
    assert document == {"detail": refused(server, "store ratings"), "feedback_ids": ids, "retry": RETRY}
    assert ids[:2] == ["a", None]
    assert len(ids[2]) == 32
    assert not away.counts()

    server.start()
    assert away.api("stats", **STAGE) is None
    again = [entry | {"feedback_id": used} for entry, used in zip(entries, ids, strict=True) if used]
    assert [away.post(again).get_json()["accepted"], away.post(again).get_json()["duplicates"]] == [2, 2]
    assert away.api("stats", **STAGE)["sample_count"] == 2
    assert away.counts() == {"accepted": 2, "duplicate": 2}


def test_a_bad_request_is_400_even_then(away: Edge, server: RedisServer) -> None:
    """What can be judged without the store is."""
    server.kill()

    assert problem(away.post(rating(quality_score=2)), 400)["rejected"][0]["field"] == "quality_score"
    assert problem(away.send("x"), 400)
    assert problem(away.clear(), 400) == {"detail": "workflow_name: is missing.", "field": "workflow_name"}


def test_readers_see_the_last_view_and_its_age(away: Edge, server: RedisServer) -> None:
    """JSON and metrics answer 200 with what was known; ``Age`` and two metrics say that it is old."""
    away.post([rating(quality_score=0.25)] * 12)
    known: dict[str, Any] = {call: away.api(call) for call in ("recommendations", "underperforming")}
    stats, recommendation = away.api("stats", **STAGE), away.api("recommendation", **STAGE)
    view_time = away.samples("llm_feedback_exporter_view_timestamp_seconds")
    server.kill()
    away.clock.advance(90.5)

    for call, expected in known.items():
        answer = away.get(f"/api/v1/{call}")
        assert (answer.status_code, answer.json, answer.headers["Age"]) == (200, expected, "90")
    assert (away.api("stats", **STAGE), away.api("recommendation", **STAGE)) == (stats, recommendation)
    tag = away.get("/api/v1/recommendations").headers["ETag"]
    assert away.get("/api/v1/recommendations", If_None_Match=tag).status_code == 304
    scrape = away.samples("llm_feedback_quality_avg", "llm_feedback_exporter_store_up")
    assert scrape == {
        ("llm_feedback_quality_avg", "w", "s", "cheap"): 0.25,
        ("llm_feedback_exporter_store_up",): 0,
    }
    assert away.samples("llm_feedback_exporter_view_timestamp_seconds") == view_time

    server.start()
    assert away.store_up == 1
    assert "Age" not in away.get("/api/v1/recommendations").headers
    assert away.api("stats", **STAGE) == stats


def test_what_leaves_the_window_meanwhile_is_gone(away: Edge, server: RedisServer) -> None:
    """The last view does not keep alive what time has ended."""
    away.post(rating())
    assert away.store_up == 1
    server.kill()
    away.clock.advance(604_800 + 3600)

    assert away.samples("llm_feedback_quality_avg") == {}
    assert away.api("recommendations") == []


def test_before_the_first_view_there_is_nothing_to_show(away: Edge, server: RedisServer) -> None:
    """JSON and readiness are 503; metrics answer all the same, and so does health."""
    server.kill()

    for path in ("/-/ready", "/api/v1/recommendations", "/api/v1/underperforming"):
        answer = away.get(path)
        assert problem(answer, 503) == {"detail": refused(server, "read what changed")}
        assert answer.headers["Retry-After"] == "5"
    assert away.get("/-/healthy").status_code == 200
    assert away.get("/").status_code == 200
    assert away.store_up == 0
    assert away.samples("llm_feedback_exporter_series", "llm_feedback_exporter_view_timestamp_seconds") == {
        ("llm_feedback_exporter_series",): 0,
        ("llm_feedback_exporter_view_timestamp_seconds",): 0,
    }


def test_what_needs_the_store_itself_is_503(away: Edge, server: RedisServer) -> None:
    """History and clearing cannot be answered from a view."""
    away.post(rating())
    server.kill()

    history, cleared = away.get("/api/v1/history", STAGE), away.clear(workflow_name="w")

    assert problem(history, 503) == {"detail": refused(server, "read ratings")}
    assert problem(cleared, 503) == {"detail": refused(server, "clear ratings")}
    server.start()
    assert away.api("stats", **STAGE)["sample_count"] == 1


class TestReadOnly:
    """A Redis that can be read but not written: one that became a replica."""

    @pytest.fixture
    def client(self, server: RedisServer) -> Iterator[redis.Redis]:
        """Return a client of the server, which is a primary again afterwards."""
        with redis.Redis.from_url(server.url) as client:
            yield client
            client.replicaof("no", "one")

    def test_the_store_is_up_when_it_can_be_written_again(self, away: Edge, client: redis.Redis) -> None:
        """A failed write keeps it down while reads go on; the scrape after it is mended sees it, without a rating."""
        away.post(rating())
        client.replicaof("127.0.0.1", "1")

        answer = away.post(rating(feedback_id="a"))

        assert problem(answer, 503)["detail"].endswith("it is a read-only replica: give its primary.")
        assert [away.store_up, away.store_up] == [0, 0]
        assert "Age" not in away.get("/api/v1/recommendations").headers
        client.replicaof("no", "one")
        assert away.store_up == 1
        assert away.api("stats", **STAGE)["sample_count"] == 1

    def test_a_clear_that_fails_is_a_failed_write(self, away: Edge, client: redis.Redis) -> None:
        """``DELETE`` says 503 and the store is not up, until it can be written."""
        away.post(rating())
        client.replicaof("127.0.0.1", "1")

        assert problem(away.clear(workflow_name="w"), 503)
        assert away.store_up == 0
        client.replicaof("no", "one")
        assert away.clear(workflow_name="w").json == {"cleared": 1}
        assert away.store_up == 1

    def test_a_bad_rating_is_no_fault_of_the_store(self, away: Edge, client: redis.Redis) -> None:
        """Only what the store fails at counts."""
        client.replicaof("127.0.0.1", "1")

        assert away.post(rating(quality_score=2)).status_code == 400
        assert away.store_up == 1


def test_a_reload_that_the_store_cannot_follow_changes_nothing(
    server: RedisServer, opened: Callable[..., Store]
) -> None:
    """A longer window needs a longer retention, so a store that is away is a reload that fails."""
    new = Config(store=server.url, rules=StageRules(window_seconds=2 * 604_800))
    edge = Edge(opened(server.url), Config(store=server.url), lambda: new)
    edge.post(rating())
    server.kill()

    answer = edge.client.post("/-/reload")

    said = refused(server, "prepare the store")
    assert problem(answer, 500) == {"detail": f"The configuration was not reloaded, the old one stays: {said}"}
    assert edge.services.rules.longest_window == 604_800
    assert edge.samples("llm_feedback_exporter_config_last_reload_successful").popitem()[1] == 0
    server.start()
    assert edge.client.post("/-/reload").status_code == 200
    assert edge.services.rules.longest_window == 2 * 604_800
    assert edge.samples("llm_feedback_exporter_config_last_reload_successful").popitem()[1] == 1


def test_the_log_tells_an_outage_once(away: Edge, server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """One line says that the store cannot be used and why, one that it can be used again; not one a request."""
    caplog.set_level(logging.INFO, "exporter")
    away.get("/metrics")
    server.kill()

    for _ in range(3):
        away.get("/metrics")
        away.post([rating()])
    server.start()
    away.get("/metrics")
    away.post([rating()])

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"the store cannot be used: {refused(server, 'read what changed').removesuffix('.')}"),
        ("INFO", "the store can be used again"),
    ]
