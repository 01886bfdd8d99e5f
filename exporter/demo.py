"""The six demonstrations: recording, statistics, upgrade, downgrade, underperforming stages, adaptive routing.

A simulated team, with a clock of its own and models whose quality is known, uses ``FeedbackLoop`` over a
store in memory. The same seed prints the same text. Each demonstration returns what it has shown.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from exporter import scores
from exporter.domain import MILLION
from exporter.loop import FeedbackLoop
from exporter.policy import TierRecommendation
from exporter.reading import FeedbackEntry
from exporter.rules import Rules
from exporter.stats import QualityStats
from exporter.tables import recommendation_text, stats_table

# Monday, 5 January 2026, 9:00 UTC.
START = 1_767_603_600 * MILLION
MINUTE = 60 * MILLION

GATE = 0.7
BLOCK = 20


class Team:
    """A team at work: every call takes a minute and is rated around the quality that its model really has."""

    def __init__(self, seed: int) -> None:
        """Begin on a Monday morning with an empty store."""
        self.now = START
        self.loop = FeedbackLoop("sqlite://", Rules(), strict=True, clock=lambda: self.now)
        self._random = Random(seed)  # noqa: S311 - a repeatable simulation, no secret

    def call(self, workflow: str, stage: str, tier: str, quality: float) -> float:
        """Call a model, rate its answer, and return the score."""
        score = round(min(max(self._random.gauss(quality, 0.07), 0.0), 1.0), 2)
        self.record(workflow, stage, tier, score, {"tokens": self._random.randrange(200, 900)})
        return score

    def calls(self, count: int, workflow: str, stage: str, tier: str, quality: float) -> None:
        """Call a model ``count`` times."""
        for _ in range(count):
            self.call(workflow, stage, tier, quality)

    def record(self, workflow: str, stage: str, tier: str, score: float, metadata: dict[str, Any]) -> None:
        """Record a score, a minute after the last."""
        self.now += MINUTE
        self.loop.record_feedback(workflow, stage, tier, score, metadata)


GENERATED = '''\
def mean(values: list[float]) -> float:
    """Arithmetic mean of at least one value."""
    return sum(values) / len(values)
'''


def recording(team: Team, console: Console) -> list[FeedbackEntry]:
    """Ratings of any kind become scores from 0 to 1, and are kept with what else is known of the call."""
    mix = {"correctness": 0.9, "completeness": 0.8, "style": 0.7}
    rated = [
        ("cheap", scores.generated_code(GENERATED), {"by": "automated metrics", "tokens": 412}),
        ("cheap", scores.stars(4), {"by": "4 stars", "latency_ms": 640}),
        ("capable", scores.task_outcome("success"), {"by": "task outcome", "cost": 0.004}),
        ("capable", scores.weighted_mix(mix), {"by": "weighted mix", "tokens": 388}),
        ("premium", scores.scaled(8.5, 0, 10), {"by": "judge: 8.5 of 10", "cost": 0.021}),
    ]
    for tier, score, metadata in rated:
        team.record("code-review", "analysis", tier, score, metadata)
    history = team.loop.get_feedback_history("code-review", "analysis")
    console.print("Five answers of code-review/analysis were rated in five ways; newest first:")
    for entry in history:
        details = ", ".join(f"{key} {value}" for key, value in entry.metadata.items() if key != "by")
        how = f"{entry.metadata['by']}, {details}"
        console.print(f"  {entry.timestamp:%a %H:%M}  {entry.tier:<8} {entry.quality_score:.3f}  {how}")
    return history


def statistics(team: Team, console: Console) -> list[QualityStats]:
    """Average, range and trend, of each tier and of all together."""
    for step in range(30):
        team.call("support", "answer", "cheap", 0.85 - step * 0.015)
    team.calls(20, "support", "answer", "capable", 0.88)
    tiers = ("cheap", "capable", None)
    found = [team.loop.get_quality_stats("support", "answer", tier) for tier in tiers]
    stats = [each for each in found if each]
    console.print(stats_table(stats))
    console.print(f"The trend of cheap is {stats[0].recent_trend:+.3f}: below -0.2 an alert fires.")
    return stats


def upgrade(team: Team, console: Console) -> TierRecommendation:
    """An average below 0.7 asks for one tier up."""
    team.calls(20, "code-review", "security", "cheap", 0.6)
    return _recommend(team, console, "code-review", "security")


def downgrade(team: Team, console: Console) -> TierRecommendation:
    """An average above 0.9 allows one tier down, if the lower tier is known to be good as well."""
    team.calls(20, "docs", "summary", "capable", 0.92)
    team.calls(30, "docs", "summary", "premium", 0.96)
    return _recommend(team, console, "docs", "summary")


def _recommend(team: Team, console: Console, workflow: str, stage: str) -> TierRecommendation:
    recommendation = team.loop.recommend_tier(workflow, stage)
    console.print(stats_table(recommendation.stats.values()))
    console.print(f"{workflow}/{stage} uses {recommendation.current_tier}. Recommended:")
    console.print(recommendation_text(recommendation))
    return recommendation


def underperforming(team: Team, console: Console) -> list[QualityStats]:
    """Show the five worst stages over all workflows."""
    qualities = {"classify": 0.48, "extract": 0.56, "route": 0.66, "translate": 0.52, "validate": 0.93}
    for stage, quality in qualities.items():
        team.calls(12, "intake", stage, "cheap", quality)
    workflows = ("code-review", "docs", "intake", "support")
    below = [stats for each in workflows for _, stats in team.loop.get_underperforming_stages(each)]
    worst = sorted(below, key=lambda stats: stats.avg_quality)[:5]
    console.print(stats_table(worst))
    return worst


class Router:
    """Takes the recommended tier when it is sure enough, and keeps it until another is as sure."""

    def __init__(self, recommend: Callable[[], TierRecommendation], static_tier: str) -> None:
        """Start on the tier that would be used without any feedback."""
        self._recommend = recommend
        self._tier = static_tier

    def tier(self) -> str:
        """Tier for the next call."""
        recommendation = self._recommend()
        if recommendation.confidence > GATE:
            self._tier = recommendation.recommended_tier
        return self._tier


class Routing(NamedTuple):
    """What adaptive routing did: the tier of each call, and the mean score before and after it moved."""

    tiers: list[str]
    before: float
    after: float


def adaptive_routing(team: Team, console: Console) -> Routing:
    """A router that follows the recommendation moves a stage off a tier that does not suffice."""
    quality = {"cheap": 0.55, "capable": 0.86, "premium": 0.95}
    router = Router(partial(team.loop.recommend_tier, "checkout", "plan"), "cheap")
    tiers: list[str] = []
    rated: list[float] = []
    for _ in range(5 * BLOCK):
        tiers.append(router.tier())
        rated.append(team.call("checkout", "plan", tiers[-1], quality[tiers[-1]]))
    for start in range(0, len(tiers), BLOCK):
        used = ", ".join(f"{count} on {tier}" for tier, count in Counter(tiers[start : start + BLOCK]).items())
        console.print(f"  calls {start + 1:>2} - {start + BLOCK:>3}: {_mean(rated[start : start + BLOCK]):.3f}  {used}")
    moved = next((place for place, tier in enumerate(tiers) if tier != "cheap"), len(tiers))
    routing = Routing(tiers, _mean(rated[:moved]), _mean(rated[moved:]))
    console.print(
        f"Moved to {tiers[-1]} after {moved} calls: average {routing.before:.3f} before, {routing.after:.3f} after."
    )
    return routing


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


DEMONSTRATIONS: tuple[tuple[str, Callable[[Team, Console], object]], ...] = (
    ("Recording", recording),
    ("Statistics", statistics),
    ("Upgrade", upgrade),
    ("Downgrade", downgrade),
    ("Underperforming stages", underperforming),
    ("Adaptive routing", adaptive_routing),
)


def run(console: Console, seed: int) -> None:
    """Print all six demonstrations."""
    team = Team(seed)
    with team.loop:
        for number, (title, demonstrate) in enumerate(DEMONSTRATIONS, 1):
            console.print(Text(f"{number}. {title}", "bold"))
            console.print(Text(demonstrate.__doc__ or "", "italic"))
            demonstrate(team, console)
            console.print()
