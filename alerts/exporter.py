"""The alerts on the exporter itself: while one of these fires, what the others say may be old or missing."""

from alerts.alert import Alert
from alerts.expressions import JOB, exporters

DASHBOARD = "llm-feedback-exporter"


def _some(metric: str) -> str:
    """Count the replicas of which a gauge says 0."""
    return exporters("count", f"{metric}{{{JOB}}} == 0")


EXPORTER_DOWN = Alert(
    name="LLMFeedbackExporterDown",
    severity="critical",
    expression=f"{exporters('max', f'up{{{JOB}}}')} == 0",
    wait="5m",
    summary="No exporter answers.",
    description="Prometheus can scrape no exporter of job {{ $labels.job }}: ratings are lost unless clients keep "
    "them, and routers read no recommendation.",
    dashboard=DASHBOARD,
)

REPLICA_DOWN = Alert(
    name="LLMFeedbackExporterReplicaDown",
    severity="warning",
    expression=f"{_some('up')} > 0\nand\n{exporters('max', f'up{{{JOB}}}')} == 1",
    wait="15m",
    summary="Some exporters do not answer.",
    description="Prometheus cannot scrape {{ $value }} of the exporters of job {{ $labels.job }}; others answer.",
    dashboard=DASHBOARD,
)

STORE_DOWN = Alert(
    name="LLMFeedbackStoreDown",
    severity="critical",
    expression=f"{_some('llm_feedback_exporter_store_up')} > 0",
    wait="2m",
    # An exporter that restarts meanwhile says nothing for some seconds.
    hold="5m",
    summary="The store does not answer, so ratings are refused.",
    description="{{ $value }} exporter(s) of job {{ $labels.job }} cannot read or write the store: ratings are "
    "answered with 503, and what is shown is the last known view.",
    dashboard=DASHBOARD,
)

# 0 stands for no view yet: the exporter waits for its store, which the alert above tells.
VIEW_STALE = Alert(
    name="LLMFeedbackViewStale",
    severity="warning",
    expression=exporters("max", f"time() - (llm_feedback_exporter_view_timestamp_seconds{{{JOB}}} > 0)") + " > 600",
    wait="5m",
    summary="An exporter shows old numbers.",
    description="The view of an exporter of job {{ $labels.job }} was last brought up to date "
    "{{ $value | humanizeDuration }} ago.",
    dashboard=DASHBOARD,
)

FEEDBACK_REJECTED = Alert(
    name="LLMFeedbackRejected",
    severity="warning",
    expression="""job:llm_feedback_exporter_ratings_rejected:ratio1h > 0.05
and
job:llm_feedback_exporter_ratings_rejected:increase1h > 10""",
    wait="15m",
    hold="15m",
    summary="Many ratings are rejected.",
    description="{{ $value | humanizePercentage }} of the ratings of the last hour sent to job {{ $labels.job }} were "
    "rejected with reason {{ $labels.reason }}.",
    dashboard=DASHBOARD,
)

SERIES_LIMIT_NEAR = Alert(
    name="LLMFeedbackSeriesLimitNear",
    severity="warning",
    expression=exporters("max", f"llm_feedback_exporter_series{{{JOB}}} / llm_feedback_exporter_series_limit{{{JOB}}}")
    + " > 0.9",
    wait="15m",
    hold="15m",
    summary="The limit of series is near.",
    description="Job {{ $labels.job }} holds {{ $value | humanizePercentage }} of the series that series_limit allows; "
    "beyond it, ratings that would begin a series are rejected.",
    dashboard=DASHBOARD,
)

RELOAD_FAILED = Alert(
    name="LLMFeedbackReloadFailed",
    severity="warning",
    expression=f"{_some('llm_feedback_exporter_config_last_reload_successful')} > 0",
    wait="5m",
    summary="A configuration was not loaded.",
    description="The last reload of {{ $value }} exporter(s) of job {{ $labels.job }} failed; the configuration from "
    "before is in force.",
    dashboard=DASHBOARD,
)

ALERTS = (
    EXPORTER_DOWN,
    REPLICA_DOWN,
    STORE_DOWN,
    VIEW_STALE,
    FEEDBACK_REJECTED,
    SERIES_LIMIT_NEAR,
    RELOAD_FAILED,
)
