"""The command line: what each command prints for people and for machines, and how it fails."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from exporter.cli import main
from exporter.clock import now_microseconds
from exporter.domain import MILLION, Feedback, SeriesKey, moment
from exporter.loop import FeedbackLoop
from exporter.rules import Rules
from exporter.store import open_store
from exporter.version import VERSION
from tests.support.ports import free_port

ROOT = Path(__file__).parents[1]
DAY = 24 * 3600 * MILLION
ID = re.compile(r"[0-9a-f]{32}")


class Said(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the document holds
        """The one JSON document on standard output; nothing is on standard error."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)

    @property
    def cells(self) -> list[list[str]]:
        """The table on standard output: its headings and rows, cell by cell."""
        assert (self.code, self.err) == (0, "")
        headings, rule, *rows = self.out.splitlines()
        assert set(rule) <= {"─"}
        return [re.split(r" {2,}", line.strip()) for line in (headings, *rows)]


Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run in a directory of one's own, without any configuration in the environment."""
    for variable in [name for name in os.environ if name.startswith("FEEDBACK_EXPORTER_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command line in this process."""

    def run(*arguments: str, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments), prog_name="feedback-exporter")
        return Said(int(ended.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def url(directory: Path) -> str:
    """URL of the default store."""
    return f"sqlite:///{directory}/llm-feedback.db"


@pytest.fixture
def filled(url: str) -> FeedbackLoop:
    """Fill the default store: two workflows, a stage with two tiers, one that does badly."""
    with FeedbackLoop(url, Rules(), strict=True) as loop:
        for score in (0.5, 0.6) * 8:
            loop.record_feedback("code-review", "analysis", "cheap", score)
        for _ in range(4):
            loop.record_feedback("code-review", "analysis", "capable", 0.9)
        loop.record_feedback("support", "answer", "premium", 0.2)
    return loop


def in_process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - as subprocess.run
    """Run the command line as users do, in a process of its own."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    command = [sys.executable, "-m", "exporter", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60, **options)


class TestProgram:
    """The program itself."""

    def test_version(self, run: Run) -> None:
        """The version is the package's."""
        assert run("--version") == Said(0, f"feedback-exporter, version {VERSION}\n", "")

    def test_module(self) -> None:
        """The module is run like the script, under its name."""
        assert in_process("--version").stdout == f"feedback-exporter, version {VERSION}\n"

    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, run: Run, option: str) -> None:
        """The help lists every command with a sentence."""
        said = run(option)

        commands = re.findall(r"^  ([\w-]+) +[A-Z].*\.$", said.out.partition("Commands:")[2], re.MULTILINE)
        assert commands == [
            "check-config",
            "clear",
            "demo",
            "history",
            "recommend",
            "record",
            "serve",
            "stats",
            "underperforming",
        ]

    def test_unknown_command(self, run: Run) -> None:
        """An unknown command is a usage error."""
        said = run("frobnicate")

        assert said.code == 2
        assert "Error: No such command 'frobnicate'." in said.err

    def test_demo(self, run: Run) -> None:
        """The demonstrations are printed, repeatable by their seed, and leave no file behind."""
        said = run("demo")

        assert (said.code, said.err) == (0, "")
        assert [line for line in said.out.splitlines() if re.match(r"\d\. ", line)][-1] == "6. Adaptive routing"
        assert run("demo", "--seed", "7") == said
        assert run("demo", "--seed", "8") != said
        assert list(Path.cwd().iterdir()) == []


class TestRecord:
    """``record``."""

    def test_people(self, run: Run, url: str) -> None:
        """A rating is stored under the id that is printed."""
        said = run("record", "code-review", "analysis", "cheap", "--score", "0.75")

        assert (said.code, said.err) == (0, "")
        printed = re.fullmatch(r"Recorded: ([0-9a-f]{32})\n", said.out)
        with FeedbackLoop(url, Rules()) as loop:
            (entry,) = loop.get_feedback_history("code-review", "analysis")
        assert printed
        assert (entry.feedback_id, entry.tier, entry.quality_score) == (printed[1], "cheap", 0.75)
        assert (entry.source, entry.metadata) == (None, {})

    @pytest.mark.parametrize(
        ("how", "score"),
        [
            (("--score", "1"), 1.0),
            (("--score", "0"), 0.0),
            (("--stars", "4"), 0.75),
            (("--stars", "3.5"), 0.625),
            (("--outcome", "success"), 0.9),
            (("--outcome", "failure_on_first_retry"), 0.5),
        ],
    )
    def test_ways_to_rate(self, run: Run, how: tuple[str, str], score: float) -> None:
        """A score, stars or an outcome become the score that they stand for."""
        run("record", "code-review", "analysis", "cheap", *how)

        assert run("history", "code-review", "analysis", "--json").json[0]["quality_score"] == score

    def test_everything(self, run: Run) -> None:
        """Id, source and metadata are kept as they were given."""
        metadata = '{"tokens": 412, "cost": 1.0, "näme": ["日本語", null]}'
        options = ("--metadata", metadata, "--source", "judge 2", "--id", "run-7")

        said = run("record", "code-review", "analysis", "cheap", "--score", "0.5", *options, "--json")

        assert said.json == {"feedback_id": "run-7", "duplicate": False}
        (entry,) = run("history", "code-review", "analysis", "--json").json
        assert (entry["feedback_id"], entry["source"]) == ("run-7", "judge 2")
        assert entry["metadata"] == {"tokens": 412, "cost": 1.0, "näme": ["日本語", None]}

    def test_duplicate(self, run: Run) -> None:
        """The same id again is acknowledged and not counted."""
        for score in ("0.5", "0.6"):
            said = run("record", "code-review", "analysis", "cheap", "--score", score, "--id", "run-7")

        assert said == Said(0, "Recorded before, not counted again: run-7\n", "")
        again = run("record", "code-review", "analysis", "cheap", "--score", "0.5", "--id", "run-7", "--json")
        assert again.json == {"feedback_id": "run-7", "duplicate": True}
        (stats,) = run("stats", "--json").json
        assert (stats["sample_count"], stats["avg_quality"]) == (1, 0.5)

    def test_empty_id(self, run: Run) -> None:
        """An empty id counts as none."""
        said = run("record", "code-review", "analysis", "cheap", "--score", "0.5", "--id", "", "--json")

        assert ID.fullmatch(said.json["feedback_id"])

    BAD: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("no score", ("w", "s", "cheap"), "give exactly one of --score, --stars and --outcome"),
        (
            "two scores",
            ("w", "s", "cheap", "--score", "1", "--stars", "5"),
            "give exactly one of --score, --stars and --outcome",
        ),
        ("high", ("w", "s", "cheap", "--score", "1.5"), "quality_score: 1.5 is outside 0 to 1"),
        ("negative", ("w", "s", "cheap", "--score", "-0.5"), "quality_score: -0.5 is outside 0 to 1"),
        ("nan", ("w", "s", "cheap", "--score", "nan"), "quality_score: nan is not a finite number from 0 to 1"),
        ("six stars", ("w", "s", "cheap", "--stars", "6"), "stars: 6.0 is outside 1 to 5"),
        (
            "outcome",
            ("w", "s", "cheap", "--outcome", "fine"),
            "outcome: 'fine' is none of success, failure, failure_on_first_retry",
        ),
        ("tier", ("w", "s", "gpt", "--score", "1"), "tier: 'gpt' is none of cheap, capable, premium"),
        ("workflow", ("", "s", "cheap", "--score", "1"), "workflow_name: must not be empty"),
        ("stage", ("w", "s ", "cheap", "--score", "1"), "stage_name: 's ' has white space at an end"),
        (
            "id",
            ("w", "s", "cheap", "--score", "1", "--id", "a\nb"),
            r"feedback_id: 'a\nb' holds a control character or half a surrogate pair",
        ),
        (
            "bytes that are not UTF-8",
            ("w\udcff", "s", "cheap", "--score", "1"),
            r"workflow_name: 'w\udcff' holds a control character or half a surrogate pair",
        ),
        ("source", ("w", "s", "cheap", "--score", "1", "--source", ""), "source: must not be empty"),
        ("no JSON", ("w", "s", "cheap", "--score", "1", "--metadata", "{a: 1}"), "metadata: '{a: 1}' is not JSON"),
        (
            "metadata that are not UTF-8",
            ("w", "s", "cheap", "--score", "1", "--metadata", '"\udcff"'),
            r"""metadata: '"\udcff"' is not JSON""",
        ),
        (
            "no object",
            ("w", "s", "cheap", "--score", "1", "--metadata", "[1]"),
            "metadata: [1] is not a dictionary that JSON carries unchanged",
        ),
        (
            "much metadata",
            ("w", "s", "cheap", "--score", "1", "--metadata", json.dumps({"a": "x" * 4096})),
            "metadata: takes 4104 bytes, at most 4096 are allowed",
        ),
    )

    @pytest.mark.parametrize(("arguments", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
    def test_bad_value(self, run: Run, arguments: tuple[str, ...], message: str) -> None:
        """A value that is not usable ends with 2 and one line that says so, and nothing is stored."""
        assert run("record", *arguments) == Said(2, "", f"Error: {message}\n")
        assert list(Path.cwd().iterdir()) == []

    def test_no_number(self, run: Run) -> None:
        """A score that is no number is a usage error."""
        said = run("record", "w", "s", "cheap", "--score", "good")

        assert said.code == 2
        assert said.err.splitlines()[-1] == "Error: Invalid value for '--score': 'good' is not a valid float."

    def test_series_limit(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rating that would begin a series beyond the limit is refused."""
        monkeypatch.setenv("FEEDBACK_EXPORTER_SERIES_LIMIT", "1")
        run("record", "w", "s", "cheap", "--score", "1")

        said = run("record", "w", "s", "premium", "--score", "1")

        assert said == Said(1, "", "Error: 'w/s/premium' would begin a series beyond the limit of 1\n")


@pytest.mark.usefixtures("filled")
class TestStats:
    """``stats``."""

    def test_everything(self, run: Run) -> None:
        """Without names every series is shown, and each stage of several tiers as a whole."""
        assert run("stats").cells == [
            ["workflow", "stage", "tier", "samples", "average", "95 % interval", "min", "max", "trend"],
            ["code-review", "analysis", "cheap", "16", "0.550", "0.472 - 0.628", "0.500", "0.600", "+0.000"],
            ["code-review", "analysis", "capable", "4", "0.900", "0.693 - 1.000", "0.900", "0.900", "+0.000"],
            ["code-review", "analysis", "all", "20", "0.620", "0.538 - 0.702", "0.500", "0.900", "+0.255"],
            ["support", "answer", "premium", "1", "0.200", "0.000 - 0.667", "0.200", "0.200", "+0.000"],
        ]

    def test_json(self, run: Run, url: str) -> None:
        """Machines get the records of the Python API; over all tiers, tier is null."""
        with FeedbackLoop(url, Rules()) as loop:
            tiers = ("cheap", "capable", None)
            expected = [loop.get_quality_stats("code-review", "analysis", tier) for tier in tiers]

        assert run("stats", "code-review", "--json").json == json.loads(msgspec.json.encode(expected))
        assert run("stats", "code-review", "analysis", "--json").json == json.loads(msgspec.json.encode(expected))

    def test_tier(self, run: Run) -> None:
        """A tier narrows the rows to it."""
        (row,) = run("stats", "--tier", "capable", "--json").json

        assert (row["workflow_name"], row["tier"], row["sample_count"]) == ("code-review", "capable", 4)

    def test_nothing(self, run: Run) -> None:
        """Where there is no rating, a sentence says so, and machines get an empty list."""
        assert run("stats", "other") == Said(0, "No ratings in the window.\n", "")
        assert run("stats", "code-review", "other") == Said(0, "No ratings in the window.\n", "")
        assert run("stats", "other", "--by", "day") == Said(0, "No ratings in the window.\n", "")
        assert run("stats", "other", "--json").json == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--tier", "gpt"), "tier: 'gpt' is none of cheap, capable, premium"),
            (("",), "workflow_name: must not be empty"),
            (("w", ""), "stage_name: must not be empty"),
        ],
    )
    def test_bad_value(self, run: Run, arguments: tuple[str, ...], message: str) -> None:
        """A name or tier that is not usable is refused."""
        assert run("stats", *arguments) == Said(2, "", f"Error: {message}\n")


class TestStatsByDay:
    """``stats --by day``."""

    @pytest.fixture
    def today(self, url: str) -> int:
        """Store ratings of three days in two tiers; return today's day since the epoch."""
        now = now_microseconds()
        today = now // DAY
        noon = [(today - back) * DAY + DAY // 2 for back in (2, 1)]
        times = [
            (noon[0], "cheap", 0.2),
            (noon[0] + 1, "cheap", 0.4),
            (noon[1], "cheap", 0.5),
            (noon[1], "premium", 0.9),
        ]
        times.append((now, "cheap", 0.7))
        store = open_store(url)
        store.append(
            [
                Feedback(
                    SeriesKey("code-review", "analysis", tier), f"{place}", round(score * MILLION), at, now + place
                )
                for place, (at, tier, score) in enumerate(times)
            ],
            now,
        )
        store.close()
        return today

    def test_days(self, run: Run, today: int) -> None:
        """Each UTC day of a tier has its samples, average, lowest and highest; so has the stage as a whole."""
        days = [day_text(today - back) for back in (2, 1, 0)]

        assert run("stats", "--by", "day").cells == [
            ["workflow", "stage", "tier", "day", "samples", "average", "min", "max"],
            ["code-review", "analysis", "cheap", days[0], "2", "0.300", "0.200", "0.400"],
            ["code-review", "analysis", "cheap", days[1], "1", "0.500", "0.500", "0.500"],
            ["code-review", "analysis", "cheap", days[2], "1", "0.700", "0.700", "0.700"],
            ["code-review", "analysis", "premium", days[1], "1", "0.900", "0.900", "0.900"],
            ["code-review", "analysis", "all", days[0], "2", "0.300", "0.200", "0.400"],
            ["code-review", "analysis", "all", days[1], "2", "0.700", "0.500", "0.900"],
            ["code-review", "analysis", "all", days[2], "1", "0.700", "0.700", "0.700"],
        ]

    def test_json(self, run: Run, today: int) -> None:
        """Machines get the day as a date."""
        rows = run("stats", "code-review", "analysis", "--tier", "premium", "--by", "day", "--json").json

        assert rows == [
            {
                "workflow_name": "code-review",
                "stage_name": "analysis",
                "tier": "premium",
                "day": day_text(today - 1),
                "avg_quality": 0.9,
                "min_quality": 0.9,
                "max_quality": 0.9,
                "sample_count": 1,
            }
        ]

    def test_window(self, run: Run, today: int, directory: Path) -> None:
        """Days that have left the window are not shown."""
        (directory / "short.yml").write_text("rules: {window_seconds: 3600}\n", encoding="utf-8")

        rows = run("stats", "--by", "day", "--config", "short.yml", "--json").json

        assert {row["day"] for row in rows} <= {day_text(today), day_text(today + 1)}
        assert [row["sample_count"] for row in rows] == [1]

    def test_unknown_unit(self, run: Run) -> None:
        """Only days are known."""
        said = run("stats", "--by", "week")

        assert said.code == 2
        assert said.err.splitlines()[-1] == "Error: Invalid value for '--by': 'week' is not 'day'."


def day_text(day: int) -> str:
    """Write a day since the epoch as a date."""
    return str(moment(day * DAY).date())


@pytest.mark.usefixtures("filled")
class TestAsking:
    """``recommend``, ``history`` and ``underperforming``."""

    def test_recommend(self, run: Run) -> None:
        """The tier, the confidence and the reason are printed."""
        assert run("recommend", "code-review", "analysis") == Said(
            0,
            "capable  (confidence 0.80)\nMove up to capable: cheap averages 0.55 over 16 ratings, below 0.7.\n",
            "",
        )

    def test_recommend_json(self, run: Run, url: str) -> None:
        """Machines get the record of the Python API."""
        with FeedbackLoop(url, Rules()) as loop:
            expected = loop.recommend_tier("code-review", "analysis", "capable")

        said = run("recommend", "code-review", "analysis", "--current-tier", "capable", "--json")

        assert said.json == json.loads(msgspec.json.encode(expected))
        assert said.json["current_tier"] == "capable"

    def test_recommend_without_ratings(self, run: Run) -> None:
        """Without ratings the start tier is kept, and the reason says why."""
        assert run("recommend", "code-review", "other") == Said(
            0,
            "cheap  (confidence 0.00)\nStay on cheap: it has 0 ratings in the window, a recommendation needs 10.\n",
            "",
        )

    def test_recommend_unknown_tier(self, run: Run) -> None:
        """A current tier that the ladder lacks is refused."""
        said = run("recommend", "code-review", "analysis", "--current-tier", "gpt")

        assert said == Said(2, "", "Error: current_tier: 'gpt' is none of cheap, capable, premium\n")

    def test_history(self, run: Run) -> None:
        """The newest rating comes first, with all that is known of it."""
        options = ("--metadata", '{"tokens": 1}', "--source", "judge", "--id", "mine")
        run("record", "code-review", "analysis", "premium", "--score", "0.25", *options)

        headings, newest, *others = run("history", "code-review", "analysis").cells

        assert headings == ["time (UTC)", "tier", "score", "rated by", "id", "metadata"]
        assert newest[1:] == ["premium", "0.250", "judge", "mine", '{"tokens":1}']
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", newest[0])
        assert len(others) == 20

    def test_history_narrowed(self, run: Run) -> None:
        """Tier and limit narrow the history; machines get the entries of the Python API."""
        entries = run("history", "code-review", "analysis", "--tier", "cheap", "--limit", "3", "--json").json

        assert [(entry["tier"], entry["quality_score"]) for entry in entries] == [
            ("cheap", 0.6),
            ("cheap", 0.5),
            ("cheap", 0.6),
        ]
        assert list(entries[0]) == [
            "feedback_id",
            "workflow_name",
            "stage_name",
            "tier",
            "quality_score",
            "timestamp",
            "metadata",
            "source",
        ]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", entries[0]["timestamp"])

    def test_history_nothing(self, run: Run) -> None:
        """Without ratings a sentence says so."""
        assert run("history", "code-review", "other") == Said(0, "No ratings in the window.\n", "")

    def test_history_limit(self, run: Run) -> None:
        """A limit below 1 is a usage error."""
        said = run("history", "code-review", "analysis", "--limit", "0")

        assert said.code == 2
        assert said.err.splitlines()[-1] == "Error: Invalid value for '--limit': 0 is not in the range x>=1."

    def test_underperforming(self, run: Run) -> None:
        """The worst series of all workflows come first."""
        rows = run("underperforming").cells[1:]

        assert [row[:5] for row in rows] == [
            ["support", "answer", "premium", "1", "0.200"],
            ["code-review", "analysis", "cheap", "16", "0.550"],
        ]

    def test_underperforming_narrowed(self, run: Run) -> None:
        """A workflow, a threshold and a number narrow or widen the list."""
        assert [row["tier"] for row in run("underperforming", "code-review", "--json").json] == ["cheap"]
        assert [row["tier"] for row in run("underperforming", "--top", "1", "--json").json] == ["premium"]
        wide = run("underperforming", "--threshold", "1", "--json").json
        assert [row["avg_quality"] for row in wide] == [0.2, pytest.approx(0.55), 0.9]

    def test_underperforming_nothing(self, run: Run) -> None:
        """Where nothing is below the threshold, a sentence says so."""
        assert run("underperforming", "--threshold", "0.1") == Said(0, "Nothing averages below 0.1.\n", "")

    def test_underperforming_bad_threshold(self, run: Run) -> None:
        """A threshold that is no score is refused."""
        assert run("underperforming", "--threshold", "70") == Said(2, "", "Error: threshold: 70.0 is outside 0 to 1\n")


@pytest.mark.usefixtures("filled")
class TestClear:
    """``clear``."""

    def test_workflow(self, run: Run) -> None:
        """A workflow is cleared, and only that one."""
        said = run("clear", "code-review", "--yes")

        assert said == Said(0, "Cleared 20 live ratings of workflow 'code-review'.\n", "")
        assert [row["workflow_name"] for row in run("stats", "--json").json] == ["support"]

    def test_stage(self, run: Run) -> None:
        """A stage is cleared, and machines get the number."""
        run("record", "code-review", "other", "cheap", "--score", "1")

        assert run("clear", "code-review", "--stage", "analysis", "--yes", "--json").json == {"cleared": 20}
        assert [row["stage_name"] for row in run("stats", "code-review", "--json").json] == ["other"]

    def test_pattern(self, run: Run) -> None:
        """A name is a name, not a pattern."""
        assert run("clear", "*", "--yes") == Said(0, "Cleared 0 live ratings of workflow '*'.\n", "")

    def test_asks(self, run: Run) -> None:
        """Without --yes it asks, on standard error, and a yes clears."""
        said = run("clear", "code-review", "--stage", "analysis", stdin="y\n")

        # The lowest click that is allowed leaves a blank of its question on standard output.
        assert said.out.lstrip() == "Cleared 20 live ratings of stage 'analysis' of workflow 'code-review'.\n"
        assert "Delete every rating of stage 'analysis' of workflow 'code-review'? [y/N]:" in said.err

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_no(self, run: Run, answer: str) -> None:
        """Anything but a yes, the end of the input too, clears nothing."""
        said = run("clear", "code-review", stdin=answer)

        assert (said.code, said.out.strip()) == (1, "")
        assert said.err.endswith("Aborted!\n")
        assert run("stats", "code-review", "--tier", "cheap", "--json").json != []


class TestStore:
    """Which store a command works on, and what happens when it is not there."""

    def test_precedence(self, run: Run, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        """A flag beats the environment, which beats the file, which beats the default."""

        def where(*options: str) -> str:
            before = {path.name for path in directory.glob("*.db")}
            run("record", "w", "s", "cheap", "--score", "1", *options)
            (made,) = {path.name for path in directory.glob("*.db")} - before
            return made

        assert where() == "llm-feedback.db"
        (directory / "exporter.yml").write_text("store: sqlite:///file.db\n", encoding="utf-8")
        assert where("--config", "exporter.yml") == "file.db"
        (directory / "other.yml").write_text("store: sqlite:///other.db\n", encoding="utf-8")
        monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", "other.yml")
        assert where() == "other.db"
        monkeypatch.setenv("FEEDBACK_EXPORTER_STORE", "sqlite:///variable.db")
        assert where() == "variable.db"
        assert where("--store", "sqlite:///flag.db") == "flag.db"

    READS = (
        ("stats",),
        ("stats", "w", "s"),
        ("stats", "--by", "day"),
        ("recommend", "w", "s"),
        ("history", "w", "s"),
        ("underperforming",),
        ("clear", "w", "--yes"),
    )

    @pytest.mark.parametrize("command", READS, ids=" ".join)
    def test_no_file(self, run: Run, command: tuple[str, ...]) -> None:
        """A command that only reads does not make a store that is not there; it says what to do."""
        assert run(*command, "--store", "sqlite:///data/none.db") == Said(
            1,
            "",
            "Error: there is no store 'data/none.db' yet: record a rating, start serve, or name another with --store\n",
        )
        assert list(Path.cwd().iterdir()) == []

    @pytest.mark.parametrize("command", [("record", "w", "s", "cheap", "--score", "1"), *READS], ids=" ".join)
    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_memory(self, run: Run, url: str, command: tuple[str, ...]) -> None:
        """A store in memory is refused: it would be gone with the command."""
        assert run(*command, "--store", url) == Said(
            2,
            "",
            f"Error: {url} lives in the memory of one process; name a store that outlives it with --store\n",
        )

    @pytest.mark.parametrize("command", [("record", "w", "s", "cheap", "--score", "1"), *READS], ids=" ".join)
    def test_away(self, run: Run, command: tuple[str, ...]) -> None:
        """A store that cannot be reached ends with 1 and one line, without its password."""
        port = free_port()

        said = run(*command, "--store", f"redis://user:secret@127.0.0.1:{port}")

        assert (said.code, said.out) == (1, "")
        assert re.fullmatch(rf"Error: .*127\.0\.0\.1:{port}.*\n", said.err)
        assert "secret" not in said.err

    def test_unknown_scheme(self, run: Run) -> None:
        """An URL that names no store is refused, without its password."""
        said = run("stats", "--store", "mysql://user:secret@host")

        assert said == Said(
            2,
            "",
            "Error: --store: store URL 'mysql://user:***@host' names no store; known are "
            "sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://, redis+sentinel://, redis+cluster://\n",
        )


class TestConfiguration:
    """``check-config``, and configurations that cannot be used."""

    def test_good(self, run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A usable file, named or in the environment, and none at all, can be used."""
        (directory / "good.yml").write_text("rules: {min_samples: 5}\n", encoding="utf-8")

        assert run("check-config", "good.yml") == Said(0, "The configuration can be used.\n", "")
        assert run("check-config") == Said(0, "The configuration can be used.\n", "")
        monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", "good.yml")
        assert run("check-config") == Said(0, "The configuration can be used.\n", "")

    @pytest.mark.parametrize(
        "command",
        [("check-config",), ("serve",), ("stats",), ("record", "w", "s", "cheap", "--score", "1")],
        ids=lambda command: command[0],
    )
    def test_bad(self, run: Run, directory: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        """Every problem is said at once, one line each, whatever the command."""
        (directory / "bad.yml").write_text("series_limit: 0\naccess_log: perhaps\n", encoding="utf-8")
        monkeypatch.setenv("FEEDBACK_EXPORTER_CONFIG", "bad.yml")

        assert run(*command) == Said(
            2,
            "",
            "Error: bad.yml: series_limit: 0 is not an integer from 1 to 1000000\n"
            "Error: bad.yml: access_log: 'perhaps' is not true or false\n",
        )

    def test_missing(self, run: Run) -> None:
        """A file that is not there is said to be so."""
        assert run("check-config", "none.yml") == Said(
            2,
            "",
            "Error: none.yml: cannot be read: No such file or directory; "
            "name another file with --config or FEEDBACK_EXPORTER_CONFIG\n",
        )

    def test_serve_flags(self, run: Run) -> None:
        """The flags of serve are checked like the file."""
        said = run("serve", "--listen", "nowhere", "--store", "mysql://user:secret@host")

        assert said.code == 2
        assert [line[:17] for line in said.err.splitlines()] == ["Error: --listen: ", "Error: --store: s"]
        assert "secret" not in said.err


ODD = (
    "a:b",
    "a|b",
    'quote"d',
    "back\\slash",
    "*",
    "日本語",
    "[bold]x[/]",
    "[/]",
    ":smile:",
    "-",
    "x" * 128,
    "ü\u202eö",
)


class TestOutput:
    """Names of any kind, on any standard output."""

    @pytest.fixture
    def odd(self, url: str) -> str:
        """Store one rating under each odd name."""
        with FeedbackLoop(url, Rules(), strict=True) as loop:
            for name in ODD:
                loop.record_feedback(name, name, "cheap", 0.5, {name: name})
        return url

    def test_tables(self, run: Run, odd: str) -> None:
        """Names are shown as they are, whole; only what cannot be seen is escaped."""
        rows = run("stats", "--store", odd).cells[1:]

        assert {row[0] for row in rows} == {row[1] for row in rows} == set(map(escape, ODD))
        for name in ODD:
            (row,) = run("history", "--store", odd, "--", name, name).cells[1:]
            assert row[-1] == escape(json.dumps({name: name}, ensure_ascii=False, separators=(",", ":")))

    def test_json(self, run: Run, odd: str) -> None:
        """Machines get the names code point for code point."""
        assert {row["workflow_name"] for row in run("stats", "--store", odd, "--json").json} == set(ODD)

    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_narrow_encoding(self, odd: str, options: tuple[str, ...]) -> None:
        """A standard output that can only take ASCII gets escapes, not a crash; JSON stays UTF-8."""
        variables = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

        said = in_process("stats", "--store", odd, *options, environment=variables)

        assert (said.returncode, said.stderr) == (0, "")
        assert ("日本語" if options else r"\u65e5\u672c\u8a9e") in said.stdout

    def test_no_colour_in_a_pipe(self, odd: str) -> None:
        """A pipe gets neither colour nor shortened lines."""
        said = in_process("stats", "--store", odd, environment={"TERM": "xterm-256color", "COLUMNS": "40"})

        assert "\x1b" not in said.stdout
        assert "…" not in said.stdout
        assert "x" * 128 in said.stdout

    def test_terminal(self, odd: str) -> None:
        """A narrow terminal gets the whole name, folded."""
        leader, follower = pty.openpty()
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "100"}
        command = [sys.executable, "-m", "exporter", "stats", "x" * 128, "--store", odd]
        with subprocess.Popen(command, env=variables, stdin=follower, stdout=follower, stderr=follower) as process:
            os.close(follower)
            shown = read_all(leader)

        assert process.returncode == 0
        assert "\x1b[" in shown
        assert "…" not in shown
        assert shown.count("x") >= 2 * 128

    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_closed_pipe(self, odd: str, options: tuple[str, ...]) -> None:
        """A reader that has gone away is no reason for a traceback."""
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "exporter", "stats", "--store", odd, *options]
        with subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=writing, stderr=subprocess.PIPE
        ) as process:
            os.close(writing)
            _, errors = process.communicate(timeout=60)

        assert (process.returncode, errors) == (1, b"")


def escape(text: str) -> str:
    """Write the one change of direction among the odd names so that it can be seen."""
    return text.replace("\u202e", r"\u202e")


def read_all(descriptor: int) -> str:
    """Read a terminal until the program behind it has ended."""
    parts = []
    try:
        while part := os.read(descriptor, 65_536):
            parts.append(part)
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(descriptor)
    return b"".join(parts).decode()
