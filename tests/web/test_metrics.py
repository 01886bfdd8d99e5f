"""``GET /metrics``: which format a client gets, gzip, and single families."""

import gzip

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.names import METRICS
from tests.web.edge import NOW, Edge, rating

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# As Prometheus itself sends it, by version.
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_TEXT_FIRST = (
    "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,"
    "application/openmetrics-text;version=0.0.1;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF = (
    f"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,{PROMETHEUS_3}"
)

ACCEPT = {
    "nothing": (None, TEXT),
    "empty": ("", TEXT),
    "curl": ("*/*", TEXT),
    "a browser": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
    "Prometheus 2.42": (PROMETHEUS_2_42, OPENMETRICS),
    "Prometheus 3": (PROMETHEUS_3, OPENMETRICS),
    "Prometheus 3 that prefers text": (PROMETHEUS_3_TEXT_FIRST, TEXT),
    "Prometheus 3 that prefers protobuf": (PROMETHEUS_3_PROTOBUF, OPENMETRICS),
    "OpenMetrics": ("application/openmetrics-text", OPENMETRICS),
    "OpenMetrics 1.0.0, quoted": ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
    "OpenMetrics with a charset": ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPENMETRICS),
    "OpenMetrics of another version": ("application/openmetrics-text; version=0.0.1", TEXT),
    "OpenMetrics of a later version": ("application/openmetrics-text; version=2.0.0, text/plain; q=0.1", TEXT),
    "OpenMetrics refused": ("application/openmetrics-text;q=0", TEXT),
    "OpenMetrics refused, anything else": ("application/openmetrics-text;q=0, */*", TEXT),
    "both alike": ("text/plain, application/openmetrics-text", OPENMETRICS),
    "text weighed higher": ("application/openmetrics-text;q=0.4, text/plain;q=0.5", TEXT),
    "any text weighed higher": ("application/openmetrics-text;q=0.4, text/*;q=0.5", TEXT),
    "anything weighed higher": ("application/openmetrics-text;q=0.4, */*;q=0.5", TEXT),
    "text of another version": ("application/openmetrics-text;q=0.4, text/plain;version=1.0.0;q=0.9", OPENMETRICS),
    "text alone": ("text/plain; version=0.0.4", TEXT),
    "neither": ("application/json", TEXT),
    "no quality": ("application/openmetrics-text;q=high", TEXT),
    "garbage": (";;q=,=;/*;\xff", TEXT),
}


@pytest.mark.parametrize(("accept", "content_type"), ACCEPT.values(), ids=ACCEPT)
def test_the_format_is_the_one_that_the_client_weighs_higher(edge: Edge, accept: str | None, content_type: str) -> None:
    """A client that names neither gets text; whatever it names, it gets an answer of the type that is declared."""
    edge.post(rating())

    answer = edge.client.get("/metrics", headers={} if accept is None else {"Accept": accept})

    assert (answer.status_code, answer.content_type) == (200, content_type)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    families = parse(answer.text, content_type)
    assert {metric.name.removesuffix("_total") for metric in METRICS} <= {family.name for family in families}
    assert answer.text.endswith("\n# EOF\n") == (content_type == OPENMETRICS)


def parse(text: str, content_type: str = TEXT) -> list[Metric]:
    """Read a document by the parser for its type."""
    if content_type == OPENMETRICS:
        return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # prometheus-client has no types here
    return list(parse_text(text))


GZIP = {
    "nothing": (None, False),
    "empty": ("", False),
    "gzip": ("gzip", True),
    "among others": ("deflate, gzip;q=0.5, br", True),
    "anything": ("*", True),
    "identity alone": ("identity", False),
    "gzip refused": ("gzip;q=0", False),
    "gzip refused, anything else": ("gzip;q=0, *", False),
    "anything refused": ("*;q=0", False),
    "something else": ("br", False),
    "no quality": ("gzip;q=x", False),
}


@pytest.mark.parametrize(("accept", "is_zipped"), GZIP.values(), ids=GZIP)
@pytest.mark.parametrize("format_", [TEXT, OPENMETRICS])
def test_gzip_is_for_those_who_accept_it(edge: Edge, accept: str | None, format_: str, *, is_zipped: bool) -> None:
    """The text inside is the same as without."""
    headers = {"Accept": format_} | ({} if accept is None else {"Accept-Encoding": accept})

    answer = edge.client.get("/metrics?name[]=llm_feedback_tier_rank", headers=headers)

    assert answer.headers.get("Content-Encoding") == ("gzip" if is_zipped else None)
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    text = (gzip.decompress(answer.data) if is_zipped else answer.data).decode()
    assert 'llm_feedback_tier_rank{tier="premium"} 2.0\n' in text


