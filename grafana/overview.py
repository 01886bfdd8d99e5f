"""The first dashboard to look at: what needs attention now, and how quality went."""

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import common as shapes

from grafana import common, queries, variables
from grafana.panels import (
    MARGIN_STEPS,
    NEUTRAL,
    NONE_IS_GOOD,
    SCORE_STEPS,
    TREND_STEPS,
    Column,
    Step,
    lines,
    listing,
    now,
    over_time,
    rows,
    stacked,
    tile,
)

PLACE = (Column("workflow", "Workflow", leads=True), Column("stage", "Stage", leads=True))
JOB = Column("job", "Job")


def main() -> Dashboard:
    """Return the dashboard."""
    return (
        common.dashboard("Overview", "Which workflows and stages need attention now.", "7d", variables.shared())
        .annotation(common.alerts("Exporter alerts", queries.EXPORTER_ALERTS, "{{severity}}"))
        .with_row(Row("Now"))
        .with_panel(average_tile())
        .with_panel(low_tile())
        .with_panel(rate_tile())
        .with_panel(below_tile())
        .with_panel(firing_tile())
        .with_panel(series_tile())
        .with_row(Row("What needs attention"))
        .with_panel(declining_table())
        .with_panel(alerts_table())
        .with_panel(worst_table())
        .with_panel(moves_table("Move up", "A better tier is recommended", queries.UP))
        .with_panel(moves_table("Move down", "A cheaper tier would do", queries.DOWN))
        .with_row(Row("Over time"))
        .with_panel(quality_lines())
        .with_panel(week_lines())
        .with_panel(low_lines())
        .with_panel(rate_areas())
    )


def average_tile() -> stat.Panel:
    """Quality of the last day, over all."""
    description = "Mean score of all ratings of the last day, 0 to 1."
    return _lately("Average, 1 day", description, "none", queries.AVERAGE_OF_DAY, SCORE_STEPS).decimals(3)


def low_tile() -> stat.Panel:
    """Share of low ratings."""
    description = "Share of the ratings of the last day that are 0.7 or lower."
    return _lately("Low ratings, 1 day", description, "percentunit", queries.LOW_OF_DAY, NEUTRAL).decimals(1)


def rate_tile() -> stat.Panel:
    """How much is rated."""
    description = "Ratings a second over the last 5 minutes."
    return _lately("Ratings a second", description, "cps", queries.RATINGS_A_SECOND, NEUTRAL)


def _lately(title: str, description: str, unit: str, expression: str, steps: tuple[Step, ...]) -> stat.Panel:
    """Show a number of each job, and how it went."""
    panel = tile(title, description, unit, over_time(expression, "{{job}}"), steps)
    return panel.graph_mode(shapes.BigValueGraphMode.AREA)


def below_tile() -> stat.Panel:
    """How many stages are too low."""
    return tile(
        "Stages below threshold",
        "Stages whose ratings of the last day average below their own quality_threshold, however few there are.",
        "none",
        now(queries.STAGES_BELOW),
        NONE_IS_GOOD,
    )


def firing_tile() -> stat.Panel:
    """How many alerts fire."""
    return tile(
        "Alerts firing",
        "Alerts of this exporter that fire now, on quality and on the exporter itself.",
        "none",
        now(queries.ALERTS_FIRING),
        NONE_IS_GOOD,
    )


def series_tile() -> stat.Panel:
    """How much is known."""
    return tile(
        "Series",
        "Series (workflow, stage, tier) with a rating in the window.",
        "none",
        now(queries.LIVE_SERIES, "{{job}}"),
        NEUTRAL,
    )


def declining_table() -> table.Panel:
    """Where the decline alert fires."""
    return (
        listing(
            "Quality declines",
            "Series whose alert LLMFeedbackQualityDeclining fires: the newest scores lie more than 20 % below the "
            "older ones, beyond noise. A click leads to the stage.",
            (
                *PLACE,
                Column("tier", "Tier"),
                Column("Value #B", "Trend", "percentunit", 1, TREND_STEPS),
                Column("Value #A", "Since", "dateTimeFromNow"),
                JOB,
            ),
            rows(queries.DECLINING_SINCE),
            rows(queries.DECLINING_TREND),
            empty="No decline",
        )
        .span(24)
        .height(5)
    )


