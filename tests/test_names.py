"""The names that other systems see."""

import re
from collections import Counter

import pytest

from exporter import names
from exporter.names import Metric

by_name = pytest.mark.parametrize("metric", names.METRICS, ids=lambda metric: metric.name)

SERIES = ("workflow", "stage", "tier")
STAGE = ("workflow", "stage")
# What dashboards, alert rules and routers rely on: a change here breaks them.
PUBLISHED = {
    ("quality_avg", "gauge", SERIES),
    ("quality_min", "gauge", SERIES),
    ("quality_max", "gauge", SERIES),
    ("quality_lower_bound", "gauge", SERIES),
    ("quality_upper_bound", "gauge", SERIES),
    ("quality_trend", "gauge", SERIES),
    ("quality_trend_upper_bound", "gauge", SERIES),
    ("window_samples", "gauge", SERIES),
    ("score", "histogram", SERIES),
    ("last_timestamp_seconds", "gauge", SERIES),
    ("recommended_tier_rank", "gauge", SERIES),
    ("recommendation_confidence", "gauge", SERIES),
    ("recommended_tier", "gauge", SERIES),
    ("current_tier", "gauge", SERIES),
    ("stage_confidence", "gauge", STAGE),
    ("quality_threshold", "gauge", STAGE),
    ("min_samples", "gauge", STAGE),
    ("tier_rank", "gauge", ("tier",)),
    ("exporter_build_info", "gauge", ("version", "pythonversion")),
    ("exporter_store_up", "gauge", ()),
    ("exporter_series", "gauge", ()),
    ("exporter_series_limit", "gauge", ()),
    ("exporter_ratings_accepted_total", "counter", ()),
    ("exporter_ratings_duplicate_total", "counter", ()),
    ("exporter_ratings_rejected_total", "counter", ("reason",)),
    ("exporter_view_timestamp_seconds", "gauge", ()),
    ("exporter_refresh_duration_seconds", "histogram", ()),
    ("exporter_http_request_duration_seconds", "histogram", ("handler", "code")),
    ("exporter_config_last_reload_successful", "gauge", ()),
    ("exporter_config_last_reload_success_timestamp_seconds", "gauge", ()),
}


def test_the_published_metrics() -> None:
    """Names, types and labels are those that were promised."""
    assert {(metric.name, metric.type, metric.labels) for metric in names.METRICS} == {
        (f"llm_feedback_{name}", kind, labels) for name, kind, labels in PUBLISHED
    }


def test_the_table_holds_every_metric_once() -> None:
    """No metric of the module is left out of the table, none is listed or named twice."""
    defined = [value for value in vars(names).values() if isinstance(value, Metric)]

    assert Counter(defined) == Counter(names.METRICS)
    assert len({metric.name for metric in names.METRICS}) == len(names.METRICS)


@by_name
def test_a_name_is_one_that_prometheus_takes(metric: Metric) -> None:
    """Names and labels are of the characters that every version of Prometheus takes without quoting."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*", label) for label in metric.labels)


@by_name
def test_suffixes_follow_the_conventions(metric: Metric) -> None:
    """Counters alone end in _total, and no family ends as the samples of a histogram do."""
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert not metric.name.endswith(("_bucket", "_sum", "_count", "_created"))


@by_name
def test_help_is_one_sentence(metric: Metric) -> None:
    """Help is one line that ends with a full stop and needs no escaping."""
    assert re.fullmatch(r"[^\n\\]+\.", metric.help)


def test_reasons_are_a_closed_list() -> None:
    """Reasons for rejection are distinct, and fit to be label values without quoting."""
    assert len(set(names.REJECT_REASONS)) == len(names.REJECT_REASONS)
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in names.REJECT_REASONS)
