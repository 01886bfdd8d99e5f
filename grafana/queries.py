"""The PromQL of every panel, apart from its layout. How names and replicas are written stands here once.

Three kinds of series are read:

- *recorded* ones (``series:...``, ``stage:...``): the recording rules have made one of all replicas already, and they
  carry no ``instance``;
- what each exporter shows of the one store (``known``): the same from every replica, so that all start from
  ``max without (instance)``;
- what an exporter counts of its own traffic: replicas are summed.
"""

JOB = 'job=~"$job"'
EXPORTERS = f'{JOB}, instance=~"$instance"'

# The names of a workflow and of its stage may hold anything: `v2/\d+ (EU)|x`, quotes, backslashes. Grafana's own
# escaping cannot be trusted with them: as long as its toggle prometheusSpecialCharsInLabelValues is off, as by
# default, it escapes single quotes (so that "it's" finds nothing) and leaves double quotes (so that the query does not
# parse). So both variables hold exactly one value, are written as they are (`:raw`), compared with `=`, never as a
# regular expression, and stand between backquotes, where PromQL knows no escapes. What remains: a name that holds a
# backquote itself cannot be looked at by these dashboards.
STAGE_NAMES = "workflow=`${workflow:raw}`, stage=`${stage:raw}`"
STAGE = f"{JOB}, {STAGE_NAMES}"
STAGE_OF_EXPORTERS = f"{EXPORTERS}, {STAGE_NAMES}"
# A panel is repeated for each tier of the stage, and sees one of them.
TIER_OF_EXPORTERS = f"{STAGE_OF_EXPORTERS}, tier=`${{tier:raw}}`"

OWN = "workflow, stage, tier"
BUILD = f"llm_feedback_exporter_build_info{{{EXPORTERS}}}"
BUILD_LABELS = "version, pythonversion"


def known(metric: str, selector: str) -> str:
    """One value a series of what replicas show of their store; those that cannot read it do not count if others can."""
    raw = f"{metric}{{{selector}}}"
    unread = f"(llm_feedback_exporter_store_up{{{EXPORTERS}}} == 0)"
    return f"max without (instance) ({raw} unless ignoring ({OWN}) {unread}) or max without (instance) ({raw})"


def ours(vector: str) -> str:
    """Only what comes from an exporter: other jobs bring ``process_...`` and ``up`` too."""
    return f"{vector} and ignoring ({BUILD_LABELS}) max_over_time({BUILD}[1d])"


def nameless(recorded: str) -> str:
    """Drop the name of a recorded series, which would become a column of a table."""
    return f"max without (instance) ({recorded})"


# --- Alerts. What fires is one series of ALERTS; since when, the value of one of ALERTS_FOR_STATE.
DECLINING = 'alertname="LLMFeedbackQualityDeclining"'
ANY_ALERT = 'alertname=~"LLMFeedback.+"'
OTHER_ALERTS = f'{ANY_ALERT}, alertname!="LLMFeedbackQualityDeclining"'


def firing(alerts: str, selector: str = JOB) -> str:
    """Return the alerts that fire."""
    return f'ALERTS{{{alerts}, alertstate="firing", {selector}}}'


def since(alerts: str) -> str:
    """When each alert that fires became active, in milliseconds of Unix time as Grafana wants it."""
    return f"ALERTS_FOR_STATE{{{alerts}, {JOB}}} * 1000 and ignoring (alertstate) {firing(alerts)}"


# --- Overview: now
AVERAGE_OF_DAY = f"job:llm_feedback_score:avg1d{{{JOB}}}"
LOW_OF_DAY = f"job:llm_feedback_score_low:ratio1d{{{JOB}}}"
RATINGS_A_SECOND = f"job:llm_feedback_score_count:rate5m{{{JOB}}}"
LIVE_SERIES = f"max without (instance) (llm_feedback_exporter_series{{{EXPORTERS}}})"
ALERTS_FIRING = f"count({firing(ANY_ALERT)}) or vector(0)"
STAGES_BELOW = (
    f"count(stage:llm_feedback_score:avg1d{{{JOB}}} < stage:llm_feedback_quality_threshold:max{{{JOB}}}) or vector(0)"
)