def alerts_table() -> table.Panel:
    """Whatever else fires."""
    return (
        listing(
            "Other alerts",
            "Every other alert of this exporter that fires. Those without a stage are about the exporter itself.",
            (
                Column("severity", "Severity"),
                Column("alertname", "Alert"),
                *PLACE,
                Column("tier", "Tier"),
                Column("reason", "Reason"),
                Column("Value", "Since", "dateTimeFromNow"),
                JOB,
            ),
            rows(queries.OTHERS_SINCE),
            empty="No other alert",
        )
        .span(24)
        .height(7)
    )


def worst_table() -> table.Panel:
    """Where quality is lowest, measured by each stage's own threshold."""
    return (
        listing(
            "Worst stages",
            "The ten stages whose average of the last day lies lowest against their own quality_threshold; below 0 it "
            "is too low. Trend is that of the stage's worst tier. A click leads to the stage.",
            (
                *PLACE,
                Column("tier", "Tier in use"),
                Column("Value #A", "Average, 1 day", "none", 3),
                Column("Value #B", "Against threshold", "none", 3, MARGIN_STEPS),
                Column("Value #C", "Worst trend", "percentunit", 1, TREND_STEPS),
                Column("Value #D", "Ratings, 1 day", "none", 0),
                JOB,
            ),
            rows(queries.WORST_AVERAGE),
            rows(queries.WORST_MARGIN),
            rows(queries.WORST_TREND),
            rows(queries.WORST_RATINGS),
            rows(queries.WORST_TIER),
            empty="No stage was rated within a day",
            hidden=("Value #E",),
        )
        .span(24)
        .sort_by([TableSortByFieldState().display_name("Against threshold")])
    )


def moves_table(title: str, why: str, direction: str) -> table.Panel:
    """Stages that should use another tier."""
    return listing(
        title,
        f"{why} with a confidence above 0.7, and most of the stage's newest ratings are still from another tier. "
        "A click leads to the stage.",
        (
            *PLACE,
            Column("current", "From"),
            Column("tier", "To"),
            Column("Value #A", "Confidence", "percentunit", 0),
            JOB,
        ),
        rows(queries.move_to(direction)),
        rows(queries.move_from(direction)),
        empty="Nothing to move",
        hidden=("Value #B",),
    ).height(6)


def quality_lines() -> timeseries.Panel:
    """Quality by day."""
    panel = lines(
        "Quality",
        "Mean score by workflow, each point over the day before it.",
        "none",
        over_time(queries.WORKFLOW_AVERAGE, "{{workflow}}"),
    )
    return panel.min(0).max(1).decimals(2)


def week_lines() -> timeseries.Panel:
    """Quality by week, longer back than the rest."""
    panel = lines(
        "Quality by week",
        "Mean score by workflow, each point over the 7 days before it, one a week, for the last 12 weeks, or as long "
        "as Prometheus keeps data.",
        "none",
        over_time(queries.WORKFLOW_WEEK, "{{workflow}}"),
    )
    weekly = panel.time_from("12w").interval("1w").show_points(shapes.VisibilityMode.ALWAYS).point_size(8)
    return weekly.min(0).max(1).decimals(2)


def low_lines() -> timeseries.Panel:
    """Share of low ratings."""
    panel = lines(
        "Low ratings",
        "Share of ratings of 0.7 or lower by workflow, each point over the day before it.",
        "percentunit",
        over_time(queries.WORKFLOW_LOW, "{{workflow}}"),
    )
    return panel.min(0).max(1)


def rate_areas() -> timeseries.Panel:
    """Ratings a second."""
    return stacked(
        "Ratings a second",
        "Ratings a second by workflow, over 5 minutes.",
        "cps",
        over_time(queries.WORKFLOW_RATE, "{{workflow}}"),
    )
