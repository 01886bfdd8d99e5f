"""The alerts on quality: falling, low, on the wrong tier, not rated at all."""

from alerts.alert import Alert
from alerts.expressions import NOBODY_KNOWS, SERIES

DASHBOARD = "llm-feedback-stage"
HOLD = "15m"

SERIES_NAME = "{{ $labels.workflow }}/{{ $labels.stage }} on tier {{ $labels.tier }}"
STAGE_NAME = "{{ $labels.workflow }}/{{ $labels.stage }}"

# Where nobody reads the store, nobody can know whether ratings go on: the answer stands as it was.
RATED_WITHIN_A_DAY = f"""(
  time() - series:llm_feedback_last_timestamp_seconds:max < 86400
  or
  series:llm_feedback_last_timestamp_seconds:max and {SERIES} {NOBODY_KNOWS}
)"""

DECLINING = Alert(
    name="LLMFeedbackQualityDeclining",
    severity="warning",
    expression=f"""series:llm_feedback_quality_trend:max < -0.2
and series:llm_feedback_quality_trend_upper_bound:max < 0
and series:llm_feedback_window_samples:max >= 20
and {RATED_WITHIN_A_DAY}""",
    wait="1m",
    hold=HOLD,
    summary="Quality is falling beyond noise.",
    description=f"Ratings of {SERIES_NAME} fell: the newest half of its newest 100 scores averages "
    "{{ $value | humanizePercentage }} against the older half.",
    dashboard=DASHBOARD,
)


def _low(margin: str) -> str:
    """The day's average lies below the stage's own threshold, by at least its own number of ratings."""
    threshold = f"(stage:llm_feedback_quality_threshold:max{margin})"
    return f"""series:llm_feedback_score:avg1d < ignoring (tier) group_left () {threshold}
and
series:llm_feedback_score_count:increase1d >= ignoring (tier) group_left () stage:llm_feedback_min_samples:max"""


LOW = Alert(
    name="LLMFeedbackQualityLow",
    severity="warning",
    expression=_low(""),
    wait="15m",
    hold=HOLD,
    summary="Quality is below the threshold of the stage.",
    description=f'Ratings of the last day of {SERIES_NAME} average {{{{ $value | printf "%.3f" }}}}, '
    "below the stage's quality_threshold.",
    dashboard=DASHBOARD,
)

CRITICALLY_LOW = Alert(
    name="LLMFeedbackQualityCriticallyLow",
    severity="critical",
    expression=_low(" - 0.2"),
    wait="15m",
    hold=HOLD,
    summary="Quality is far below the threshold of the stage.",
    description=f'Ratings of the last day of {SERIES_NAME} average {{{{ $value | printf "%.3f" }}}}, '
    "more than 0.2 below the stage's quality_threshold.",
    dashboard=DASHBOARD,
)


def _move(comparison: str) -> str:
    """The stage should use another tier, surely; labelled with that tier, its value the confidence."""
    return f"""stage:llm_feedback_recommended_tier:max == 1
and ignoring (tier)
(stage:llm_feedback_recommended_tier_rank:max {comparison} stage:llm_feedback_current_tier_rank:max)
and ignoring (tier)
(stage:llm_feedback_stage_confidence:max > 0.7)"""


UPGRADE_NOT_TAKEN = Alert(
    name="LLMFeedbackUpgradeNotTaken",
    severity="warning",
    expression=_move(">"),
    wait="4h",
    hold=HOLD,
    summary="A higher tier is recommended, and calls do not use it.",
    description=f"For hours, ratings have recommended tier {{{{ $labels.tier }}}} for {STAGE_NAME} with a confidence "
    "above 0.7, and most of its rated calls still use a lower one.",
    dashboard=DASHBOARD,
)

DOWNGRADE_POSSIBLE = Alert(
    name="LLMFeedbackDowngradePossible",
    severity="info",
    expression=_move("<"),
    wait="1d",
    hold=HOLD,
    summary="A cheaper tier would do.",
    description=f"For a day, ratings have recommended tier {{{{ $labels.tier }}}} for {STAGE_NAME} with a confidence "
    "above 0.7, and most of its rated calls still use a dearer one.",
    dashboard=DASHBOARD,
)

SIX_HOURS = "stage:llm_feedback_score_count:increase6h"

# Six hours ago the stage was seen, else nobody watched; the same hours were busy yesterday (no weekend has begun)
# and a week ago (this is no quiet day of the week).
STOPPED = Alert(
    name="LLMFeedbackRatingsStopped",
    severity="warning",
    expression=f"""{SIX_HOURS} offset 1d > 20
and {SIX_HOURS} offset 1w > 20
and {SIX_HOURS} == 0
and {SIX_HOURS} offset 6h >= 0""",
    wait="15m",
    summary="A stage gets no ratings any more.",
    description=f"No rating of {STAGE_NAME} came in the last 6 hours; in the same hours there were "
    '{{ $value | printf "%.0f" }} yesterday, and more than 20 a week ago.',
    dashboard=DASHBOARD,
)

ALERTS = (DECLINING, LOW, CRITICALLY_LOW, UPGRADE_NOT_TAKEN, DOWNGRADE_POSSIBLE, STOPPED)
