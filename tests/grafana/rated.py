"""Who rated what for weeks: a few stages, each with a story that a dashboard has to tell."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from exporter.domain import MILLION, Feedback, SeriesKey

HOUR = 3600
DAY = 24 * HOUR
DAYS = 17
# What HTTP takes: ratings of the last week, an hour short of it, since that goes on while they are posted.
POSTED = 7 * DAY - HOUR

# Names that a wrong escape confuses: read as regular expressions, the odd ones match the other two of their kind.
ODD_WORKFLOW = r"v2/\d+ (EU)|x"
ODD_STAGE = r'"a.b"\d'
NEAR_WORKFLOWS = ("v2/12 EU", "x")
NEAR_STAGE = '"axb"7'


class Rated(NamedTuple):
    """A series: how many ratings an hour, and their mean from so many days ago on."""

    workflow: str
    stage: str
    tier: str
    hourly: float
    means: tuple[tuple[float, float], ...]


RATED = (
    # Falls since this morning: its decline alert has fired for hours.
    Rated("code-review", "analysis", "cheap", 5, ((DAYS, 0.82), (6, 0.86), (0.33, 0.52))),
    Rated("code-review", "analysis", "capable", 4, ((DAYS, 0.9),)),
    # Got better week by week, and now a cheaper tier would do.
    Rated("code-review", "summary", "premium", 10, ((DAYS, 0.84), (14, 0.9), (7, 0.96))),
    Rated("code-review", "summary", "capable", 4, ((DAYS, 0.88), (7, 0.93))),
    # Moved from cheap to capable three days ago.
    Rated("support-chat", "answer", "cheap", 12, ((DAYS, 0.78), (9, 0.64), (3, math.nan))),
    Rated("support-chat", "answer", "capable", 12, ((3, 0.84),)),
    Rated(ODD_WORKFLOW, ODD_STAGE, "capable", 6, ((DAYS, 0.8), (10, 0.74))),
    Rated(ODD_WORKFLOW, NEAR_STAGE, "cheap", 4, ((DAYS, 0.86),)),
    Rated(NEAR_WORKFLOWS[0], ODD_STAGE, "cheap", 4, ((DAYS, 0.79),)),
    # Below the threshold for long: a tier up is recommended.
    Rated(NEAR_WORKFLOWS[1], ODD_STAGE, "cheap", 6, ((DAYS, 0.76), (11, 0.45))),
)


def ratings(end: int) -> list[Feedback]:
    """All ratings up to ``end``, in seconds, oldest first; always the same, but for their times."""
    rated = [rating for series in RATED for rating in _of_series(series, end)]
    return sorted(rated, key=lambda rating: rating.timestamp)


def entry(rating: Feedback) -> dict[str, Any]:
    """Return a rating as a client sends it."""
    return {
        "workflow_name": rating.key.workflow,
        "stage_name": rating.key.stage,
        "tier": rating.key.tier,
        "feedback_id": rating.feedback_id,
        "quality_score": rating.score / MILLION,
        "timestamp": rating.timestamp / MILLION,
    }


def _of_series(series: Rated, end: int) -> Iterator[Feedback]:
    chance = Random(f"{series}")
    key = SeriesKey(series.workflow, series.stage, series.tier)
    for hour in range(end - DAYS * DAY, end, HOUR):
        age = (end - hour) / DAY
        mean = _mean(series, age)
        for _ in range(0 if math.isnan(mean) else _number(series, age, chance)):
            at = hour * MILLION + chance.randrange(HOUR * MILLION)
            score = min(max(chance.gauss(mean, 0.13), 0), 1)
            yield Feedback(key, f"{at}", round(score * 100) * MILLION // 100, at, at)


def _mean(series: Rated, age: float) -> float:
    """Mean that holds so many days ago; not a number where there were no ratings."""
    begun = [mean for since, mean in series.means if age <= since]
    return begun[-1] if begun else math.nan


def _number(series: Rated, age: float, chance: Random) -> int:
    """How many ratings came in an hour: more by day than by night, and it is noon at the end."""
    return int(series.hourly * (1 + 0.7 * math.cos(age * math.tau)) + chance.random())
