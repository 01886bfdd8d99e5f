"""One stage of a workflow: how good each of its tiers is, where it goes, and which tier is recommended."""

from grafana_foundation_sdk.builders import heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import dashboard as models

from grafana import common, queries, variables
from grafana.panels import (
    GATE,
    MARGIN_STEPS,
    NEUTRAL,
    NONE_IS_GOOD,
    TREND_STEPS,
    Step,
    Target,
    buckets,
    dashed,
    limit,
    lines,
    now,
    over_time,
    stacked,
    states,
    tile,
    tile_of_name,
)

# A state set says 1 on one tier and 0 on the others, whatever the tiers of the ladder are called.
ON_OR_OFF = {"0": ("no", "transparent"), "1": ("yes", "blue")}
CURRENT_TIER = "The tier that most of the stage's newest 100 ratings are from."
RECOMMENDED_TIER = "The tier that the stage should use, by its ratings."
DECLINE = ((None, "red"), (-0.2, "green"))


def main() -> Dashboard:
    """Return the dashboard."""
    return (
        common.dashboard(
            "Stage", "One stage of a workflow, tier by tier.", "7d", [*variables.shared(), *variables.stage()]
        )
        .annotation(common.alerts("Alerts", queries.ALERTS_OF_STAGE, "tier {{tier}}, {{severity}}"))
        .with_row(Row("Now"))
        .with_panel(average_tile())
        .with_panel(margin_tile())
        .with_panel(trend_tile())
        .with_panel(tier_tile("Tier in use", CURRENT_TIER, queries.CURRENT))
        .with_panel(tier_tile("Recommended tier", RECOMMENDED_TIER, queries.RECOMMENDED))
        .with_panel(confidence_tile())
        .with_panel(alerts_tile())
        .with_panel(newest_tile())
        .with_row(Row("Quality"))
        .with_panel(band())
        .with_panel(day_lines())
        .with_panel(trend_lines())
        .with_panel(low_lines())
        .with_panel(score_heatmap())
        .with_row(Row("Recommendation"))
        .with_panel(tier_states("Tier in use", CURRENT_TIER, queries.CURRENT))
        .with_panel(tier_states("Recommended tier", RECOMMENDED_TIER, queries.RECOMMENDED))
        .with_panel(confidence_lines())
        .with_panel(sample_lines())
        .with_row(Row("Traffic"))
        .with_panel(rate_areas())
    )


def _small(title: str, description: str, unit: str, target: Target, steps: tuple[Step, ...]) -> stat.Panel:
    """Eight of them fill a row."""
    return tile(title, description, unit, target, steps).span(3)


def average_tile() -> stat.Panel:
    """Quality of the last day."""
    return _small(
        "Average, 1 day",
        "Mean score of the stage's ratings of the last day, all tiers together, 0 to 1.",
        "none",
        now(queries.STAGE_AVERAGE),
        NEUTRAL,
    ).decimals(3)


def margin_tile() -> stat.Panel:
    """Whether that is good enough."""
    return _small(
        "Against threshold",
        "How far the average of the last day lies above the stage's quality_threshold; below 0 it is too low.",
        "none",
        now(queries.STAGE_MARGIN),
        MARGIN_STEPS,
    ).decimals(3)


def trend_tile() -> stat.Panel:
    """Whether it falls."""
    return _small(
        "Worst trend",
        "The lowest trend of the stage's tiers: newest half of the newest 100 scores against the older half.",
        "percentunit",
        now(queries.STAGE_TREND),
        TREND_STEPS,
    ).decimals(1)


def tier_tile(title: str, description: str, expression: str) -> stat.Panel:
    """Which tier it is now: a state set says 1 on it."""
    return tile_of_name(title, description, now(f"({expression}) == 1", "{{tier}}")).span(3)


def confidence_tile() -> stat.Panel:
    """How sure that is."""
    return _small(
        "Confidence",
        "Confidence of the recommendation. Routers follow it above 0.7.",
        "percentunit",
        now(queries.STAGE_CONFIDENCE),
        GATE,
    )


def alerts_tile() -> stat.Panel:
    """How many alerts fire."""
    return _small(
        "Alerts firing", "Alerts on this stage that fire now.", "none", now(queries.STAGE_ALERTS), NONE_IS_GOOD
    )