DECLINING_SINCE = f"max without (alertname, severity) ({since(DECLINING)})"
DECLINING_TREND = (
    f"{nameless(f'series:llm_feedback_quality_trend:max{{{JOB}}}')}"
    f" and ignoring (alertname, alertstate, severity) {firing(DECLINING)}"
)
OTHERS_SINCE = since(OTHER_ALERTS)

# How far the day's average lies above its stage's threshold: below 0 a stage needs attention.
MARGIN = f"stage:llm_feedback_score:avg1d{{{JOB}}} - stage:llm_feedback_quality_threshold:max{{{JOB}}}"
WORST_MARGIN = f"bottomk(10, {MARGIN})"
WORST_AVERAGE = f"{nameless(f'stage:llm_feedback_score:avg1d{{{JOB}}}')} and {WORST_MARGIN}"
WORST_TREND = f"min without (tier) (series:llm_feedback_quality_trend:max{{{JOB}}}) and {WORST_MARGIN}"
# Whole ratings, as the alerts on low quality count them.
WORST_RATINGS = f"sum without (tier) (series:llm_feedback_score_count:seen1d{{{JOB}}}) and {WORST_MARGIN}"
IN_USE = f"(({known('llm_feedback_current_tier', EXPORTERS)}) == 1)"
WORST_TIER = f"{IN_USE} and ignoring (tier) ({WORST_MARGIN})"


UP = ">"
DOWN = "<"


def _to_move(direction: str) -> str:
    """Return the stages that should use another tier, surely: their confidence."""
    recommended = f"stage:llm_feedback_recommended_tier_rank:max{{{JOB}}}"
    current = f"stage:llm_feedback_current_tier_rank:max{{{JOB}}}"
    confidence = f"stage:llm_feedback_stage_confidence:max{{{JOB}}}"
    return f"({confidence} > 0.7 and {recommended} {direction} {current})"


def move_to(direction: str) -> str:
    """Return the tier that such a stage should use, as label ``tier``; the value is the confidence."""
    return (
        f"(stage:llm_feedback_recommended_tier:max{{{JOB}}} == 1) * ignoring (tier) group_left () {_to_move(direction)}"
    )


def move_from(direction: str) -> str:
    """Return the tier that such a stage uses, as label ``current``: ``tier`` is the one to move to."""
    current = f'max without (tier) (label_replace({IN_USE}, "current", "$1", "tier", "(.+)"))'
    return f"{current} and ignoring (current) {_to_move(direction)}"


# --- Overview: over time
WORKFLOW_AVERAGE = f"workflow:llm_feedback_score:avg1d{{{JOB}}}"
WORKFLOW_WEEK = f"workflow:llm_feedback_score:avg7d{{{JOB}}}"
WORKFLOW_LOW = f"workflow:llm_feedback_score_low:ratio1d{{{JOB}}}"
WORKFLOW_RATE = f"workflow:llm_feedback_score_count:rate5m{{{JOB}}}"

# --- Stage
STAGE_AVERAGE = f"stage:llm_feedback_score:avg1d{{{STAGE}}}"
STAGE_MARGIN = f"{STAGE_AVERAGE} - stage:llm_feedback_quality_threshold:max{{{STAGE}}}"
STAGE_TREND = f"min without (tier) (series:llm_feedback_quality_trend:max{{{STAGE}}})"
STAGE_CONFIDENCE = f"stage:llm_feedback_stage_confidence:max{{{STAGE}}}"
STAGE_THRESHOLD = f"stage:llm_feedback_quality_threshold:max{{{STAGE}}}"
STAGE_NEEDED = f"stage:llm_feedback_min_samples:max{{{STAGE}}}"
STAGE_NEWEST = f"max without (tier) (series:llm_feedback_last_timestamp_seconds:max{{{STAGE}}}) * 1000"
STAGE_ALERTS = f"count({firing(ANY_ALERT, STAGE)}) or vector(0)"
RECOMMENDED = f"stage:llm_feedback_recommended_tier:max{{{STAGE}}}"
CURRENT = known("llm_feedback_current_tier", STAGE_OF_EXPORTERS)

