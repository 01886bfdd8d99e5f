"""``/api/v1/openapi.json`` is a valid document, says what is there, and the application keeps to it."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from schemathesis import checks
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    positive_data_acceptance,
)

from exporter.store import open_store
from tests.web.edge import Edge, rating


@pytest.fixture(scope="module")
def specified() -> Iterator[BaseSchema]:
    store = open_store("sqlite://")
    edge = Edge(store)
    edge.post([rating()] * 20)
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", edge.app)
    store.close()


PATHS = {
    "/": ["get"], "/metrics": ["get"], "/-/healthy": ["get"], "/-/ready": ["get"],
    "/api/v1/feedback": ["post", "delete"],"/api/v1/stats": ["get"],"/api/v1/recommendation": ["get"],"/api/v1/recommendations": ["get"],
    "/api/v1/underperforming": ["get"],"/api/v1/history": ["get"],"/api/v1/openapi.json": ["get"],
}
import os
N=int(os.environ.get("N","50"))
OPS=[(p,m) for p,ms in PATHS.items() for m in ms]
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.parametrize(("path","method"), OPS)
def test_x(specified, path,method,mode) -> None:
    from hypothesis import given, HealthCheck
    op = specified[path][method]
    @given(op.as_strategy(generation_mode=mode))
    @settings(max_examples=N, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case):
        case.call_and_validate(checks=[checks.not_a_server_error, allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method, positive_data_acceptance,
    ])
    check()

def test_valid(specified):
    specified.validate()
