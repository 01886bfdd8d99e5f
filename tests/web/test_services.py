"""What one process's parts do together: reloading whole or not at all, and the access log."""

import json
import logging
from collections.abc import Callable
from threading import Thread

import pytest

from exporter import memory
from exporter.config import Config
from exporter.errors import ConfigError
from exporter.rules import StageRules, WorkflowOverrides
from exporter.store.base import Store
from tests.web.edge import NOW, Edge, problem, rating

STAGE = {"workflow_name": "w", "stage_name": "s"}
SUCCESSFUL = "llm_feedback_exporter_config_last_reload_successful"
SUCCESS_TIME = "llm_feedback_exporter_config_last_reload_success_timestamp_seconds"
LIMIT = "llm_feedback_exporter_series_limit"
THRESHOLD = "llm_feedback_quality_threshold"


class Source:
    """Where the configuration comes from: what it returns or raises can be changed."""

    def __init__(self) -> None:
        """Begin with the defaults, in memory."""
        self.config = Config(store="sqlite://")
        self.problems: list[str] = []

    def __call__(self) -> Config:
        """Load it."""
        if self.problems:
            raise ConfigError(self.problems)
        return self.config


@pytest.fixture
def source() -> Source:
    """Return a source that gives the defaults."""
    return Source()


@pytest.fixture
def edge(opened: Callable[..., Store], source: Source, caplog: pytest.LogCaptureFixture) -> Edge:
    """Return an exporter that reloads from ``source``, its log listened to."""
    caplog.set_level(logging.INFO)
    return Edge(opened("sqlite://"), source.config, source)


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text of every line of the log."""
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("exporter")]


def test_a_reload_is_in_force_at_once(edge: Edge, source: Source, caplog: pytest.LogCaptureFixture) -> None:
    """Rules, ladder and series limit are swapped together; ratings that are there are judged anew."""
    edge.post([rating(quality_score=0.6)] * 20)
    assert edge.api("recommendation", **STAGE)["recommended_tier"] == "capable"
    assert edge.samples(SUCCESSFUL, SUCCESS_TIME) == {(SUCCESSFUL,): 1, (SUCCESS_TIME,): NOW / 1e6}
    edge.clock.advance(60)
    source.config = Config(
        store="sqlite://",
        series_limit=1,
        tiers=("cheap", "better"),
        workflows={"w": WorkflowOverrides(quality_threshold=0.65)},
    )

    edge.services.reload()

    assert edge.api("recommendation", **STAGE)["reason"] == (
        "Move up to better: cheap averages 0.6 over 20 ratings, below 0.65."
    )
    assert edge.samples(SUCCESSFUL, SUCCESS_TIME, LIMIT, THRESHOLD) == {
        (SUCCESSFUL,): 1,
        (SUCCESS_TIME,): NOW / 1e6 + 60,
        (LIMIT,): 1,
        (THRESHOLD, "w", "s"): 0.65,
    }
    assert edge.post(rating(stage_name="t")).get_json()["rejected"][0]["reason"] == "series_limit"
    assert edge.post(rating(tier="capable")).get_json()["rejected"][0]["reason"] == "'capable' is none of cheap, better"
    assert logged(caplog) == [
        ("INFO", "configuration reloaded"),
        ("WARNING", "series_limit 1 is reached: a rating that would begin 'w/t/cheap' was rejected; raise it"),
    ]


def test_a_reload_that_fails_changes_nothing(edge: Edge, source: Source, caplog: pytest.LogCaptureFixture) -> None:
    """The old configuration stays whole; the log says why, in one entry, and a metric says that it failed."""
    edge.post([rating(quality_score=0.6)] * 20)
    before = edge.api("recommendation", **STAGE)
    edge.clock.advance(60)
    source.problems = ["a.yml: x: unknown key", "a.yml: y: unknown key"]

    with pytest.raises(ConfigError, match=r"^a\.yml: x: unknown key\na\.yml: y: unknown key$"):
        edge.services.reload()

    assert edge.api("recommendation", **STAGE) == before
    assert edge.samples(SUCCESSFUL, SUCCESS_TIME) == {(SUCCESSFUL,): 0, (SUCCESS_TIME,): NOW / 1e6}
    said = "configuration not reloaded, the old one stays: a.yml: x: unknown key\na.yml: y: unknown key"
    assert logged(caplog) == [("ERROR", said)]
    source.problems = []
    edge.services.reload()
    assert edge.samples(SUCCESSFUL, SUCCESS_TIME) == {(SUCCESSFUL,): 1, (SUCCESS_TIME,): NOW / 1e6 + 60}


def test_what_only_a_restart_changes_is_said(edge: Edge, source: Source, caplog: pytest.LogCaptureFixture) -> None:
    """Store and address stay as they are, and are shown as they are; every reload says so again."""
    source.config = Config(store="sqlite:///other.db", listen="0.0.0.0:1", access_log=True)

    edge.services.reload()
    edge.services.reload()

    warnings = [
        ("WARNING", "configuration reloaded, but listen changes only with a restart"),
        ("WARNING", "configuration reloaded, but store changes only with a restart"),
        ("INFO", "configuration reloaded"),
    ]
    assert logged(caplog) == warnings * 2
    assert edge.services.config == Config(store="sqlite://", access_log=True)
    assert "<code>sqlite://</code>" in edge.get("/").text


def test_a_longer_window_is_retained_from_then_on(edge: Edge, source: Source) -> None:
    """A reload raises the store's retention, so what the new window accepts is kept for as long."""
    old = rating(timestamp=NOW // 1_000_000 - 10 * 86_400, feedback_id="old")
    assert edge.post(old).status_code == 400
    source.config = Config(store="sqlite://", rules=StageRules(window_seconds=14 * 86_400))

    edge.services.reload()

    assert edge.post(old).status_code == 202
    edge.clock.advance(3 * 86_400)
    edge.post(rating())
    assert edge.api("stats", **STAGE)["sample_count"] == 2


def test_reloads_and_requests_at_once(edge: Edge, source: Source) -> None:
    """While one thread reloads, no request of another fails: each is judged by the old rules or by the new."""
    ladders = [("cheap", "capable", "premium"), ("cheap", "better")]
    edge.post([rating(quality_score=0.6)] * 20)
    failed: list[str] = []

    def ask() -> None:
        for _ in range(100):
            for path in ("/api/v1/recommendation", "/metrics", "/api/v1/stats"):
                parameters = {} if path == "/metrics" else STAGE
                answer = edge.app.test_client().get(path, query_string=parameters)
                failed.extend([answer.text] if answer.status_code != 200 else [])

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ladders.reverse()
        source.config = Config(store="sqlite://", tiers=ladders[0])
        edge.services.reload()
    for thread in threads:
        thread.join()

    assert failed == []


def test_memory_is_given_back_when_series_are_gone(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a scrape that shows fewer series than the last one, and only then."""
    given: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(edge.services.view.series_count))
    edge.post([rating(tier="cheap"), rating(tier="premium"), rating(stage_name="other")])
    for _ in range(2):
        edge.get("/metrics")
    assert given == []
    assert edge.clear(workflow_name="w", stage_name="other").status_code == 200
    for coding in ("gzip", "identity"):
        edge.get("/metrics", Accept_Encoding=coding)
    assert given == [2]
    edge.clock.advance(8 * 24 * 3600)
    edge.get("/metrics")
    assert given == [2, 0]


def test_the_access_log_is_off_by_default(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """Requests leave no line."""
    edge.get("/metrics")

    assert logged(caplog) == []


def test_the_access_log_has_a_json_object_for_each_request(
    edge: Edge, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, path, status, seconds and remote address; no query, which may hold names, and never a second line."""
    source.config = Config(store="sqlite://", access_log=True)
    edge.services.reload()
    caplog.clear()

    edge.get("/api/v1/stats", STAGE)
    problem(edge.get("/a%0Ab"), 404)
    edge.client.get("/-/healthy", environ_overrides={"REMOTE_ADDR": "10.0.0.1"})

    lines = [json.loads(text) for _, text in logged(caplog)]
    assert all(line.pop("seconds") >= 0 for line in lines)
    assert lines == [
        {"method": "GET", "path": "/api/v1/stats", "status": 200, "remote": "127.0.0.1"},
        {"method": "GET", "path": "/a\nb", "status": 404, "remote": "127.0.0.1"},
        {"method": "GET", "path": "/-/healthy", "status": 200, "remote": "10.0.0.1"},
    ]
    assert all("\n" not in text for _, text in logged(caplog))
