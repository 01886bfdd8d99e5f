"""A simulation of the router's contract: what it is worth to keep it, and what it costs to break it.

A stage gets 12 to 25 ratings a week, one a call. Its cheap tier is bad, the others are good, and its static
tier, used while nothing is known, is the cheap one. Fold, statistics and policy are the real ones; only time
and the quality of the answers are simulated. ``pytest -s`` prints the figures.
"""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from exporter.domain import MILLION, Ladder
from exporter.fold import Record, fold
from exporter.policy import TierRecommendation, current_tier, recommend
from exporter.rules import WEEK, StageRules
from exporter.stats import Live, live, quality_stats
from tests.support.ratings import NOW, feedback
from tests.support.reference import Rating

LADDER = Ladder(("cheap", "capable", "premium"))
QUALITY = {"cheap": 0.45, "capable": 0.8, "premium": 0.85}
SPREAD = 0.15
STATIC_TIER = "cheap"
GATE = 0.7
CALLS = 2_000
SEEDS = (1, 2)
RATES = (12, 16, 20, 25)


class Stage:
    """One stage: its records, its clock, and the quality of its answers."""

    def __init__(self, ratings_a_week: float, seed: int) -> None:
        """Begin without ratings."""
        self.rng = random.Random(seed)
        self.ratings_a_week = ratings_a_week
        self.now = NOW
        self.records: dict[str, Record] = {}

    def wait(self) -> None:
        """Let the time to the next call pass."""
        self.now += int(self.rng.expovariate(self.ratings_a_week) * WEEK * MILLION)

    def recommendation(self, current: str | None = None) -> TierRecommendation | None:
        """Recommendation for the stage now, or for one who uses tier ``current``; ``None`` without live ratings."""
        parts: dict[str, Live] = {}
        for tier, record in self.records.items():
            if part := live(record, self.now, WEEK):
                parts[tier] = part
        if not parts:
            return None
        stats = {tier: quality_stats("code-review", "analysis", tier, part) for tier, part in parts.items()}
        return recommend(stats, current or current_tier(parts, STATIC_TIER), StageRules(), LADDER)

    def call(self, tier: str) -> None:
        """Use ``tier`` once, and rate the answer."""
        score = min(1.0, max(0.0, self.rng.gauss(QUALITY[tier], SPREAD)))
        rating = Rating(self.now, self.now, round(score * MILLION), tier)
        self.records[tier] = fold(self.records.get(tier), [feedback(rating)], self.now, WEEK)


Router = Callable[[TierRecommendation | None, str], str]


def keeps_the_contract(recommendation: TierRecommendation | None, tier: str) -> str:
    """Follow above the gate; then keep that tier; go back to the static tier only without live ratings."""
    if recommendation is None:
        return STATIC_TIER
    return recommendation.recommended_tier if recommendation.confidence > GATE else tier


def falls_back(recommendation: TierRecommendation | None, _tier: str) -> str:
    """Follow above the gate, and fall back to the static tier whenever confidence dips below it."""
    return keeps_the_contract(recommendation, STATIC_TIER)


def run(
    router: Router, stage: Stage, calls: int, hard_wired: float = 0.0, *, names_its_tier: bool = False
) -> list[str]:
    """Route ``calls`` and return the tiers that the router chose.

    Args:
        router: chooses from the recommendation and the tier that it used last.
        stage: what it routes.
        calls: how many.
        hard_wired: share of calls that go to premium whatever is recommended; they are rated but not returned.
        names_its_tier: the router asks with ``current_tier``.

    """
    tier, chosen = STATIC_TIER, []
    for _ in range(calls):
        stage.wait()
        if stage.rng.random() < hard_wired:
            stage.call("premium")
            continue
        tier = router(stage.recommendation(tier if names_its_tier else None), tier)
        chosen.append(tier)
        stage.call(tier)
    return chosen


def changes_per_100(tiers: list[str]) -> float:
    """Changes of tier in 100 calls."""
    return 100 * sum(one != other for one, other in pairwise(tiers)) / len(tiers)


def percent_on(tier: str, tiers: list[str]) -> float:
    """Share of the calls that ``tier`` got, in per cent."""
    return 100 * tiers.count(tier) / len(tiers)


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[int, tuple[float, float]]]:
    """Changes per 100 calls and per cent of calls on the failing tier, by router and by ratings a week."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    print("\nrouter              ratings a week  changes per 100 calls  % of calls on the failing tier")  # noqa: T201 - shown with -s: the figures of the simulation
    for router in (falls_back, keeps_the_contract):
        for rate in RATES:
            tiers = [run(router, Stage(rate, seed), CALLS) for seed in SEEDS]
            changes = sum(map(changes_per_100, tiers)) / len(SEEDS)
            failing = sum(percent_on("cheap", each) for each in tiers) / len(SEEDS)
            found.setdefault(router.__name__, {})[rate] = changes, failing
            print(f"{router.__name__:<18}  {rate:>14}  {changes:>21.1f}  {failing:>30.1f}")  # noqa: T201 - shown with -s: the figures of the simulation
    return found


def test_a_router_that_falls_back_flaps(figures: dict[str, dict[int, tuple[float, float]]]) -> None:
    """It changes tier many times per 100 calls at any of these rates, and over twenty times at the worst."""
    changes = [changes for changes, _ in figures["falls_back"].values()]

    assert min(changes) > 3
    assert max(changes) > 20


def test_a_router_that_falls_back_stays_on_the_failing_tier(
    figures: dict[str, dict[int, tuple[float, float]]],
) -> None:
    """It leaves at least a tenth of all calls on the failing tier, and over four fifths at the worst."""
    failing = [failing for _, failing in figures["falls_back"].values()]

    assert min(failing) > 10
    assert max(failing) > 80


def test_a_router_that_keeps_the_contract_settles(figures: dict[str, dict[int, tuple[float, float]]]) -> None:
    """At every rate it changes tier at most 0.3 times per 100 calls, with at most 5 % on the failing tier."""
    assert all(changes <= 0.3 and failing <= 5 for changes, failing in figures["keeps_the_contract"].values())


def test_without_live_ratings_the_router_returns_to_its_static_tier() -> None:
    """After a silence as long as the window nothing is known, so nothing is followed."""
    stage = Stage(25, seed=1)
    before = run(keeps_the_contract, stage, 100)[-1]
    stage.now += (WEEK + 3600) * MILLION

    assert before == "capable"
    assert stage.recommendation() is None
    assert run(keeps_the_contract, stage, 1) == [STATIC_TIER]


def test_traffic_that_does_not_follow_takes_the_followers_along() -> None:
    """With 45 % of the calls hard-wired to premium, those who follow the stage's recommendation end there."""
    chosen = run(keeps_the_contract, Stage(100, seed=1), CALLS, hard_wired=0.45)

    assert percent_on("premium", chosen[len(chosen) // 2 :]) == 100


def test_followers_that_name_their_tier_are_not_taken_along() -> None:
    """Asking with the tier that they use themselves, followers leave the failing tier and stay on the good one."""
    chosen = run(keeps_the_contract, Stage(100, seed=1), CALLS, hard_wired=0.45, names_its_tier=True)

    assert percent_on("capable", chosen[len(chosen) // 2 :]) == 100
