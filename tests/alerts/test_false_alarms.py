"""The figures that the runbook shows are those of the simulation, and the simulation is right."""

import re
from math import comb, sqrt
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from alerts import false_alarms, quality
from alerts.false_alarms import FALLS, SAMPLES, STEADY, TREND, UPPER_BOUND, Ratings, Verdict
from exporter.domain import MILLION
from exporter.stats import trend_of

RUNBOOK = (Path(__file__).parents[2] / "alerts" / "runbook.md").read_text("utf-8")
RULE = {
    "series:llm_feedback_quality_trend:max": ("<", TREND),
    "series:llm_feedback_quality_trend_upper_bound:max": ("<", UPPER_BOUND),
    "series:llm_feedback_window_samples:max": (">=", SAMPLES),
}

ZERO_OR_ONE = STEADY[0]
# Nobody is surprised by a simulation this many standard errors away once in a hundred thousand times.
ERRORS = 4.5


def judged(scores: list[int]) -> Verdict:
    """Judge a series by its scores, oldest first, as the rule says it."""
    trend, upper_bound = trend_of(scores)
    return Verdict(trend < TREND, trend < TREND and upper_bound < UPPER_BOUND and len(scores) >= SAMPLES)


def exact(good: tuple[float, float], size: int, rule: str) -> float:
    """Return the probability that a rule is true of ``size`` scores of 0 or 1, by the share of 1 in each half."""
    half = size // 2
    older, newer = ([comb(half, ones) * p**ones * (1 - p) ** (half - ones) for ones in range(half + 1)] for p in good)
    return sum(
        older[before] * newer[after]
        for before in range(half + 1)
        for after in range(half + 1)
        if getattr(judged([*_ones(before, half), *_ones(after, half)]), rule)
    )


def _ones(count: int, of: int) -> list[int]:
    return [MILLION] * count + [0] * (of - count)


def test_the_figures_of_the_runbook() -> None:
    """The runbook shows what ``python -m alerts.false_alarms`` prints."""
    printed = CliRunner().invoke(false_alarms.main).output

    assert f"<!-- false alarms -->\n{printed}<!-- /false alarms -->" in RUNBOOK


def test_the_rule() -> None:
    """The limits that are simulated are those of the alert."""
    limits = re.findall(r"(\S+) (<|>=) (-?[\d.]+)", quality.DECLINING.expression)
    given = {name: (comparison, float(limit)) for name, comparison, limit in limits}

    assert {name: given.get(name) for name in RULE} == RULE


@pytest.mark.parametrize("kind", [*STEADY, *(fall[1] for fall in FALLS.values())], ids=lambda kind: kind.name)
def test_ratings(kind: Ratings) -> None:
    """Ratings have the mean that their name says, and weights of a hundred in all."""
    mean = sum(score * weight for score, weight in zip(kind.scores, kind.weights, strict=True)) / 100

    assert sum(kind.weights) == 100
    assert kind.name.endswith(f"mean {mean / MILLION:g}")


@pytest.mark.parametrize("size", [20, 30, 50, 100])
@pytest.mark.parametrize("newer", [0.8, 0.5], ids=["steady", "fallen"])
def test_snapshots(size: int, newer: float) -> None:
    """The simulated share of scores of 0 or 1 is the exact one, but for chance."""
    series = 2000
    kinds = (ZERO_OR_ONE, FALLS["0/1, 0.8 to 0.5"][newer == 0.5])

    found = false_alarms.snapshots(*kinds, size, series)

    for rule in ("plain", "shipped"):
        true = exact((0.8, newer), size, rule)
        simulated = sum(getattr(verdict, rule) for verdict in found) / series
        assert simulated == pytest.approx(true, abs=ERRORS * sqrt(true * (1 - true) / series))


@pytest.mark.parametrize("kind", STEADY, ids=lambda kind: kind.name)
def test_windows(kind: Ratings) -> None:
    """Every window of a series is judged as its scores alone would be."""
    scores = kind.draw(Random(1), 200)

    for size in (20, 50, 100):
        alone = [judged(scores[end - size : end]) for end in range(size, len(scores) + 1)]
        assert [false_alarms.verdict(size, sums) for sums in false_alarms.windows(scores, size)] == alone


def test_weeks() -> None:
    """A rule is true in a week if it is after any of its ratings, of which the newest 100 count."""
    random = Random(f"{false_alarms.SEED} {ZERO_OR_ONE} 200")
    alone = []
    for _ in range(20):
        scores = ZERO_OR_ONE.draw(random, 99 + 200)
        week = [judged(scores[end - 100 : end]) for end in range(100, len(scores) + 1)]
        alone.append(Verdict(any(verdict.plain for verdict in week), any(verdict.shipped for verdict in week)))

    found = false_alarms.weeks(ZERO_OR_ONE, 200, 20)

    assert [verdict.shipped for verdict in found] == [verdict.shipped for verdict in alone]
    assert [verdict.plain for verdict in found] == [verdict.plain for verdict in alone]
    assert {verdict.shipped for verdict in found} == {False, True}


def test_delays() -> None:
    """A fall is seen after as many ratings as are needed; one that is too small never is."""
    full, half = (Ratings("", (round(score * MILLION),), (100,)) for score in (1, 0.5))
    scores = [MILLION] * 100 + [MILLION // 2] * 100
    first = next(came for came in range(1, 101) if judged(scores[came : came + 100]).shipped)

    assert false_alarms.delays(full, half, 2) == [first, first]
    assert false_alarms.delays(full, full, 1) == [float("inf")]


@pytest.mark.parametrize(
    ("true", "of", "shown"),
    [
        (0, 1000, "none of 1,000"),
        (1000, 1000, "all of 1,000"),
        (20, 1000, "2.00 ± 0.44 %"),
        (500, 1000, "50.0 ± 1.6 %"),
    ],
)
def test_share(true: int, of: int, shown: str) -> None:
    """A share is shown with its standard error; of none and of all there is none."""
    assert false_alarms.share([True] * true + [False] * (of - true)) == shown
