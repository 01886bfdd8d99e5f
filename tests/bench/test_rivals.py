"""A rival of the benchmark does what the exporter does, no less; one that cannot be run is named."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from exporter.rules import Rules
from exporter.store import open_store
from exporter.view import View
from tests.bench import bare_redis, original, streams
from tests.bench.bare_sqlite import BareSQLite, RowsDiffer
from tests.bench.original import NotInstalled, Original
from tests.bench.run import main

STAND_IN = """
class FeedbackLoop:
    def __init__(self): self.held = []
    def record_feedback(self, *rating): self.held.append(rating)
    def get_quality_stats(self, *key): return sum(rating[3] for rating in self.held)
    def recommend_tier(self, *key): return sorted(self.held)
"""


class TestBareLoops:
    """What writes the same without the exporter."""

    def test_sqlite_is_left_with_the_same_rows(self, tmp_path: Path) -> None:
        """The bare loop leaves the very rows that the store leaves, and a difference is noticed."""
        loop = BareSQLite(tmp_path, 3, 4)
        loop.prepare(streams.batches(list(streams.keys(3)), 6, 4, streams.NOW), streams.NOW)
        with loop.opened() as db:
            assert loop.write(db, 3) > 0

            with pytest.raises(RowsDiffer, match=r"^the bare loop and the store left different rows in series$"):
                loop.check_equal()
            loop.write(db, 1)
        loop.check_equal()

    def test_redis_is_left_with_the_same_records(self, redis_url: str) -> None:
        """The bare loop leaves the records, and the logs, that the store leaves."""
        server = redis_url.rpartition("/")[0]
        batches = streams.batches(list(streams.keys(6)), 12, 3, streams.NOW)
        calls = bare_redis.prepared(server, batches, streams.NOW)
        with closing(redis.Redis.from_url(f"{server}/{bare_redis.BARE}", protocol=2)) as client:
            assert bare_redis.send(client, calls) > 0
        with closing(open_store(f"{server}/0")) as store, closing(open_store(f"{server}/{bare_redis.BARE}")) as bare:
            for batch in batches:
                store.append(batch, streams.NOW)
            for key in streams.keys(6):
                assert store.record(key) is not None
                assert bare.record(key) == store.record(key)
                assert bare.history([key], 100) == store.history([key], 100)


def test_a_file_that_is_populated_takes_ratings_as_any_other(tmp_path: Path) -> None:
    """A populated file holds the series asked for, with full records, and what is appended is folded into them."""
    with closing(open_store(streams.populate(tmp_path / "bench.db", 6, 200))) as store:
        streams.touch(store, 6, 1)
        view = View(store, Rules())
        view.refresh(streams.NOW + 1)

        assert [stage.key for stage in view.stages] == [("workflow-0", "stage-0"), ("workflow-0", "stage-1")]
        for stage in view.stages:
            for series in stage.series.values():
                assert len(series.record.hours) // 32 == 169
                assert series.stats.sample_count == 201


class TestOriginal:
    """The original FeedbackLoop; a stand-in here, which needs no environment of its own."""

    def test_is_measured_again_and_again(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Every measurement is of each size, and one that holds more takes longer."""
        package = tmp_path / "attune"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "telemetry.py").write_text(STAND_IN)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

        with Original(Path(sys.executable), (10, 20_000)) as loop:
            costs = [loop.measure() for _ in range(3)]

        assert [list(cost) for cost in costs] == [[10, 20_000]] * 3
        assert all(cost[20_000] > cost[10] > 0 for cost in costs)

    def test_that_does_not_run_is_said(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Where the package cannot be imported, the words say what to delete, and no process is left."""
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

        with (
            pytest.raises(
                NotInstalled, match=r"original_program.py 10 ended without an answer; delete its environment$"
            ),
            Original(Path(sys.executable), (10,)),
        ):
            pass

    def test_that_cannot_be_installed_is_said(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Where the installation fails, the words say which package, why, and what to do."""
        monkeypatch.setattr(original, "PACKAGE", "no package == at all")

        with pytest.raises(
            NotInstalled,
            match=r"(?s)^the bench runs no package == at all from PyPI, which cannot be installed: .+; "
            r"see that PyPI can be reached, or leave it out with --without-original$",
        ):
            original.installed(tmp_path / "environment")


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a program that is run for real nothing is measured, and the package that brings it is named."""
    monkeypatch.setenv("PATH", str(tmp_path))

    done = CliRunner().invoke(main, ["--quick", "--output", str(tmp_path)])

    assert done.exit_code == 1
    assert done.output == (
        "Error: the benchmark runs redis-server prometheus-pushgateway, not installed here: "
        "apt-get install --no-install-recommends redis-server prometheus-pushgateway\n"
    )


def test_a_section_that_is_unknown_is_refused() -> None:
    """A text that fits no section is refused, and all sections are named."""
    done = CliRunner().invoke(main, ["--only", "nothing like it"])

    assert done.exit_code == 2
    assert "Error: --only 'nothing like it' fits no section; they are Ingest, SQLite; Ingest, Redis; " in done.output
