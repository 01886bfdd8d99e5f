"""What is served where: other methods, other paths, and slashes too many."""

import json

import pytest
from flask import abort

from tests.web.edge import Edge, problem, rating

ROUTES = {
    "/": "GET, HEAD, OPTIONS",
    "/metrics": "GET, HEAD, OPTIONS",
    "/-/healthy": "GET, HEAD, OPTIONS",
    "/-/ready": "GET, HEAD, OPTIONS",
    "/-/reload": "OPTIONS, POST, PUT",
    "/api/v1/feedback": "DELETE, OPTIONS, POST",
    "/api/v1/stats": "GET, HEAD, OPTIONS",
    "/api/v1/recommendation": "GET, HEAD, OPTIONS",
    "/api/v1/recommendations": "GET, HEAD, OPTIONS",
    "/api/v1/underperforming": "GET, HEAD, OPTIONS",
    "/api/v1/history": "GET, HEAD, OPTIONS",
    "/api/v1/openapi.json": "GET, HEAD, OPTIONS",
}


def test_these_are_all_routes(edge: Edge) -> None:
    """The tables of this file are whole."""
    assert {rule.rule for rule in edge.app.url_map.iter_rules()} == set(ROUTES)


METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "FOO"]
OTHERS = [(path, method) for path, allowed in ROUTES.items() for method in METHODS if method not in allowed.split(", ")]


@pytest.mark.parametrize(("path", "method"), OTHERS)
def test_another_method_is_405(edge: Edge, path: str, method: str) -> None:
    """``Allow`` names those that there are, and so does the problem document."""
    answer = edge.client.open(path, method=method)

    allowed = ROUTES[path]
    assert answer.headers["Allow"] == allowed
    assert problem(answer, 405) == {"detail": f"{method!r} is not allowed at {path!r}; send {allowed}."}


@pytest.mark.parametrize("path", ROUTES)
def test_options_tell_what_is_allowed(edge: Edge, path: str) -> None:
    """``Allow`` is the same as in a 405."""
    answer = edge.client.options(path)

    assert (answer.status_code, answer.data) == (200, b"")
    assert sorted(answer.headers["Allow"].split(", ")) == ROUTES[path].split(", ")


@pytest.mark.parametrize("path", [path for path, allowed in ROUTES.items() if "HEAD" in allowed])
def test_head_is_get_without_the_body(edge: Edge, path: str) -> None:
    """Status, type and length are those of a GET."""
    head, got = edge.client.head(path), edge.client.get(path)

    assert head.data == b""
    assert (head.status_code, head.content_type) == (got.status_code, got.content_type)


SLASHES = [
    "/api/v1/feedback/",
    "/api/v1/feedback//",
    "//api/v1/feedback",
    "/api//v1///feedback",
    "///api/v1/feedback///",
]


@pytest.mark.parametrize("path", SLASHES)
def test_a_slash_too_many_loses_no_rating(edge: Edge, path: str) -> None:
    """The POST is served where it was sent: a redirect would turn it into a GET."""
    body = json.dumps(rating()).encode()
    environ = {"PATH_INFO": path}

    answer = edge.client.post("/", data=body, content_type="application/json", environ_overrides=environ)

    assert answer.status_code == 202
    assert edge.counts() == {"accepted": 1}


@pytest.mark.parametrize(
    "path", ["/x", "/api", "/api/v1", "/api/v1/feedback/x", "/-", "/-/reload/x", "/static/x", "/日本"]
)
def test_another_path_is_404(edge: Edge, path: str) -> None:
    """The problem document says where to look."""
    assert problem(edge.get(path), 404) == {"detail": f"There is nothing at {path!r}; GET / lists what there is."}


def test_a_path_that_is_no_utf_8_is_404(edge: Edge) -> None:
    """Whatever bytes a path holds, it is answered."""
    answer = edge.client.get("/", environ_overrides={"PATH_INFO": "/\xff"})

    assert problem(answer, 404) == {"detail": "There is nothing at '/\ufffd'; GET / lists what there is."}


def test_an_error_that_nobody_foresaw_is_told_without_its_details(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """The client sees a problem document; the traceback is in the log alone."""

    def broken() -> str:
        raise ZeroDivisionError("inside")

    edge.app.add_url_rule("/broken", view_func=broken)

    answer = edge.get("/broken")

    assert problem(answer, 500) == {"detail": "An error that nobody foresaw; the log of the exporter has the details."}
    assert [record.getMessage() for record in caplog.records] == ["unforeseen error"]
    assert "ZeroDivisionError: inside" in caplog.text


def test_an_error_of_the_framework_keeps_its_status(edge: Edge) -> None:
    """What Flask or Werkzeug refuse by themselves is a problem document too, not a 500."""
    edge.app.add_url_rule("/refused", view_func=lambda: abort(400, "Framework says no."))

    assert problem(edge.get("/refused"), 400) == {"detail": "Framework says no."}


@pytest.mark.parametrize("host", ["", "\xff", "a b", "x:99999999", "[", "日本".encode().decode("latin1")])
def test_any_host_is_served(edge: Edge, host: str) -> None:
    """By whatever name a client calls it."""
    assert edge.client.get("/-/healthy", environ_overrides={"HTTP_HOST": host}).status_code == 200
