"""A running exporter takes a new configuration whole, or keeps the old one, and fails no request meanwhile."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter import names
from tests.support.exporter_process import ExporterProcess, sqlite_url
from tests.support.http import Client, ask, status
from tests.support.samples import sample
from tests.support.waiting import eventually

DAY = 24 * 3600
GOOD = "rules: {quality_threshold: 0.6}\n"
BROKEN = "rules: {quality_threshold: 1.6}\n"
LOADERS = 3


class Reloaded:
    """An exporter, the configuration file that it reads, and one stage of it."""

    def __init__(self, exporter: ExporterProcess, file: Path, client: Client) -> None:
        """Keep the parts."""
        self.exporter = exporter
        self.client = client
        self._file = file

    def configure(self, text: str) -> None:
        """Write the configuration file anew."""
        self._file.write_text(text)

    def hang_up(self, *, successful: bool) -> None:
        """Send SIGHUP, and return when the exporter says how that went."""
        before = self.telemetry(names.RELOAD_SUCCESS_TIMESTAMP)
        self.exporter.reload()
        eventually(
            lambda: (
                self.telemetry(names.RELOAD_SUCCESS_TIMESTAMP) > before
                if successful
                else self.telemetry(names.RELOAD_SUCCESSFUL) == 0
            ),
            "the reload",
        )

    def telemetry(self, metric: names.Metric) -> float:
        """A sample of the exporter's own, without labels."""
        return sample(self.client.get("/metrics").text, metric.name)

    def of_stage(self, metric: names.Metric) -> float:
        """A sample of the stage."""
        return sample(self.client.get("/metrics").text, metric.name, workflow="w", stage="s")

    def samples(self) -> int:
        """How many ratings of the stage are in the window."""
        stats = ask(self.exporter.port, "GET", "/api/v1/stats?workflow_name=w&stage_name=s").json
        return stats["sample_count"] if stats else 0


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[Reloaded]:
    """An exporter over SQLite that reads an empty configuration file, with one rating of one stage."""
    file = tmp_path / "exporter.yml"
    file.write_text("")
    with (
        ExporterProcess(tmp_path, sqlite_url(tmp_path), "--config", str(file)) as exporter,
        exporter.client() as client,
    ):
        assert client.post(_rating()).status == 202
        yield Reloaded(exporter, file, client)


def _rating(age: float = 0, tier: str = "cheap") -> dict[str, Any]:
    return {
        "workflow_name": "w",
        "stage_name": "s",
        "tier": tier,
        "quality_score": 0.5,
        "timestamp": time.time() - age,
    }


def test_a_broken_file_under_load_fails_no_request_and_changes_nothing(reloaded: Reloaded) -> None:
    """SIGHUP with a broken file keeps the rules and is published as failed; a good one then is swapped in."""
    with _load(reloaded.exporter.port) as statuses:
        reloaded.configure(BROKEN)
        reloaded.hang_up(successful=False)
        after_broken = reloaded.of_stage(names.QUALITY_THRESHOLD)
        reloaded.configure(GOOD)
        reloaded.hang_up(successful=True)
        after_good = reloaded.of_stage(names.QUALITY_THRESHOLD)
        assert reloaded.telemetry(names.RELOAD_SUCCESSFUL) == 1

    assert (after_broken, after_good) == (0.7, 0.6)
    assert set(statuses) == {("POST", 202), ("GET", 200)}
    assert "rules.quality_threshold: 1.6 is not a number from 0 to 1" in reloaded.exporter.output


@contextmanager
def _load(port: int) -> Iterator[Counter[tuple[str, int]]]:
    """Post and scrape from several clients meanwhile; how often each method was answered with each status."""
    statuses: Counter[tuple[str, int]] = Counter()
    enough = threading.Event()
    with ThreadPoolExecutor(LOADERS) as pool:
        running: list[Future[Counter[tuple[str, int]]]] = [pool.submit(_ask, port, enough) for _ in range(LOADERS)]
        try:
            yield statuses
        finally:
            enough.set()
        for run in running:
            statuses.update(run.result())


def _ask(port: int, enough: threading.Event) -> Counter[tuple[str, int]]:
    statuses: Counter[tuple[str, int]] = Counter()
    with Client(port) as client:
        while not enough.is_set():
            statuses["POST", client.post([_rating() for _ in range(10)]).status] += 1
            statuses["GET", client.get("/metrics").status] += 1
    return statuses


def test_many_hangups_at_once_are_survived(reloaded: Reloaded) -> None:
    """SIGHUPs that come before the last was dealt with neither block nor end it."""
    for _ in range(100):
        reloaded.exporter.reload()
    reloaded.configure(GOOD)
    reloaded.hang_up(successful=True)

    assert reloaded.of_stage(names.QUALITY_THRESHOLD) == 0.6


