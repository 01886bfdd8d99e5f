"""``/api/v1/openapi.json`` is a valid document, says all that there is, and the application keeps to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from exporter.config import Config
from exporter.store import open_store
from exporter.store.base import Store
from exporter.web.openapi import specification
from tests.web.edge import Edge, rating

OPENAPI = "/api/v1/openapi.json"
EXAMPLES = 40

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.unsupported_method,
    checks.allow_header_conformance,
]


@pytest.fixture(scope="module")
def specified() -> Iterator[BaseSchema]:
    """Return the document as it is served, over an exporter that holds some ratings and keeps what it is sent."""
    store = open_store("sqlite://")
    edge = Edge(store)
    edge.post([rating(), rating(tier="premium"), rating(workflow_name="v", quality_score=1)] * 20)
    yield schemathesis.openapi.from_wsgi(OPENAPI, edge.app, config=SchemathesisConfig(color=False))
    store.close()


def test_the_document_is_openapi_3_1(specified: BaseSchema, edge: Edge) -> None:
    """It is valid by the meta-schema of the version that it names, and every reference leads somewhere."""
    document = edge.api("openapi.json")

    assert document["openapi"] == "3.1.0"
    specified.validate()
    assert {ref.removeprefix("#/components/schemas/") for ref in refs(document)} == set(
        document["components"]["schemas"]
    )


def refs(part: object) -> Iterator[str]:
    """Every reference in a part of the document."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from refs(value)
    elif isinstance(part, list):
        for value in part:
            yield from refs(value)


def test_the_document_has_every_route(edge: Edge) -> None:
    """All paths with all their methods, but those that go without saying."""
    described = {path: set(operations) for path, operations in edge.api("openapi.json")["paths"].items()}
    served: dict[str, set[str]] = {}
    for rule in edge.app.url_map.iter_rules():
        methods = {method.lower() for method in rule.methods or ()} - {"head", "options"}
        served.setdefault(rule.rule, set()).update(methods)

    assert described == served


def test_the_document_has_the_ladder_in_force(opened: Callable[..., Store]) -> None:
    """The tiers that are accepted are those that it names, in entries and in parameters; after a reload too."""
    new = Config(tiers=("小", "大"))
    edge = Edge(opened("sqlite://"), load=lambda: new)

    def tiers() -> list[list[str]]:
        document = edge.api("openapi.json")
        (parameter,) = [
            each for each in document["paths"]["/api/v1/stats"]["get"]["parameters"] if each["name"] == "tier"
        ]
        return [document["components"]["schemas"]["Entry"]["properties"]["tier"]["enum"], parameter["schema"]["enum"]]

    assert tiers() == [["cheap", "capable", "premium"]] * 2
    edge.client.post("/-/reload")
    assert tiers() == [["小", "大"]] * 2


PATHS = specification(Config().tiers)["paths"]
OPERATIONS = [(path, method) for path, operations in PATHS.items() for method in operations]
INGEST = ("/api/v1/feedback", "post")
# A schema cannot say which texts and numbers are times inside the window: what it allows may be refused.
HAS_TIMES = [INGEST, ("/api/v1/history", "get")]
# Without parameters and without a body there is nothing that could be wrong.
# Without parameters and without a body there is nothing that could be wrong; and every text is a name of a family.
HAS_NO_INPUT = [path for path in PATHS if path.startswith("/-/") or path in {"/", "/metrics", OPENAPI}]


def hold(specified: BaseSchema, path: str, method: str, mode: GenerationMode, *more: Any) -> None:  # noqa: ANN401 - a check takes any value
    """Send many requests that an operation's schema allows, or does not, and check every answer."""

    @given(specified[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def each(case: Case[Any]) -> None:
        case.call_and_validate(checks=[*CHECKS, *more])

    each()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_document_allows_is_answered_as_it_says(specified: BaseSchema, path: str, method: str) -> None:
    """Status, type, headers and body are in the document; what it allows is accepted, as far as it can say."""
    more = [] if (path, method) in HAS_TIMES else [checks.positive_data_acceptance]

    hold(specified, path, method, GenerationMode.POSITIVE, *more)


@pytest.mark.parametrize(("path", "method"), [each for each in OPERATIONS if each[0] not in HAS_NO_INPUT])
def test_what_the_document_forbids_is_refused_as_it_says(specified: BaseSchema, path: str, method: str) -> None:
    """What breaks the schema is 4xx with a problem document, never 5xx; of a batch it may be a part."""
    more = [] if (path, method) == INGEST else [checks.negative_data_rejection]

    hold(specified, path, method, GenerationMode.NEGATIVE, *more)