TIER_AVERAGE = known("llm_feedback_quality_avg", TIER_OF_EXPORTERS)
TIER_LOWER = known("llm_feedback_quality_lower_bound", TIER_OF_EXPORTERS)
TIER_UPPER = known("llm_feedback_quality_upper_bound", TIER_OF_EXPORTERS)
TREND = f"series:llm_feedback_quality_trend:max{{{STAGE}}}"
TREND_BOUND = f"series:llm_feedback_quality_trend_upper_bound:max{{{STAGE}}}"
DAY_BY_TIER = f"series:llm_feedback_score:avg1d{{{STAGE}}}"
LOW_BY_TIER = f"series:llm_feedback_score_low:ratio1d{{{STAGE}}}"
RATE_BY_TIER = f"series:llm_feedback_score_count:rate5m{{{STAGE}}}"
SAMPLES = f"series:llm_feedback_window_samples:max{{{STAGE}}}"
SCORES = (
    "sum by (le) (max without (instance)"
    f" (increase(llm_feedback_score_bucket{{{STAGE_OF_EXPORTERS}, le!='+Inf'}}[$__rate_interval])))"
)

# --- Exporter
ANSWERING = ours(f"up{{{EXPORTERS}}}")
VERSIONS = f"count by (job, instance, {BUILD_LABELS}) ({BUILD})"
STORE_UP = f"llm_feedback_exporter_store_up{{{EXPORTERS}}}"
# 0 stands for no view yet.
VIEW_AGE = f"time() - (llm_feedback_exporter_view_timestamp_seconds{{{EXPORTERS}}} > 0)"
SERIES = f"llm_feedback_exporter_series{{{EXPORTERS}}}"
SERIES_LIMIT = f"llm_feedback_exporter_series_limit{{{EXPORTERS}}}"
SERIES_LIMIT_LINE = f"max({SERIES_LIMIT})"
SERIES_USED = f"max({SERIES} / {SERIES_LIMIT})"
RELOADED = f"llm_feedback_exporter_config_last_reload_successful{{{EXPORTERS}}}"
RELOADED_AT = f"llm_feedback_exporter_config_last_reload_success_timestamp_seconds{{{EXPORTERS}}} * 1000"


def _rate(counter: str) -> str:
    return f"rate({counter}{{{EXPORTERS}}}[$__rate_interval])"


def ratings(verdict: str) -> str:
    """Ratings a second that were accepted, duplicate or rejected."""
    return f"sum({_rate(f'llm_feedback_exporter_ratings_{verdict}_total')})"


REJECTED = f"sum by (reason) ({_rate('llm_feedback_exporter_ratings_rejected_total')})"
HTTP = "llm_feedback_exporter_http_request_duration_seconds"
REQUESTS = f"sum by (handler, code) ({_rate(f'{HTTP}_count')})"
REFRESH = "llm_feedback_exporter_refresh_duration_seconds"
REFRESH_MEAN = f"sum({_rate(f'{REFRESH}_sum')}) / (sum({_rate(f'{REFRESH}_count')}) > 0)"
REFRESH_QUANTILE = f"histogram_quantile(0.99, sum by (le) ({_rate(f'{REFRESH}_bucket')})) >= 0"


def latency(quantile: float) -> str:
    """A quantile of the time that requests took, by route; nothing (instead of NaN) where there was no request."""
    buckets = f"sum by (le, handler) ({_rate(f'{HTTP}_bucket')})"
    return f"histogram_quantile({quantile}, {buckets}) >= 0"


MEMORY = ours(f"process_resident_memory_bytes{{{EXPORTERS}}}")
CPU = ours(_rate("process_cpu_seconds_total"))
FILES = ours(f"process_open_fds{{{EXPORTERS}}}")
UPTIME = f"time() - ({ours(f'process_start_time_seconds{{{EXPORTERS}}}')})"


def began(alerts: str, selector: str = JOB) -> str:
    """When alerts began to fire, once each: as long as one fires, Grafana would draw a line at every step.

    Steps are long, two hours in a week; an alert that was shorter is found by looking at the whole of a step.
    """
    fired = f"max_over_time({firing(alerts, selector)}[$__interval]"
    return f"{fired}) unless {fired} offset $__interval)"


# The exporter's own alerts name no workflow.
EXPORTER_ALERTS = began(f'{ANY_ALERT}, workflow=""')
ALERTS_OF_STAGE = began(ANY_ALERT, STAGE)
