"""The exporter itself: whether what the other dashboards show can be trusted."""

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from grafana import common, queries, variables
from grafana.panels import (
    NEUTRAL,
    Column,
    dashed,
    limit,
    lines,
    listing,
    mapping,
    now,
    over_time,
    rows,
    stacked,
    states,
    tile,
)

UP_OR_DOWN = {"0": ("down", "red"), "1": ("up", "green")}
OK_OR_FAILED = {"0": ("failed", "red"), "1": ("ok", "green")}
ONE_IS_GOOD = ((None, "red"), (1, "green"))
NEAR_LIMIT = ((None, "green"), (0.9, "red"))
STALE = ((None, "green"), (600, "red"))


def main() -> Dashboard:
    """Return the dashboard."""
    return (
        common.dashboard("Exporter", "Whether the exporter works, and how busy it is.", "1d", variables.shared())
        .annotation(common.alerts("Exporter alerts", queries.EXPORTER_ALERTS, "{{severity}}"))
        .with_row(Row("Now"))
        .with_panel(up_tile())
        .with_panel(store_tile())
        .with_panel(age_tile())
        .with_panel(series_tile())
        .with_panel(reload_tile())
        .with_panel(reloaded_tile())
        .with_row(Row("Ratings"))
        .with_panel(verdict_areas())
        .with_panel(reason_areas())
        .with_row(Row("HTTP"))
        .with_panel(request_areas())
        .with_panel(latency_lines("Latency, median", 0.5))
        .with_panel(latency_lines("Latency, 99 %", 0.99))
        .with_row(Row("Store and view"))
        .with_panel(store_states())
        .with_panel(refresh_lines())
        .with_panel(age_lines())
        .with_panel(series_lines())
        .with_row(Row("Process"))
        .with_panel(process_lines("Memory", "Resident memory of each exporter.", "bytes", queries.MEMORY))
        .with_panel(process_lines("CPU", "Processors that each exporter keeps busy.", "percentunit", queries.CPU))
        .with_panel(process_lines("Open files", "Files and connections of each exporter.", "none", queries.FILES))
        .with_panel(process_lines("Uptime", "Time since each exporter was started.", "s", queries.UPTIME))
        .with_panel(version_table())
    )


def up_tile() -> stat.Panel:
    """Whether exporters answer."""
    return tile(
        "Exporters",
        "Whether Prometheus can scrape each exporter.",
        "none",
        now(queries.ANSWERING, "{{instance}}"),
        ONE_IS_GOOD,
    ).mappings([mapping(UP_OR_DOWN)])


def store_tile() -> stat.Panel:
    """Whether the store answers."""
    return tile(
        "Store",
        "Whether the last read and the last write of the store succeeded, by exporter.",
        "none",
        now(queries.STORE_UP, "{{instance}}"),
        ONE_IS_GOOD,
    ).mappings([mapping(UP_OR_DOWN)])


def age_tile() -> stat.Panel:
    """How old the numbers are."""
    return tile(
        "Age of the view",
        "How long ago each exporter last brought its view up to date. LLMFeedbackViewStale fires above 10 minutes.",
        "s",
        now(queries.VIEW_AGE, "{{instance}}"),
        STALE,
    )


def series_tile() -> stat.Panel:
    """How near the limit of series is."""
    return tile(
        "Series of limit",
        "Share of series_limit that is used. At 100 %, ratings that would begin a series are rejected; "
        "LLMFeedbackSeriesLimitNear fires above 90 %.",
        "percentunit",
        now(queries.SERIES_USED),
        NEAR_LIMIT,
    )


def reload_tile() -> stat.Panel:
    """Whether the configuration is the one in the file."""
    return tile(
        "Configuration",
        "Whether the last reload of the configuration succeeded, by exporter.",
        "none",
        now(queries.RELOADED, "{{instance}}"),
        ONE_IS_GOOD,
    ).mappings([mapping(OK_OR_FAILED)])


def reloaded_tile() -> stat.Panel:
    """Since when it is in force."""
    return tile(
        "Loaded",
        "When each exporter last loaded its configuration with success.",
        "dateTimeFromNow",
        now(queries.RELOADED_AT, "{{instance}}"),
        NEUTRAL,
    )


def verdict_areas() -> timeseries.Panel:
    """What became of ratings."""
    return stacked(
        "Ratings a second",
        "Ratings that all exporters together stored, knew already (duplicate), or rejected.",
        "cps",
        *(over_time(queries.ratings(verdict), verdict) for verdict in ("accepted", "duplicate", "rejected")),
    )


def reason_areas() -> timeseries.Panel:
    """Why ratings were rejected."""
    return stacked(
        "Rejected by reason",
        "Ratings a second that were rejected, by reason. LLMFeedbackRejected fires when a reason takes more than 5 % "
        "of the ratings of an hour.",
        "cps",
        over_time(queries.REJECTED, "{{reason}}"),
    )


def request_areas() -> timeseries.Panel:
    """Requests."""
    return stacked(
        "Requests a second",
        "HTTP requests to all exporters together, by route and status code.",
        "reqps",
        over_time(queries.REQUESTS, "{{handler}} {{code}}"),
    ).span(24)


def latency_lines(title: str, quantile: float) -> timeseries.Panel:
    """How long requests take."""
    return lines(
        title,
        f"Time within which {quantile:.0%} of the requests were answered, by route.",
        "s",
        over_time(queries.latency(quantile), "{{handler}}"),
    ).min(0)


def store_states() -> statetimeline.Panel:
    """When the store answered."""
    return states(
        "Store",
        "When each exporter could read and write its store.",
        UP_OR_DOWN,
        over_time(queries.STORE_UP, "{{instance}}"),
    )


def refresh_lines() -> timeseries.Panel:
    """How long the view takes."""
    return lines(
        "Refresh of the view",
        "Time that bringing the view up to date took.",
        "s",
        over_time(queries.REFRESH_MEAN, "mean"),
        over_time(queries.REFRESH_QUANTILE, "99 %"),
    ).min(0)


def age_lines() -> timeseries.Panel:
    """How old the numbers were."""
    panel = lines(
        "Age of the view",
        "How long before each scrape the view was last brought up to date.",
        "s",
        over_time(queries.VIEW_AGE, "{{instance}}"),
    )
    return limit(panel, *STALE).min(0)


def series_lines() -> timeseries.Panel:
    """Series against their limit."""
    panel = lines(
        "Series",
        "Live series of each exporter, and the most that are accepted.",
        "none",
        over_time(queries.SERIES, "{{instance}}"),
        over_time(queries.SERIES_LIMIT_LINE, "Limit"),
    )
    return dashed(panel, "Limit", "red").min(0)


def process_lines(title: str, description: str, unit: str, expression: str) -> timeseries.Panel:
    """One of the numbers that every process tells."""
    return lines(title, description, unit, over_time(expression, "{{instance}}")).min(0)


def version_table() -> table.Panel:
    """Versions."""
    return listing(
        "Versions",
        "What runs.",
        (
            Column("instance", "Instance"),
            Column("version", "Version"),
            Column("pythonversion", "Python"),
            Column("job", "Job"),
        ),
        rows(queries.VERSIONS),
        empty="No exporter",
        hidden=("Value",),
    ).span(24)
