"""Nothing that a client sends makes a 5xx: random bodies, headers, paths and queries, as a server passes them on."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from exporter.entry import Entry
from exporter.store.base import Store
from tests.web.edge import FEEDBACK, JSON, NDJSON, PROBLEM, Edge, rating

EXAMPLES = 200
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# As WSGI has it: bytes, each as one character.
raw_text = st.binary(max_size=30).map(lambda raw: raw.decode("latin1"))
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)

METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "x"])
PATHS = st.sampled_from(
    [
        "/",
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/-/reload",
        FEEDBACK,
        "/api/v1/stats",
        "/api/v1/recommendation",
        "/api/v1/recommendations",
        "/api/v1/underperforming",
        "/api/v1/history",
        "/api/v1/openapi.json",
    ]
)
PARAMETERS = st.sampled_from(
    ["workflow_name", "stage_name", "tier", "current_tier", "quality_threshold", "limit", "before", "name[]", "x", ""]
)
VALUES = st.sampled_from(
    ["w", "s", "cheap", "0.5", "1", "1e400", "nan", "2025-01-01T00:00:00Z", "", "%ff", "llm_feedback_score"]
)
encoded = VALUES | st.binary(max_size=12).map(quote_from_bytes) | raw_text
QUERIES = st.lists(st.tuples(PARAMETERS, encoded).map("=".join), max_size=5).map("&".join) | raw_text

TYPES = st.sampled_from(
    [JSON, NDJSON, "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded"]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "CONTENT_TYPE": TYPES | raw_text,
        "CONTENT_LENGTH": st.sampled_from(["0", "5", "-1", "99999999999999999999", "x", ""]) | raw_text,
        "HTTP_TRANSFER_ENCODING": st.sampled_from(["chunked", "gzip, chunked"]) | raw_text,
        "HTTP_CONTENT_ENCODING": st.sampled_from(["gzip", "identity", "br"]) | raw_text,
        "HTTP_ACCEPT": st.sampled_from(["*/*", "application/openmetrics-text;version=1.0.0;q=0.5"]) | raw_text,
        "HTTP_ACCEPT_ENCODING": st.sampled_from(["gzip", "gzip;q=0", "*"]) | raw_text,
        "HTTP_IF_NONE_MATCH": st.sampled_from(['"x"', 'W/"x"', "*"]) | raw_text,
        "HTTP_IF_MATCH": raw_text,
        "HTTP_IF_MODIFIED_SINCE": raw_text,
        "HTTP_RANGE": st.just("bytes=0-1") | raw_text,
        "HTTP_HOST": raw_text,
        "HTTP_COOKIE": raw_text,
        "HTTP_AUTHORIZATION": st.just("Basic x") | raw_text,
        "HTTP_X_HTTP_METHOD_OVERRIDE": METHODS,
        "REMOTE_ADDR": printable,
    },
)


@pytest.fixture
def fuzzing(opened: Callable[..., Store]) -> Edge:
    """Return an exporter whose faults are raised, with a few ratings."""
    edge = Edge(opened("sqlite://"))
    edge.post([rating(), rating(tier="premium"), rating(stage_name="t")])
    return edge


def check(edge: Edge, answer: TestResponse) -> None:
    """Check that an answer is no 5xx, and an error a problem document that counts its status."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.content_type == PROBLEM
        if answer.request.method != "HEAD":
            document = json.loads(answer.data)
            assert document["status"] == answer.status_code
            assert document["detail"].endswith(".")
    assert edge.services.telemetry.write_ok


ENVIRONS = st.builds(
    lambda path, query, headers: {"PATH_INFO": path, "QUERY_STRING": query, **headers},
    PATHS | raw_text.map("/{}".format),
    QUERIES,
    HEADERS,
)


@fuzzed
@given(method=METHODS, environ=ENVIRONS, body=st.binary(max_size=40))
def test_any_request_is_answered(fuzzing: Edge, method: str, environ: dict[str, str], body: bytes) -> None:
    """Whatever method, path, query, headers and body there are."""
    check(fuzzing, fuzzing.client.open("/", method=method, data=body, environ_overrides=environ))


ENTRY = st.fixed_dictionaries(
    {
        "workflow_name": st.just("w"),
        "stage_name": st.just("s"),
        "tier": st.just("cheap"),
        "quality_score": st.floats(0, 1),
    }
)
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*Entry.__struct_fields__, "x"])
ENTRIES = st.builds(lambda entry, more: entry | more, ENTRY, st.dictionaries(FIELDS, ODD, max_size=2)) | ENTRY | ODD


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw batches, most of them nearly right: some bytes of some are cut out, doubled or replaced."""
    entries = draw(st.lists(ENTRIES, max_size=4))
    separator = draw(st.sampled_from([b",", b"\n"]))
    text = separator.join(json.dumps(entry).encode() for entry in entries)
    body = b"[" + text + b"]" if separator == b"," else text
    for _ in range(draw(st.integers(0, 2))):
        place, length = draw(st.integers(0, len(body))), draw(st.integers(0, 5))
        body = body[:place] + draw(st.binary(max_size=4)) + body[place + length :]
    return body


@fuzzed
@given(body=bodies(), media_type=st.sampled_from([JSON, NDJSON]))
def test_any_body_is_answered_and_counted(fuzzing: Edge, body: bytes, media_type: str) -> None:
    """What is accepted is stored, what is rejected is counted, and nothing else changes anything."""
    before, shown = fuzzing.counts(), total(fuzzing)

    answer = fuzzing.send(body, media_type)

    check(fuzzing, answer)
    counted = fuzzing.counts() - before
    receipt = json.loads(answer.data)
    assert counted.pop("accepted", 0) == receipt.get("accepted", 0) == total(fuzzing) - shown
    assert counted.pop("duplicate", 0) == receipt.get("duplicates", 0)
    assert counted.total() == len(receipt["rejected"])
    assert [each for each in receipt["rejected"] if not each["reason"]] == []
    if answer.status_code == 202:
        missing = [place for place, used in enumerate(receipt["feedback_ids"]) if used is None]
        assert missing == [each["index"] for each in receipt["rejected"]]


def total(edge: Edge) -> int:
    """Ratings that are shown, of all series."""
    return int(sum(edge.samples("llm_feedback_window_samples").values()))
