"""What the demo sends: the ratings of a small company, in which one stage gets bad answers at some moment."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

DAY, HOUR = 86_400, 3600

Entry = dict[str, str | float]


class Stage(NamedTuple):
    """A stage on one tier, and how good its answers are: the mean of its ratings."""

    workflow: str
    stage: str
    tier: str
    quality: float

    def rating(self, random: Random, **more: float) -> Entry:
        """Return one rating, as it is posted."""
        score = round(min(max(random.gauss(self.quality, 0.06), 0.0), 1.0), 2)
        names = {"workflow_name": self.workflow, "stage_name": self.stage, "tier": self.tier}
        return {**names, "quality_score": score, "source": "demo", **more}


# One that will decline, one that needs a higher tier, one for which a cheaper would do, and two that are well.
DECLINING = Stage("checkout", "answer", "cheap", 0.88)
STAGES = (
    DECLINING,
    Stage("checkout", "plan", "capable", 0.84),
    Stage("code-review", "analysis", "cheap", 0.58),
    Stage("code-review", "summary", "capable", 0.91),
    Stage("code-review", "summary", "premium", 0.95),
    Stage("support", "reply", "cheap", 0.81),
)
DECLINED = DECLINING._replace(quality=0.4)


def past_day(now: float, random: Random) -> list[Entry]:
    """Return the ratings of the last day: one of each stage an hour."""
    times = [now - age for age in range(DAY, 0, -HOUR)]
    return [stage.rating(random, timestamp=moment) for moment in times for stage in STAGES]


def live(random: Random, *, declined: bool) -> Iterator[Entry]:
    """Yield one rating of each stage, as of now."""
    for stage in STAGES:
        yield (DECLINED if declined and stage is DECLINING else stage).rating(random)
