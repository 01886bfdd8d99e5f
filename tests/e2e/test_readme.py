"""What the README shows is what happens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.exporter_process import ExporterProcess, sqlite_url

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def block(begin: str, language: str = "") -> str:
    """First fenced block of ``language`` behind the words ``begin``."""
    match = re.search(rf"```{language}\n(.*?)```", README[README.index(begin) :], re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterProcess]:
    """An exporter over SQLite that was sent the README's ratings as often as it says."""
    ratings = re.search(r"-d '\n(.*?)'", block("send this four times", "sh"), re.DOTALL)
    assert ratings is not None
    with ExporterProcess(tmp_path, sqlite_url(tmp_path)) as process, process.client() as client:
        for _ in range(4):
            assert client.post(json.loads(ratings[1])).json["accepted"] == 4
        yield process


def test_the_lines_of_metrics(exporter: ExporterProcess) -> None:
    """After the README's ratings, /metrics holds every line that it shows."""
    shown = block("some of the lines").splitlines()

    with exporter.client() as client:
        served = client.get("/metrics").text.splitlines()
    assert len(shown) >= 10
    assert set(shown) <= set(served)


def test_the_recommendation(exporter: ExporterProcess) -> None:
    """The README's curl line gives the recommendation that it shows."""
    path = re.search(r"10470(/api/v1/recommendation\S+)'", README)
    shown = block("With curl", "json")
    assert path is not None

    with exporter.client() as client:
        served = client.get(path[1]).json
    for key in ("current_tier", "recommended_tier", "reason"):
        assert f'"{key}":"{served[key]}"' in shown
    assert f'"confidence":{served["confidence"]}' in shown


def test_the_router_in_python(exporter: ExporterProcess) -> None:
    """The README's router, on the store of the exporter, follows the recommendation and rates its answer."""
    calls: list[str] = []

    def call_model(tier: str, question: str) -> str:
        calls.append(tier)
        return question

    names: dict[str, object] = {"call_model": call_model, "rate": lambda _text: 1.0}
    snippet = block("In Python", "python").replace("redis://localhost", str(exporter.store))
    exec(compile(snippet, "README.md", "exec"), names)  # noqa: S102 - the README's own code is what is tested

    names["answer"]("?")  # type: ignore[operator]  # a function of the snippet
    names["loop"].close()  # type: ignore[attr-defined]  # a FeedbackLoop of the snippet
    assert calls == ["capable"]
    with exporter.client() as client:
        history = client.get("/api/v1/history", {"workflow_name": "code-review", "stage_name": "analysis"}).json
    assert (history[0]["tier"], history[0]["metadata"]) == ("capable", {"characters": 1})


def test_the_scrape_job() -> None:
    """The README's scrape job is the one that config/prometheus.yml ships, with the targets that ship with it."""
    shipped = yaml.safe_load((ROOT / "config/prometheus.yml").read_text("utf-8"))
    shown = yaml.safe_load(block("## Scrape it", "yaml"))

    targets = yaml.safe_load((ROOT / "config/targets/exporters.yml").read_text("utf-8"))
    (job,) = shipped["scrape_configs"]
    assert job.pop("file_sd_configs") == [{"files": ["targets/exporters.yml"]}]
    assert shown["scrape_configs"] == [{**job, "static_configs": targets}]
