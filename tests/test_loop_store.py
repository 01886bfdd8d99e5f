"""FeedbackLoop and its store: away, refusing, full, shared; and where store and rules come from."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.domain import Feedback, ModelTier
from exporter.errors import ConfigError, InvalidFeedback, StoreRefused, StoreUnavailable
from exporter.loop import FeedbackLoop
from exporter.policy import TierRecommendation
from exporter.rules import WEEK, Rules, StageRules
from exporter.store import SERIES_LIMIT, open_store
from exporter.store.base import Store, Verdict
from exporter.store.sqlite import SQLiteStore
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no store and no configuration but their own."""
    monkeypatch.delenv("FEEDBACK_EXPORTER_STORE", raising=False)
    monkeypatch.delenv("FEEDBACK_EXPORTER_CONFIG", raising=False)


@pytest.fixture
def store() -> Iterator[Store]:
    """Return an empty store in memory."""
    store = open_store("sqlite://")
    yield store
    store.close()


def away(**options: Any) -> FeedbackLoop:  # noqa: ANN401 - any option of the loop
    """Return a loop whose store cannot be reached."""
    return FeedbackLoop(f"redis://user:secret@127.0.0.1:{free_port()}", Rules(), **options)


OPERATIONS: tuple[tuple[str, Callable[[FeedbackLoop], object], object], ...] = (
    ("record", lambda loop: loop.record_feedback("w", "s", "cheap", 0.5), ""),
    ("stats", lambda loop: loop.get_quality_stats("w", "s"), None),
    ("history", lambda loop: loop.get_feedback_history("w", "s"), []),
    ("underperforming", lambda loop: loop.get_underperforming_stages("w"), []),
    ("clear", lambda loop: loop.clear_feedback("w"), 0),
)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class TestOutage:
    """The application goes on while the store is away."""

    @pytest.mark.parametrize(
        ("operation", "answer"), [row[1:] for row in OPERATIONS], ids=[row[0] for row in OPERATIONS]
    )
    def test_answers(self, operation: Callable[[FeedbackLoop], object], answer: object) -> None:
        """Every operation answers as if nothing had been recorded."""
        with away() as loop:
            assert operation(loop) == answer

    @pytest.mark.parametrize(
        ("current", "tier"), [(None, "capable"), ("premium", "premium"), (ModelTier.CHEAP, "cheap")]
    )
    def test_recommendation(self, current: str | None, tier: str) -> None:
        """The tier in use, else the configured start tier, is kept with confidence 0, and the reason says why."""
        rules = Rules(defaults=StageRules(start_tier="capable"))
        with FeedbackLoop(f"redis://127.0.0.1:{free_port()}", rules) as loop:
            assert loop.recommend_tier("w", "s", current) == TierRecommendation(
                current_tier=tier,
                recommended_tier=tier,
                confidence=0.0,
                reason=f"Stay on {tier}: the store could not be read.",
                stats={},
            )

    def test_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        """An outage is warned of once, however often the store is asked, and without its password."""
        with away() as loop:
            for _ in range(2):
                for _, operation, _ in OPERATIONS:
                    operation(loop)

        (warning,) = warnings_of(caplog)
        assert warning.startswith("Feedback is neither recorded nor read until the store can be used again: ")
        assert "secret" not in warning

    @pytest.mark.parametrize("operation", [row[1] for row in OPERATIONS], ids=[row[0] for row in OPERATIONS])
    def test_strict(self, operation: Callable[[FeedbackLoop], object], caplog: pytest.LogCaptureFixture) -> None:
        """A strict loop raises what the store raised, and warns of nothing."""
        with away(strict=True) as loop, pytest.raises(StoreUnavailable) as caught:
            operation(loop)

        assert "secret" not in str(caught.value)
        assert warnings_of(caplog) == []

    def test_refusing_store(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A store that goes on refusing is an outage too; strict raises it."""
        url = f"sqlite:///{tmp_path}"  # a directory, not a file

        with FeedbackLoop(url, Rules()) as loop:
            assert loop.record_feedback("w", "s", "cheap", 0.5) == ""
        with FeedbackLoop(url, Rules(), strict=True) as loop, pytest.raises(StoreRefused):
            loop.record_feedback("w", "s", "cheap", 0.5)

        assert len(warnings_of(caplog)) == 1


class TestRecovery:
    """The store goes away and comes back."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[RedisServer]:
        """Return a Redis server that loses nothing when it is killed."""
        with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
            yield server

    def test_each_outage_once(self, server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        """When a killed Redis is back the loop records again, and the next outage is warned of again."""
        with FeedbackLoop(server.url, Rules()) as loop:
            for outage in (1, 2):
                assert loop.record_feedback("w", "s", "cheap", 0.5) != ""
                server.kill()
                assert [loop.record_feedback("w", "s", "cheap", 0.5) for _ in range(3)] == ["", "", ""]
                assert loop.get_feedback_history("w", "s") == []
                assert len(warnings_of(caplog)) == outage
                server.start()
                eventually(lambda: loop.get_feedback_history("w", "s"), "the store being read again")
                assert samples(loop, "w", "s") == outage

    def test_view_recovers(self, server: RedisServer) -> None:
        """What is asked of all stages is right again as soon as the store is."""
        with FeedbackLoop(server.url, Rules()) as loop:
            loop.record_feedback("w", "s", "cheap", 0.5)
            assert len(loop.get_underperforming_stages("w")) == 1
            server.kill()
            assert loop.get_underperforming_stages("w") == []
            server.start()
            eventually(lambda: loop.get_underperforming_stages("w"), "the store being read again")


class ResendingStore(SQLiteStore):
    """A store whose client lost the first answer and sent the batch again."""

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Append twice, and return the second answer."""
        super().append(batch, now)
        return super().append(batch, now)


def test_sent_twice() -> None:
    """A rating that the client below had to send twice is acknowledged, and counted once."""
    store = ResendingStore("", WEEK, SERIES_LIMIT)
    loop = FeedbackLoop(store, Rules())

    assert loop.record_feedback("w", "s", "cheap", 0.5) != ""
    assert samples(loop, "w", "s") == 1
    store.close()


class TestSeriesLimit:
    """The application goes on when it begins more series than the store accepts."""

    @pytest.fixture
    def full(self) -> Iterator[Store]:
        """Return a store that has as many series as it accepts: code-review/analysis/cheap."""
        store = open_store("sqlite://", series_limit=1)
        with FeedbackLoop(store, Rules()) as loop:
            loop.record_feedback("code-review", "analysis", "cheap", 0.5)
        yield store
        store.close()

    def test_goes_on(self, full: Store, caplog: pytest.LogCaptureFixture) -> None:
        """What would begin a series is not recorded, which is warned of once; existing series go on."""
        loop = FeedbackLoop(full, Rules())

        assert loop.record_feedback("code-review", "one", "cheap", 0.5) == ""
        assert loop.record_feedback("code-review", "analysis", "cheap", 0.5) != ""
        assert loop.record_feedback("code-review", "two", "cheap", 0.5) == ""

        assert warnings_of(caplog) == [
            (
                "Feedback is not recorded, and further such refusals are not logged: "
                "'code-review/one/cheap' would be a series beyond the limit"
            )
        ]

    def test_strict(self, full: Store) -> None:
        """A strict loop raises, under the reason by which the server counts it."""
        loop = FeedbackLoop(full, Rules(), strict=True)

        with pytest.raises(InvalidFeedback) as caught:
            loop.record_feedback("code-review", "one", "cheap", 0.5)

        assert str(caught.value) == "'code-review/one/cheap' would be a series beyond the limit"
        assert (caught.value.field, caught.value.code) == (None, "series_limit")


class TestOpening:
    """Where the store and the rules come from."""

    def test_memory(self) -> None:
        """Without store and variable the ratings live in memory, each loop's its own."""
        with FeedbackLoop() as one, FeedbackLoop() as other:
            one.record_feedback("w", "s", "cheap", 0.5)

            assert one.get_quality_stats("w", "s") is not None
            assert other.get_quality_stats("w", "s") is None

    def test_variable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The variable FEEDBACK_EXPORTER_STORE names the store; an argument beats it."""
        monkeypatch.setenv("FEEDBACK_EXPORTER_STORE", f"sqlite:///{tmp_path}/variable.db")
        with FeedbackLoop() as named, FeedbackLoop(f"sqlite:///{tmp_path}/argument.db") as given:
            named.record_feedback("w", "variable", "cheap", 0.5)
            given.record_feedback("w", "argument", "cheap", 0.5)

        assert {path.stem for path in tmp_path.glob("*.db")} == {"variable", "argument"}

    def test_empty_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty variable counts as not set."""
        monkeypatch.setenv("FEEDBACK_EXPORTER_STORE", "")
        monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", "")
        with FeedbackLoop() as loop:
            assert loop.rules == Rules()
            assert loop.record_feedback("w", "s", "cheap", 0.5) != ""

    def test_configuration(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Rules and limit come from the file that FEEDBACK_EXPORTER_CONFIG names; its store is the server's."""
        file = tmp_path / "exporter.yml"
        file.write_text(
            f"tiers: [small, large]\nstore: sqlite:///{tmp_path}/server.db\n"
            "series_limit: 1\nrules: {min_samples: 2}\n",
            encoding="utf-8",
        )
        monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", str(file))

        with FeedbackLoop() as loop:
            ids = [loop.record_feedback("w", "s", tier, 0.5) for tier in ("small", "small", "large")]
            assert [bool(each) for each in ids] == [True, True, False]
            assert loop.recommend_tier("w", "s").recommended_tier == "large"

        assert not (tmp_path / "server.db").exists()

    def test_bad_configuration(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A configuration that cannot be used is an error when the loop is opened, unless rules are given."""
        file = tmp_path / "exporter.yml"
        file.write_text("rules: {min_samples: 0}\n", encoding="utf-8")
        monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", str(file))

        with pytest.raises(ConfigError, match=r"min_samples: 0 is not an integer from 1 to 1000000\Z"):
            FeedbackLoop()
        FeedbackLoop(rules=Rules()).close()

    @pytest.mark.parametrize("strict", [False, True])
    def test_no_store(self, *, strict: bool) -> None:
        """An URL that names no store is an error when the loop is opened, strict or not."""
        with pytest.raises(StoreRefused) as caught:
            FeedbackLoop("mysql://user:secret@host", Rules(), strict=strict)

        assert str(caught.value) == (
            "store URL 'mysql://user:***@host' names no store; known are "
            "sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://, redis+sentinel://, redis+cluster://"
        )

    def test_callers_store(self, store: Store) -> None:
        """A store object stays open when the loop is closed."""
        with FeedbackLoop(store, Rules()) as loop:
            loop.record_feedback("w", "s", "cheap", 0.5)

        store.ping()

    def test_clock(self) -> None:
        """Without a clock of one's own, a rating is stamped with the time of the machine."""
        before = datetime.now(UTC)
        with FeedbackLoop() as loop:
            loop.record_feedback("w", "s", "cheap", 0.5)
            (entry,) = loop.get_feedback_history("w", "s")

        assert before - timedelta(microseconds=1) <= entry.timestamp <= datetime.now(UTC)


PROGRAM = """
import sys
from exporter import FeedbackLoop
url, tier, score = sys.argv[1:]
with FeedbackLoop(url, strict=True) as loop:
    for _ in range(20):
        loop.record_feedback("code-review", "analysis", tier, float(score))
    sys.stdin.readline()
    print(loop.get_quality_stats("code-review", "analysis"))
    print(loop.recommend_tier("code-review", "analysis", "cheap"))
    print(loop.get_underperforming_stages("code-review"))
"""


class TestSharing:
    """One loop in many threads, one store in many processes."""

    def test_threads(self, tmp_path: Path) -> None:
        """Every rating that 8 threads record through one loop is counted, while others read."""
        failures: list[BaseException] = []
        with FeedbackLoop(f"sqlite:///{tmp_path}/threads.db", Rules(), strict=True) as loop:

            def record(number: int) -> None:
                try:
                    for _ in range(50):
                        loop.record_feedback("code-review", f"stage-{number % 2}", "cheap", 0.5)
                        loop.recommend_tier("code-review", f"stage-{number % 2}")
                    loop.get_underperforming_stages("code-review")
                except BaseException as error:  # noqa: BLE001 - a thread's failure must fail the test
                    failures.append(error)

            threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert failures == []
            below = loop.get_underperforming_stages("code-review")
            assert [(name, stats.sample_count) for name, stats in below] == [
                ("stage-0/cheap", 200),
                ("stage-1/cheap", 200),
            ]

    def test_processes(self, tmp_path: Path) -> None:
        """Two processes on one file see each other's ratings and agree on every number."""
        url = f"sqlite:///{tmp_path}/processes.db"
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, url, tier, score],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for tier, score in (("cheap", "0.6"), ("capable", "0.8"))
        ]
        with FeedbackLoop(url, Rules(), strict=True) as loop:
            eventually(lambda: samples(loop) == 40, "40 ratings of two processes")
            said = [process.communicate("go\n", timeout=30)[0] for process in processes]

            assert [process.returncode for process in processes] == [0, 0]
            assert said[0] == said[1]
            assert said[0].splitlines()[0] == str(loop.get_quality_stats("code-review", "analysis"))


def samples(loop: FeedbackLoop, workflow: str = "code-review", stage: str = "analysis") -> int:
    """Count the ratings of a stage."""
    stats = loop.get_quality_stats(workflow, stage)
    return stats.sample_count if stats else 0