def newest_tile() -> stat.Panel:
    """Whether ratings come in."""
    return _small(
        "Newest rating", "When the stage was last rated.", "dateTimeFromNow", now(queries.STAGE_NEWEST), NEUTRAL
    )


def band() -> timeseries.Panel:
    """Average between its bounds; one panel a tier, since a band needs the names of its lines."""
    panel = lines(
        "Quality of tier $tier",
        "Mean score over the window of the stage, 7 days by default, between the bounds of its 95 % interval, and the "
        "quality_threshold below which the stage should move a tier up.",
        "none",
        over_time(queries.TIER_AVERAGE, "Average"),
        over_time(queries.TIER_LOWER, "Lower bound"),
        over_time(queries.TIER_UPPER, "Upper bound"),
        over_time(queries.STAGE_THRESHOLD, "Threshold"),
    )
    thin = models.DynamicConfigValue("custom.lineWidth", 0)
    pale = models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "light-blue"})
    panel.override_by_name("Average", [models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "blue"})])
    panel.override_by_name("Lower bound", [thin, pale])
    panel.override_by_name(
        "Upper bound",
        [
            thin,
            pale,
            models.DynamicConfigValue("custom.fillBelowTo", "Lower bound"),
            models.DynamicConfigValue("custom.fillOpacity", 25),
        ],
    )
    dashed(panel, "Threshold", "red")
    return panel.min(0).max(1).decimals(2).span(24).repeat("tier").repeat_direction("h").max_per_row(3)


def day_lines() -> timeseries.Panel:
    """What the alerts on low quality look at."""
    panel = lines(
        "Average of a day",
        "Mean score by tier, each point over the day before it. Below the threshold LLMFeedbackQualityLow fires, once "
        "there are enough ratings.",
        "none",
        over_time(queries.DAY_BY_TIER, "{{tier}}"),
        over_time(queries.STAGE_THRESHOLD, "Threshold"),
    )
    return dashed(panel, "Threshold", "red").min(0).max(1).decimals(2)


def trend_lines() -> timeseries.Panel:
    """What the alert on decline looks at."""
    panel = lines(
        "Trend",
        "Relative change of the newest half of the newest 100 scores against the older half, by tier, and its upper "
        "bound. LLMFeedbackQualityDeclining fires while the trend is below -20 % and its upper bound below 0.",
        "percentunit",
        over_time(queries.TREND, "{{tier}}"),
        over_time(queries.TREND_BOUND, "{{tier}}, upper bound"),
    )
    panel.override_by_query("B", [models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [4, 8]})])
    return limit(panel, *DECLINE)


def low_lines() -> timeseries.Panel:
    """Share of low ratings."""
    description = "Share of ratings of 0.7 or lower by tier, each point over the day before it."
    panel = lines("Low ratings", description, "percentunit", over_time(queries.LOW_BY_TIER, "{{tier}}"))
    return panel.min(0).max(1)


def score_heatmap() -> heatmap.Panel:
    """How scores spread."""
    return buckets("Scores", "How many ratings fell into which range of scores, all tiers together.", queries.SCORES)


def tier_states(title: str, description: str, expression: str) -> statetimeline.Panel:
    """Which tier it was over time."""
    return states(title, description, ON_OR_OFF, over_time(expression, "{{tier}}"))


def confidence_lines() -> timeseries.Panel:
    """Confidence over time."""
    panel = lines(
        "Confidence",
        "Confidence of the stage's recommendation. Routers follow it above 0.7.",
        "percentunit",
        over_time(queries.STAGE_CONFIDENCE, "Confidence"),
    )
    return limit(panel, *GATE).min(0).max(1)


def sample_lines() -> timeseries.Panel:
    """Whether there are ratings enough."""
    panel = lines(
        "Ratings in the window",
        "Ratings in the window of the stage, by tier, and the min_samples that a recommendation needs.",
        "none",
        over_time(queries.SAMPLES, "{{tier}}"),
        over_time(queries.STAGE_NEEDED, "Needed"),
    )
    return dashed(panel, "Needed", "red").min(0)


def rate_areas() -> timeseries.Panel:
    """Ratings a second."""
    return stacked(
        "Ratings a second",
        "Ratings a second by tier, over 5 minutes.",
        "cps",
        over_time(queries.RATE_BY_TIER, "{{tier}}"),
    ).span(24)
