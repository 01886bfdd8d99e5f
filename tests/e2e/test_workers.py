"""Several worker processes behind one port: whichever answers, it speaks for all."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import names
from tests.support.exporter_process import ExporterProcess
from tests.support.http import Client, Unanswered, ask
from tests.support.samples import sample
from tests.support.waiting import eventually

WORKERS = 4
WRITERS = 3
STAGES = 5
SCRAPES = 40

Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(params=["sqlite", "redis"])
def exporter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExporterProcess]:
    """Return an exporter with four workers over a store of each kind that processes can share."""
    url = f"sqlite:///{tmp_path / 'feedback.db'}" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    with ExporterProcess(tmp_path / "exporter", url, "--workers", f"{WORKERS}") as running:
        yield running


def rating(number: int) -> dict[str, object]:
    """Return a rating with an id of its own."""
    stage = f"stage {number % STAGES}"
    return {
        "workflow_name": "w",
        "stage_name": stage,
        "tier": "cheap",
        "quality_score": 0.5,
        "feedback_id": f"{number}",
    }


class Writers:
    """Clients that post one rating after the other, and count what was acknowledged."""

    def __init__(self, port: int) -> None:
        """Post to ``port`` from as many threads as there are writers."""
        self.acknowledged = 0
        self._port = port
        self._lock = threading.Lock()
        self._numbers = iter(range(1_000_000))
        self._enough = threading.Event()

    def __enter__(self) -> Self:
        """Begin."""
        self._pool = ThreadPoolExecutor(WRITERS)
        self._done = [self._pool.submit(self._post_all) for _ in range(WRITERS)]
        return self

    def __exit__(self, *_: object) -> None:
        """End, and raise what went wrong."""
        self._enough.set()
        self._pool.shutdown()
        for done in self._done:
            done.result()

    def _post_all(self) -> None:
        while not self._enough.is_set():
            with self._lock:
                number = next(self._numbers)
            # A worker that is killed answers nothing; the id makes the retry count once.
            eventually(lambda number=number: self._post(number), "an answer")  # type: ignore[misc]  # bound per number
            with self._lock:
                self.acknowledged += 1

    def _post(self, number: int) -> bool:
        try:
            with Client(self._port) as client:
                return client.post(rating(number)).status == 202
        except Unanswered:
            return False


def scrape(port: int) -> tuple[dict[Sample, float], dict[str, str]]:
    """Every sample of one scrape on a connection of its own, so that any worker may answer; types by family."""
    text = eventually(lambda: _metrics(port), "a scrape")
    samples, types = {}, {}
    for family in text_string_to_metric_families(text):
        types[family.name] = family.type
        for each in family.samples:
            samples[each.name, tuple(sorted(each.labels.items()))] = each.value
    return samples, types


def _metrics(port: int) -> str:
    try:
        return ask(port, "GET", "/metrics").text
    except Unanswered:
        return ""


def is_counted(sample: Sample, types: dict[str, str]) -> bool:
    """Tell whether a sample may never go back: a counter's, or part of a histogram."""
    name = sample[0]
    parts = {name.removesuffix(suffix) for suffix in ("_total", "_bucket", "_sum", "_count")}
    return any(types.get(part) in {"counter", "histogram"} for part in parts)


def test_no_scrape_goes_back_or_lacks_what_was_acknowledged(exporter: ExporterProcess) -> None:
    """Under writes, and while a worker is killed and replaced, counters only grow and no acknowledged rating lacks."""
    highest: dict[Sample, float] = {}
    with Writers(exporter.port) as writers:
        eventually(lambda: writers.acknowledged > 2 * STAGES, "the first ratings")
        eventually(lambda: len(exporter.children()) == WORKERS, "all workers")
        for number in range(SCRAPES):
            if number == SCRAPES // 2:
                victim = min(exporter.children())
                os.kill(victim, signal.SIGKILL)
            acknowledged = writers.acknowledged
            samples, types = scrape(exporter.port)
            shown = sum(value for (name, _), value in samples.items() if name == names.WINDOW_SAMPLES.name)

            assert shown >= acknowledged
            for each, value in samples.items():
                if is_counted(each, types):
                    assert value >= highest.get(each, 0), each
                    highest[each] = value
            assert highest.keys() <= samples.keys()
        eventually(lambda: len(exporter.children()) == WORKERS, "the killed worker's place being taken")

    assert victim not in exporter.children()
    samples, _ = scrape(exporter.port)
    accepted = samples[names.RATINGS_ACCEPTED.name, ()]
    duplicates = samples[names.RATINGS_DUPLICATE.name, ()]
    stored = sum(value for (name, _), value in samples.items() if name == names.WINDOW_SAMPLES.name)
    assert stored == writers.acknowledged
    # What a worker had stored but not yet counted when it was killed is all that may lack.
    assert writers.acknowledged - WRITERS <= accepted <= writers.acknowledged
    assert duplicates <= WRITERS


@pytest.mark.parametrize("how", ["signal", "request"])
def test_a_reload_reaches_all(tmp_path: Path, how: str) -> None:
    """After SIGHUP, or after one POST to /-/reload, every worker shows the new configuration."""
    file = tmp_path / "exporter.yml"
    file.write_text("series_limit: 11\n")
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    with ExporterProcess(tmp_path, url, "--config", f"{file}", "--workers", f"{WORKERS}") as exporter:
        assert limits(exporter.port) == {11}
        file.write_text("series_limit: 12\n")
        if how == "signal":
            exporter.reload()
        else:
            assert ask(exporter.port, "POST", "/-/reload").status == 200
        eventually(lambda: limits(exporter.port) == {12}, "all workers showing the new limit")

        file.write_text("series_limit: none\n")
        exporter.reload()
        eventually(
            lambda: sample(ask(exporter.port, "GET", "/metrics").text, names.RELOAD_SUCCESSFUL.name) == 0,
            "the failure",
        )
        os.kill(min(exporter.children()), signal.SIGKILL)
        eventually(lambda: len(exporter.children()) == WORKERS, "the killed worker's place being taken")

        assert limits(exporter.port) == {12}


def limits(port: int) -> set[float]:
    """Limits that many scrapes show, each on a connection of its own."""
    return {sample(_metrics(port), names.SERIES_LIMIT.name) for _ in range(8 * WORKERS)}


def test_nothing_is_left(tmp_path: Path) -> None:
    """The files of the counters are gone when the exporter ends, and no worker outlives it."""
    variables = {"TMPDIR": f"{tmp_path}"}
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    with ExporterProcess(tmp_path / "run", url, "--workers", "2", environment=variables) as exporter:
        eventually(lambda: len(list(tmp_path.glob("llm-feedback-exporter-*/*.db"))) == 4, "two files a worker")
        workers = exporter.children()
        assert exporter.stop() == 0

    assert list(tmp_path.glob("llm-feedback-exporter-*")) == []
    assert [worker for worker in workers if Path(f"/proc/{worker}").exists()] == []
