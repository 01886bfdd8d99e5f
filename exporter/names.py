"""The names that other systems see: every metric, and the closed list of rejection reasons.

The module imports nothing of this package, so that every layer may import it.
"""

from typing import Literal, NamedTuple

MetricType = Literal["gauge", "counter", "histogram"]

SERIES = ("workflow", "stage", "tier")
STAGE = ("workflow", "stage")


class Metric(NamedTuple):
    """One metric family: the name that a query types, without ``_bucket``, ``_sum`` or ``_count``."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()


QUALITY_AVG = Metric("llm_feedback_quality_avg", "gauge", "Mean score over the window, 0 to 1.", SERIES)
QUALITY_MIN = Metric("llm_feedback_quality_min", "gauge", "Lowest score in the window, 0 to 1.", SERIES)
QUALITY_MAX = Metric("llm_feedback_quality_max", "gauge", "Highest score in the window, 0 to 1.", SERIES)
QUALITY_LOWER_BOUND = Metric(
    "llm_feedback_quality_lower_bound", "gauge", "Lower bound of the 95 % interval of the mean score.", SERIES
)
QUALITY_UPPER_BOUND = Metric(
    "llm_feedback_quality_upper_bound", "gauge", "Upper bound of the 95 % interval of the mean score.", SERIES
)
QUALITY_TREND = Metric(
    "llm_feedback_quality_trend",
    "gauge",
    "Relative change of the newest half of the newest 100 scores against the older half.",
    SERIES,
)
QUALITY_TREND_UPPER_BOUND = Metric(
    "llm_feedback_quality_trend_upper_bound",
    "gauge",
    "One-sided 99 % upper bound of the trend; below zero the fall is beyond noise.",
    SERIES,
)
WINDOW_SAMPLES = Metric("llm_feedback_window_samples", "gauge", "Ratings in the window.", SERIES)
SCORE = Metric("llm_feedback_score", "histogram", "Scores since the record of the series was made.", SERIES)
LAST_TIMESTAMP = Metric(
    "llm_feedback_last_timestamp_seconds", "gauge", "Unix time of the newest rating, up to 5 minutes ahead.", SERIES
)
RECOMMENDED_TIER_RANK = Metric(
    "llm_feedback_recommended_tier_rank",
    "gauge",
    "Rank of the tier recommended to one who uses this tier; compare with llm_feedback_tier_rank.",
    SERIES,
)
RECOMMENDATION_CONFIDENCE = Metric(
    "llm_feedback_recommendation_confidence", "gauge", "Confidence of that recommendation, 0 to 1.", SERIES
)
RECOMMENDED_TIER = Metric(
    "llm_feedback_recommended_tier", "gauge", "1 on the tier that the stage should use now, 0 on the others.", SERIES
)
CURRENT_TIER = Metric(
    "llm_feedback_current_tier", "gauge", "1 on the tier that the stage uses now, 0 on the others.", SERIES
)
STAGE_CONFIDENCE = Metric(
    "llm_feedback_stage_confidence", "gauge", "Confidence of the recommendation of the stage, 0 to 1.", STAGE
)
QUALITY_THRESHOLD = Metric(
    "llm_feedback_quality_threshold", "gauge", "Mean score below which the stage should move a tier up.", STAGE
)
MIN_SAMPLES = Metric(
    "llm_feedback_min_samples", "gauge", "Ratings in the window that a recommendation of the stage needs.", STAGE
)
TIER_RANK = Metric("llm_feedback_tier_rank", "gauge", "Place of the tier on the ladder, 0 = cheapest.", ("tier",))

BUILD_INFO = Metric(
    "llm_feedback_exporter_build_info", "gauge", "1, labelled with the versions.", ("version", "pythonversion")
)
STORE_UP = Metric(
    "llm_feedback_exporter_store_up",
    "gauge",
    "0 when the last read or the last write failed by the fault of the store, else 1.",
)
EXPORTER_SERIES = Metric("llm_feedback_exporter_series", "gauge", "Live series.")
SERIES_LIMIT = Metric("llm_feedback_exporter_series_limit", "gauge", "Most live series that are accepted.")
RATINGS_ACCEPTED = Metric("llm_feedback_exporter_ratings_accepted_total", "counter", "Ratings stored.")
RATINGS_DUPLICATE = Metric(
    "llm_feedback_exporter_ratings_duplicate_total", "counter", "Ratings acknowledged whose id was stored already."
)
RATINGS_REJECTED = Metric(
    "llm_feedback_exporter_ratings_rejected_total", "counter", "Ratings rejected, by reason.", ("reason",)
)
VIEW_TIMESTAMP = Metric(
    "llm_feedback_exporter_view_timestamp_seconds", "gauge", "Unix time at which the view was last brought up to date."
)
REFRESH_DURATION = Metric(
    "llm_feedback_exporter_refresh_duration_seconds", "histogram", "Time that bringing the view up to date took."
)
HTTP_REQUEST_DURATION = Metric(
    "llm_feedback_exporter_http_request_duration_seconds",
    "histogram",
    "Time that an HTTP request took, by route and status code.",
    ("handler", "code"),
)
RELOAD_SUCCESSFUL = Metric(
    "llm_feedback_exporter_config_last_reload_successful", "gauge", "1 when the last reload succeeded, else 0."
)
RELOAD_SUCCESS_TIMESTAMP = Metric(
    "llm_feedback_exporter_config_last_reload_success_timestamp_seconds",
    "gauge",
    "Unix time of the last successful reload.",
)

PER_SERIES = (
    QUALITY_AVG,
    QUALITY_MIN,
    QUALITY_MAX,
    QUALITY_LOWER_BOUND,
    QUALITY_UPPER_BOUND,
    QUALITY_TREND,
    QUALITY_TREND_UPPER_BOUND,
    WINDOW_SAMPLES,
    SCORE,
    LAST_TIMESTAMP,
    RECOMMENDED_TIER_RANK,
    RECOMMENDATION_CONFIDENCE,
)
PER_STAGE = (RECOMMENDED_TIER, CURRENT_TIER, STAGE_CONFIDENCE, QUALITY_THRESHOLD, MIN_SAMPLES)
EXPORTER = (
    BUILD_INFO,
    STORE_UP,
    EXPORTER_SERIES,
    SERIES_LIMIT,
    RATINGS_ACCEPTED,
    RATINGS_DUPLICATE,
    RATINGS_REJECTED,
    VIEW_TIMESTAMP,
    REFRESH_DURATION,
    HTTP_REQUEST_DURATION,
    RELOAD_SUCCESSFUL,
    RELOAD_SUCCESS_TIMESTAMP,
)
METRICS = (*PER_SERIES, *PER_STAGE, TIER_RANK, *EXPORTER)

REJECT_REASONS = (
    "malformed",  # the entry is no JSON object, or holds what JSON allows and we cannot keep
    "invalid_name",  # workflow, stage or feedback_id breaks the rules for names, or is missing
    "unknown_tier",  # the tier is none of the ladder's, or is missing
    "invalid_score",  # no score, more than one, or one out of range
    "invalid_timestamp",  # neither RFC 3339 with offset nor Unix seconds
    "too_old",  # older than the window of its stage
    "in_future",  # more than 5 minutes ahead
    "invalid_metadata",  # no JSON object, or over the size limit
    "unknown_field",  # a field that no entry has
    "series_limit",  # it would begin a series beyond the limit
)
