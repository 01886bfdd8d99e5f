"""The alerts on quality: falling, low, on the wrong tier, not rated at all."""

from alerts.alert import Alert

DASHBOARD = "llm-feedback-stage"
HOLD = "15m"

SERIES_NAME = "{{ $labels.workflow }}/{{ $labels.stage }} on tier {{ $labels.tier }}"
STAGE_NAME = "{{ $labels.workflow }}/{{ $labels.stage }}"

DECLINING = Alert(
    name="LLMFeedbackQualityDeclining",
    severity="warning",
    expression="""series:llm_feedback_quality_trend:max < -0.2
and series:llm_feedback_quality_trend_upper_bound:max < 0
and series:llm_feedback_window_samples:max >= 20
and series:llm_feedback_age_seconds:min < 86400""",
    wait="1m",
    hold=HOLD,
    summary="Quality is falling beyond noise.",
    description=f"Ratings of {SERIES_NAME} fell: the newest half of its newest 100 scores averages "
    "{{ $value | humanizePercentage }} against the older half.",
    dashboard=DASHBOARD,
)

# A busy stage: of its newest 100 scores, all are from after the fall before anybody has looked twice, so its trend
# does not tell. An hour of 500 ratings or more is beyond noise by itself: 20 % are four standard errors or more,
# whatever the scores, from an average of 0.45 on; below that, a stage is critically low by default.
DROPPED = Alert(
    name="LLMFeedbackQualityDropped",
    severity="warning",
    expression="""series:llm_feedback_score:avg1h < 0.8 * series:llm_feedback_score:avg1d
and series:llm_feedback_score_count:increase1h >= 500""",
    wait="5m",
    hold=HOLD,
    summary="Quality of the last hour is far below that of the day.",
    description=f'Ratings of the last hour of {SERIES_NAME} average {{{{ $value | printf "%.3f" }}}}, '
    "more than 20 % below those of the last day.",
    dashboard=DASHBOARD,
)


def _low(threshold: str) -> str:
    """The day's average lies below ``threshold``, and at least as many ratings as the stage asks for came in the day.

    They are counted by ``seen1d``: an increase makes too many of the first ones of a series, and remembers for a day
    those that were cleared.
    """
    return f"""series:llm_feedback_score:avg1d < ignoring (tier) group_left () {threshold}
and
series:llm_feedback_score_count:seen1d >= ignoring (tier) group_left () stage:llm_feedback_min_samples:max"""


LOW = Alert(
    name="LLMFeedbackQualityLow",
    severity="warning",
    expression=_low("stage:llm_feedback_quality_threshold:max"),
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
    # Rounded as averages are: 0.8 - 0.2 is a hair above 0.6.
    expression=_low("round(stage:llm_feedback_quality_threshold:max - 0.2, 0.000001)"),
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

# The same hours were busy yesterday (no weekend has begun) and a week ago (this is no quiet day of the week), and six
# hours ago the stage was seen, else nobody watched.
STOPPED = Alert(
    name="LLMFeedbackRatingsStopped",
    severity="warning",
    expression="""stage:llm_feedback_score_count:usual6h > 20
and stage:llm_feedback_score_count:increase6h == 0
and count without (tier) (series:llm_feedback_score_count:max offset 6h)""",
    wait="15m",
    hold=HOLD,
    summary="A stage gets no ratings any more.",
    description=f"No rating of {STAGE_NAME} came in the last 6 hours; in the same hours there were at least "
    '{{ $value | printf "%.0f" }} yesterday and a week ago.',
    dashboard=DASHBOARD,
)

ALERTS = (DECLINING, DROPPED, LOW, CRITICALLY_LOW, UPGRADE_NOT_TAKEN, DOWNGRADE_POSSIBLE, STOPPED)