def test_a_hangup_during_the_start_does_not_end_it(tmp_path: Path) -> None:
    """From the line that says where it listens on, SIGHUP is safe: before the worker can reload it waits."""
    exporter = ExporterProcess(tmp_path, sqlite_url(tmp_path))
    exporter.launch()
    try:
        eventually(lambda: "listening on" in exporter.output, "the start")
        while status(exporter.port, "/-/ready") != 200:
            exporter.reload()
            assert exporter.process.poll() is None, exporter.output
        # One that comes before there is a worker needs no reload: the worker reads the file as it is by then.
        exporter.reload()
        eventually(lambda: "configuration reloaded" in exporter.output, "the reload")
    finally:
        exporter.kill()


def test_post_reload_says_what_is_wrong_and_swaps_what_is_right(reloaded: Reloaded) -> None:
    """POST /-/reload answers 500 with every problem of a broken file, and 200 when the new rules are in force."""
    reloaded.configure(BROKEN)
    refused = ask(reloaded.exporter.port, "POST", "/-/reload")
    failed = reloaded.telemetry(names.RELOAD_SUCCESSFUL)
    reloaded.configure(GOOD)
    taken = ask(reloaded.exporter.port, "POST", "/-/reload")

    assert (refused.status, refused.headers["content-type"]) == (500, "application/problem+json")
    (problem,) = refused.json["problems"]
    assert problem.endswith("exporter.yml: rules.quality_threshold: 1.6 is not a number from 0 to 1")
    assert (failed, taken.status, taken.text) == (0, 200, "The configuration was reloaded.\n")
    assert reloaded.telemetry(names.RELOAD_SUCCESSFUL) == 1
    assert reloaded.of_stage(names.QUALITY_THRESHOLD) == 0.6


def test_a_window_can_be_shortened_and_lengthened_again(reloaded: Reloaded) -> None:
    """A shorter window hides old ratings, and they are there again when it is lengthened: none was deleted."""
    assert reloaded.client.post(_rating(3 * DAY)).status == 202
    counts = [reloaded.samples()]
    for days in (1, 7):
        reloaded.configure(f"rules: {{window_seconds: {days * DAY}}}\n")
        reloaded.hang_up(successful=True)
        counts.append(reloaded.samples())

    assert counts == [2, 1, 2]


def test_a_longer_window_takes_older_ratings_and_keeps_them(reloaded: Reloaded) -> None:
    """A window beyond the retention raises it: what was too old is taken, and survives a restart."""
    refused = reloaded.client.post(_rating(10 * DAY))
    reloaded.configure(f"rules: {{window_seconds: {14 * DAY}}}\n")
    reloaded.hang_up(successful=True)
    taken = reloaded.client.post(_rating(10 * DAY))
    reloaded.exporter.restart()

    assert (refused.status, refused.json["rejected"][0]["field"]) == (400, "timestamp")
    assert taken.status == 202
    assert reloaded.samples() == 2


def test_the_ladder_can_be_changed(reloaded: Reloaded) -> None:
    """A tier that is added takes ratings, one that is removed is no longer shown, and comes back with its ratings."""
    refused = reloaded.client.post(_rating(tier="mid"))
    reloaded.configure("tiers: [mid, premium]\n")
    reloaded.hang_up(successful=True)
    taken = reloaded.client.post(_rating(tier="mid"))
    without_cheap = reloaded.client.get("/metrics").text
    reloaded.configure("tiers: [cheap, mid, premium]\n")
    reloaded.hang_up(successful=True)
    with_all = reloaded.client.get("/metrics").text

    assert (refused.status, taken.status) == (400, 202)
    assert 'tier="cheap"' not in without_cheap
    assert sample(without_cheap, names.TIER_RANK.name, tier="mid") == 0
    assert sample(with_all, names.TIER_RANK.name, tier="mid") == 1
    assert sample(with_all, names.WINDOW_SAMPLES.name, workflow="w", stage="s", tier="cheap") == 1
    assert sample(with_all, names.WINDOW_SAMPLES.name, workflow="w", stage="s", tier="mid") == 1


def test_what_only_a_restart_changes_is_said(tmp_path: Path) -> None:
    """A listen address or store that changes in the file is left as it is, with a line in the log that says so."""
    file = tmp_path / "other.yml"
    file.write_text("store: sqlite:///one.db\n")
    with ExporterProcess(tmp_path / "other", None, "--config", str(file)) as exporter, exporter.client() as client:
        file.write_text("store: sqlite:///two.db\n" + GOOD)
        other = Reloaded(exporter, file, client)
        other.hang_up(successful=True)

        assert "configuration reloaded, but store changes only with a restart" in exporter.output
        assert client.post(_rating()).status == 202
        assert other.of_stage(names.QUALITY_THRESHOLD) == 0.6
        assert not (tmp_path / "other" / "two.db").exists()