def names(edge: Edge, query: str, accept: str = TEXT) -> list[str]:
    """Names of the families that a query gets."""
    answer = edge.client.get(f"/metrics?{query}", headers={"Accept": accept})
    assert answer.status_code == 200
    return [family.name for family in parse(answer.text, accept)]


WANTED = {
    "one": ("name[]=llm_feedback_recommended_tier", ["llm_feedback_recommended_tier"]),
    "two": (
        "name[]=llm_feedback_score&name[]=llm_feedback_exporter_store_up",
        ["llm_feedback_score", "llm_feedback_exporter_store_up"],
    ),
    "encoded": ("name%5B%5D=llm_feedback_quality_avg", ["llm_feedback_quality_avg"]),
    "a sample of a family": ("name[]=llm_feedback_score_bucket", ["llm_feedback_score"]),
    "a counter": (
        "name[]=llm_feedback_exporter_ratings_accepted_total",
        ["llm_feedback_exporter_ratings_accepted"],
    ),
    "the same twice": ("name[]=python_info&name[]=python_info", ["python_info"]),
    "an unknown one": ("name[]=x", []),
    "an unknown one beside": ("name[]=x&name[]=python_info", ["python_info"]),
    "an empty one": ("name[]=", []),
    "not UTF-8": ("name[]=%ff", []),
}


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
@pytest.mark.parametrize(("query", "found"), WANTED.values(), ids=WANTED)
def test_single_families_can_be_asked_for(edge: Edge, query: str, found: list[str], accept: str) -> None:
    """A router may scrape the one family that it needs; a name that nothing has gets an empty document."""
    edge.post(rating())

    assert names(edge, query, accept) == found


def test_other_parameters_are_passed_over(edge: Edge) -> None:
    """Prometheus adds whatever its configuration says."""
    assert len(names(edge, "collect[]=x&name=y")) == len(names(edge, ""))


def test_raw_bytes_in_the_query_name_no_family(edge: Edge) -> None:
    """Bytes that no client should send unencoded are no crash."""
    answer = edge.client.get("/metrics", environ_overrides={"QUERY_STRING": "name[]=\xff"})

    assert (answer.status_code, answer.data) == (200, b"")


def test_what_was_posted_is_in_the_next_scrape(any_edge: Edge) -> None:
    """A scrape brings the view up to date first: the samples that a user sees, by name and labels."""
    series, stage = ("w", "s", "cheap"), ("w", "s")
    any_edge.post([rating(quality_score=0.25), rating(quality_score=0.5, timestamp=NOW / 1e6 + 30)])

    found = any_edge.samples(*(metric.name for metric in METRICS if metric.labels))

    assert found["llm_feedback_quality_avg", *series] == 0.375
    assert found["llm_feedback_window_samples", *series] == 2
    assert found["llm_feedback_last_timestamp_seconds", *series] == NOW / 1e6 + 30
    assert found["llm_feedback_score_sum", *series] == 0.75
    assert found["llm_feedback_recommended_tier_rank", *series] == 0
    assert [found["llm_feedback_current_tier", *stage, tier] for tier in ("cheap", "capable", "premium")] == [1, 0, 0]
    assert found["llm_feedback_stage_confidence", *stage] == 0
    assert found["llm_feedback_min_samples", *stage] == 10
    assert any_edge.samples("llm_feedback_exporter_view_timestamp_seconds").popitem()[1] == NOW / 1e6


def test_requests_are_timed_by_route(edge: Edge) -> None:
    """By the route that answered and its status; what matched none is one handler, whatever its path."""
    edge.post(rating())
    edge.send("x")
    edge.get("/api/v1/stats/")
    edge.get("//api/v1//nothing")
    edge.get("/x/y")
    edge.client.put("/metrics")

    found = edge.samples("llm_feedback_exporter_http_request_duration_seconds")

    counts = {key[1:]: value for key, value in found.items() if key[0].endswith("_count")}
    assert counts == {
        ("202", "/api/v1/feedback"): 1,
        ("400", "/api/v1/feedback"): 1,
        ("400", "/api/v1/stats"): 1,
        ("404", "unmatched"): 2,
        ("405", "unmatched"): 1,
    }
