"""The application as a client sees it, over a store and a clock of the test's own."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from exporter.config import Config
from exporter.domain import MILLION
from exporter.store.base import Store
from exporter.web.app import create_app
from exporter.web.services import Services

# 2025-01-01T00:00:00Z, on the hour and on the day.
NOW = 1_735_689_600 * MILLION
FEEDBACK = "/api/v1/feedback"
JSON = "application/json"
NDJSON = "application/x-ndjson"
PROBLEM = "application/problem+json"
TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
PREFIX = "llm_feedback_exporter_ratings_"


class Clock:
    """A clock that stands still until it is moved; microseconds."""

    def __init__(self) -> None:
        """Begin at ``NOW``."""
        self.now = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * MILLION)


class Edge:
    """One exporter without a server: its services, its clock, and a client of it."""

    def __init__(self, store: Store, config: Config | None = None, load: Callable[[], Config] | None = None) -> None:
        """Make the application over ``store``; ``load`` is what a reload reads."""
        config = config or Config(store="sqlite://")
        self.clock = Clock()
        self.services = Services(config, store, load or (lambda: config), self.clock)
        self.app = create_app(self.services)
        self.client = self.app.test_client()

    def post(self, entries: object, **headers: str) -> TestResponse:
        """POST ``entries``, one or a list, as JSON."""
        return self.send(json.dumps(entries), **headers)

    def send(self, body: str | bytes, media_type: str | None = JSON, **headers: str) -> TestResponse:
        """POST a body as it is; header names have underscores for hyphens."""
        return self.client.post(FEEDBACK, data=body, content_type=media_type, headers=_hyphened(headers))

    def get(self, path: str, parameters: Mapping[str, object] | None = None, **headers: str) -> TestResponse:
        """GET ``path`` with ``parameters`` as its query."""
        return self.client.get(path, query_string=parameters, headers=_hyphened(headers))

    def api(self, name: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever JSON holds
        """GET what ``/api/v1/NAME`` answers, which must be 200."""
        answer = self.get(f"/api/v1/{name}", parameters)
        assert answer.status_code == 200, answer.text
        return answer.json

    def clear(self, **parameters: str) -> TestResponse:
        """DELETE the ratings of a workflow or stage."""
        return self.client.delete(FEEDBACK, query_string=parameters)

    def samples(self, *families: str) -> dict[tuple[str, ...], float]:
        """Scrape some families: values by sample name and label values, in the order of the labels."""
        text = self.get("/metrics", {"name[]": list(families)}).text
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def counts(self) -> Counter[str]:
        """What ingest has counted so far, without what it has never counted: accepted, duplicate, and each reason."""
        samples = self.samples(f"{PREFIX}accepted_total", f"{PREFIX}duplicate_total", f"{PREFIX}rejected_total")
        names = {key: key[-1].removeprefix(PREFIX).removesuffix("_total") for key in samples}
        return Counter({names[key]: int(value) for key, value in samples.items() if value})

    @property
    def store_up(self) -> float:
        """Whether the store is said to be up, after a scrape."""
        (value,) = self.samples("llm_feedback_exporter_store_up").values()
        return value


def _hyphened(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def rating(**fields: object) -> dict[str, Any]:
    """Return a rating as a client sends it, valid where ``fields`` do not say otherwise; ``...`` leaves a field out."""
    entry = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5, **fields}
    return {field: value for field, value in entry.items() if value is not ...}


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    """Check that an answer is a whole problem document, and return what it says beside its type, title and status."""
    assert (answer.status_code, answer.content_type) == (status, PROBLEM), answer.text
    document: dict[str, Any] = json.loads(answer.data)
    assert document.pop("type") == "about:blank"
    assert document.pop("title") == TITLES[status]
    assert document.pop("status") == status
    return document
