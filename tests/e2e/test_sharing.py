"""Several processes over one store: they agree without talking to each other."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from exporter import FeedbackLoop, names
from tests.support.exporter_process import ExporterProcess, sqlite_url

WORKFLOWS = ("code-review", "a:b", "a|b", 'quote"d', "back\\slash", "*", "日本語")
TIERS = ("cheap", "capable", "premium")
OF_THE_PROCESS = ("llm_feedback_exporter_", "process_", "python_")


def _entries(count: int) -> list[dict[str, Any]]:
    chance = random.Random(count)
    now = time.time()
    return [
        {
            "workflow_name": chance.choice(WORKFLOWS),
            "stage_name": chance.choice(WORKFLOWS),
            "tier": chance.choice(TIERS),
            "quality_score": chance.random(),
            "timestamp": now - chance.uniform(0, 6 * 24 * 3600),
        }
        for _ in range(count)
    ]


def _shown(exporter: ExporterProcess) -> list[str]:
    """All lines of /metrics that are about ratings, not about the process."""
    with exporter.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return [
        line for line in lines if not line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(OF_THE_PROCESS)
    ]


@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
def test_two_exporters_over_one_store_show_the_same(store_url: str, tmp_path: Path) -> None:
    """What either takes both show at once, to the last digit; and so does one that is started afterwards."""
    with (
        ExporterProcess(tmp_path / "one", store_url) as one,
        ExporterProcess(tmp_path / "two", store_url) as two,
        one.client() as to_one,
        two.client() as to_two,
    ):
        for number in range(200, 205):
            assert to_one.post(_entries(number)).status == 202
            assert to_two.post(_entries(number + 100)).status == 202
            shown = _shown(one)
            assert shown == _shown(two)
        with ExporterProcess(tmp_path / "three", store_url) as three:
            assert _shown(three) == shown

    assert sum(line.startswith(f"{names.WINDOW_SAMPLES.name}{{") for line in shown) > 100


def test_a_loop_in_an_application_agrees_with_the_server(tmp_path: Path) -> None:
    """A FeedbackLoop on the exporter's SQLite file reads what was posted, and what it records is on /metrics."""
    url = sqlite_url(tmp_path)
    with ExporterProcess(tmp_path, url) as exporter, exporter.client() as client, FeedbackLoop(url) as loop:
        assert client.post([_rating(score) for score in (0.2, 0.4)]).status == 202
        recorded = loop.record_feedback("w", "s", "cheap", 0.9, {"tokens": 7})
        served = client.get("/api/v1/stats", {"workflow_name": "w", "stage_name": "s"}).json
        history = client.get("/api/v1/history", {"workflow_name": "w", "stage_name": "s"}).json
        own = loop.get_quality_stats("w", "s")
        entries = loop.get_feedback_history("w", "s")
        cleared = loop.clear_feedback("w")
        after = client.get("/api/v1/stats", {"workflow_name": "w", "stage_name": "s"}).json

    assert own is not None
    assert served["sample_count"] == own.sample_count == 3
    assert served["avg_quality"] == own.avg_quality == 0.5
    assert [entry["feedback_id"] for entry in history] == [entry.feedback_id for entry in entries]
    assert (history[0]["feedback_id"], history[0]["metadata"]) == (recorded, {"tokens": 7})
    assert (cleared, after) == (3, None)


def _rating(score: float) -> dict[str, Any]:
    return {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": score}
