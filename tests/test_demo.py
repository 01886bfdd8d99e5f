"""The six demonstrations: each shows what it claims, and the same seed prints the same."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from exporter import demo
from exporter.demo import Team


@pytest.fixture
def console() -> Console:
    """Return a console that writes to memory."""
    return Console(file=io.StringIO(), width=200, markup=False, highlight=False)


@pytest.fixture(params=[7, 1, 2])
def team(request: pytest.FixtureRequest) -> Iterator[Team]:
    """Return a team that has just begun, by several seeds."""
    team = Team(request.param)
    with team.loop:
        yield team


def text(console: Console) -> str:
    """Return what was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def printed(seed: int) -> str:
    """Run all demonstrations and return what they print."""
    console = Console(file=io.StringIO(), width=200, markup=False, highlight=False)
    demo.run(console, seed)
    return text(console)


def test_repeatable() -> None:
    """The same seed prints the same to the letter, another seed something else."""
    assert printed(7) == printed(7)
    assert printed(7) != printed(8)


def test_titles() -> None:
    """All six demonstrations are shown, each under its title and with a sentence that says what it is."""
    lines = printed(7).splitlines()
    titles = [place for place, line in enumerate(lines) if line[:3].rstrip(" .").isdigit() and line[1] == "."]

    assert [lines[place] for place in titles] == [
        "1. Recording",
        "2. Statistics",
        "3. Upgrade",
        "4. Downgrade",
        "5. Underperforming stages",
        "6. Adaptive routing",
    ]
    assert all(lines[place + 1].endswith(".") for place in titles)


def test_recording(team: Team, console: Console) -> None:
    """Five ways to rate become five entries, newest first, with what else was known of each call."""
    history = demo.recording(team, console)

    assert [(entry.tier, entry.quality_score) for entry in history] == [
        ("premium", 0.85),
        ("capable", 0.829412),
        ("capable", 0.9),
        ("cheap", 0.75),
        ("cheap", 1.0),
    ]
    assert text(console).splitlines()[1:] == [
        "  Mon 09:05  premium  0.850  judge: 8.5 of 10, cost 0.021",
        "  Mon 09:04  capable  0.829  weighted mix, tokens 388",
        "  Mon 09:03  capable  0.900  task outcome, cost 0.004",
        "  Mon 09:02  cheap    0.750  4 stars, latency_ms 640",
        "  Mon 09:01  cheap    1.000  automated metrics, tokens 412",
    ]


def test_statistics(team: Team, console: Console) -> None:
    """A declining tier has a trend beyond the alert's, and the stage has statistics over both tiers."""
    cheap, capable, both = demo.statistics(team, console)

    assert (cheap.sample_count, capable.sample_count, both.sample_count) == (30, 20, 50)
    assert cheap.recent_trend < -0.2
    assert capable.avg_quality > both.avg_quality > cheap.avg_quality
    assert f"The trend of cheap is {cheap.recent_trend:.3f}: below -0.2 an alert fires." in text(console)


def test_upgrade(team: Team, console: Console) -> None:
    """A stage below the threshold is recommended one tier up, surely enough to follow."""
    recommendation = demo.upgrade(team, console)

    assert (recommendation.current_tier, recommendation.recommended_tier) == ("cheap", "capable")
    assert recommendation.confidence > demo.GATE
    assert recommendation.reason in text(console)


def test_downgrade(team: Team, console: Console) -> None:
    """A stage far above the threshold is recommended one tier down, on the lower tier's own evidence."""
    recommendation = demo.downgrade(team, console)

    assert (recommendation.current_tier, recommendation.recommended_tier) == ("premium", "capable")
    assert recommendation.stats["capable"].avg_quality > 0.85
    assert recommendation.confidence > demo.GATE
    assert recommendation.reason in text(console)


def test_underperforming(team: Team, console: Console) -> None:
    """Of all weak stages of all workflows, the five worst are shown, the worst first."""
    demo.statistics(team, console)
    demo.upgrade(team, console)

    worst = demo.underperforming(team, console)

    assert len(worst) == 5
    assert worst[0].stage_name == "classify"
    assert worst == sorted(worst, key=lambda stats: stats.avg_quality)
    assert {stats.workflow_name for stats in worst} >= {"code-review", "intake"}
    assert all(stats.avg_quality < 0.7 for stats in worst)


def test_adaptive_routing(team: Team, console: Console) -> None:
    """The router moves once, as soon as the recommendation is sure enough, stays, and quality rises."""
    tiers, before, after = demo.adaptive_routing(team, console)

    assert tiers == ["cheap"] * 15 + ["capable"] * 85
    assert before < 0.7 < after
    assert f"Moved to capable after 15 calls: average {before:.3f} before, {after:.3f} after." in text(console)
    assert "15 on cheap, 5 on capable" in text(console)
