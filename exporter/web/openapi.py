"""``GET /api/v1/openapi.json``: the OpenAPI 3.1 specification, generated from the types that the handlers use."""

from collections.abc import Iterable
from functools import cache
from inspect import cleandoc
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app

from exporter.domain import NAME_LENGTH
from exporter.entry import SCORE_FIELDS, Entry
from exporter.stats import QualityStats
from exporter.version import VERSION
from exporter.web.api import JSON, Cleared, HistoryEntry, StageRecommendation
from exporter.web.ingest import NDJSON, Receipt, Rejection
from exporter.web.metrics import OPENMETRICS, TEXT
from exporter.web.parameters import MAX_LIMIT
from exporter.web.problems import PROBLEM
from exporter.web.services import Services

Schema = dict[str, Any]
REF = "#/components/schemas/{name}"


class ProblemDocument(msgspec.Struct, kw_only=True):
    """RFC 9457: what was given, what is wrong, what to do.

    ``field`` is the parameter at fault, ``rejected`` the entries. Where a batch may have been stored, ``feedback_ids``
    are those to send in a retry, and ``retry`` says so. ``problems`` are those of a configuration.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str | msgspec.UnsetType | None = msgspec.UNSET
    rejected: list[Rejection] | msgspec.UnsetType = msgspec.UNSET
    feedback_ids: list[str | None] | msgspec.UnsetType = msgspec.UNSET
    retry: str | msgspec.UnsetType = msgspec.UNSET
    problems: list[str] | msgspec.UnsetType = msgspec.UNSET


# As in JavaScript's regular expressions, which JSON Schema prescribes; domain.name decides.
_NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": NAME_LENGTH,
    "pattern": r"^(?!\s)[^\u0000-\u001f\u007f-\u009f]+(?<!\s)$",
}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
_FRACTION: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_TIME: Schema = {"type": "string", "description": "RFC 3339 with offset, or Unix seconds"}


def blueprint(services: Services) -> Blueprint:
    """Make the route; the tiers in the document are those in force, the paths those that this role serves."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/api/v1/openapi.json")
    def openapi() -> Response:
        rules = current_app.url_map.iter_rules()
        served = frozenset((rule.rule, method.lower()) for rule in rules for method in rule.methods or ())
        return Response(_document(services.rules.tiers, served), content_type=JSON)

    return routes


@cache
def _document(tiers: tuple[str, ...], served: frozenset[tuple[str, str]]) -> bytes:
    document = specification(tiers)
    for path, operations in list(document["paths"].items()):
        kept = {method: operation for method, operation in operations.items() if (path, method) in served}
        document["paths"][path] = kept
        if not kept:
            del document["paths"][path]
    return msgspec.json.encode(document)


def specification(tiers: tuple[str, ...]) -> Schema:
    """Build the specification for a ladder of ``tiers``."""
    types = [Entry, Receipt, ProblemDocument, QualityStats, StageRecommendation, HistoryEntry, Cleared]
    _refs, schemas = msgspec.json.schema_components(types, ref_template=REF)
    tier = {"type": "string", "enum": list(tiers)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Feedback Exporter",
            "version": VERSION,
            "description": "Ratings of LLM answers in; quality, trend and recommended model tier out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _api_paths(tier) | _text_paths(),
        "components": {"schemas": _refined(schemas, tier)},
    }


def _refined(schemas: Schema, tier: Schema) -> Schema:
    """Say what the types leave open: what an entry needs, how names look, which tiers there are."""
    entry = schemas["Entry"]
    entry["required"] = ["workflow_name", "stage_name", "tier"]
    entry["oneOf"] = [{"required": [field]} for field in SCORE_FIELDS]
    for field in ("workflow_name", "stage_name"):
        entry["properties"][field] |= _NAME
    entry["properties"]["tier"] |= tier
    schemas["HistoryEntry"]["properties"]["metadata"] = {"type": "object"}
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    return schemas


def _api_paths(tier: Schema) -> Schema:
    stage = (_query("workflow_name", _NAME, required=True), _query("stage_name", _NAME, required=True))
    stats, recommendation = _ref(QualityStats), _ref(StageRecommendation)
    return {
        "/api/v1/feedback": {"post": _ingest(), "delete": _clear()},
        "/api/v1/stats": _get(
            "Statistics of one series, or of a stage over all tiers; null without live ratings",
            {"anyOf": [stats, {"type": "null"}]},
            *stage,
            _query("tier", tier),
        ),
        "/api/v1/recommendation": _get(
            "Recommended tier of one stage", recommendation, *stage, _query("current_tier", tier), etag=True
        ),
        "/api/v1/recommendations": _get(
            "Recommended tier of every stage", _list(recommendation), _query("workflow_name", _NAME), etag=True
        ),
        "/api/v1/underperforming": _get(
            "Series whose average is below the threshold, worst first",
            _list(stats),
            _query("workflow_name", _NAME),
            _query("quality_threshold", _FRACTION | {"default": 0.7}),
            _query("limit", _COUNT),
        ),
        "/api/v1/history": _get(
            "Ratings, newest first",
            _list(_ref(HistoryEntry)),
            *stage,
            _query("tier", tier),
            _query("limit", _COUNT | {"default": 100}),
            _query("before", _TIME),
        ),
        "/api/v1/openapi.json": _get("This document", {"type": "object"}),
    }


def _text_paths() -> Schema:
    names = _query("name[]", {"type": "array", "items": {"type": "string"}})
    reload = _text("Read the configuration anew", TEXT, errors=(500,))
    return {
        "/metrics": {
            "get": _text("All metrics; with names, only these families", TEXT, OPENMETRICS) | {"parameters": [names]}
        },
        "/-/healthy": {"get": _text("The process is up", TEXT)},
        "/-/ready": {"get": _text("The store can be read", TEXT, errors=(503,))},
        "/-/reload": {"post": reload, "put": reload},
        "/": {"get": _text("Landing page", "text/html")},
    }


def _ingest() -> Schema:
    entry = _ref(Entry)
    return {
        "summary": "Store ratings: one object, an array, or NDJSON; gzip is accepted",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [entry, {"type": "array", "items": entry, "minItems": 1}]}},
                NDJSON: {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "202": _answer("What was stored, known already, and rejected", _ref(Receipt)),
            **_problems(400, 413, 415, 503),
        },
    }


def _clear() -> Schema:
    return {
        "summary": "Delete the ratings of exactly this workflow, or of one of its stages",
        "parameters": [_query("workflow_name", _NAME, required=True), _query("stage_name", _NAME)],
        "responses": {"200": _answer("How many live ratings were deleted", _ref(Cleared)), **_problems(400, 503)},
    }


def _get(summary: str, schema: Schema, *parameters: Schema, etag: bool = False) -> Schema:
    not_modified = {"304": {"description": "As the If-None-Match that was sent"}} if etag else {}
    responses = {"200": _answer(summary, schema), **not_modified, **_problems(400, 503)}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _text(summary: str, *media_types: str, errors: Iterable[int] = ()) -> Schema:
    content = {media_type: {"schema": {"type": "string"}} for media_type in media_types}
    responses = {"200": {"description": summary, "content": content}, **_problems(*errors)}
    return {"summary": summary, "responses": responses}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _problems(*statuses: int) -> Schema:
    schema = {"schema": _ref(ProblemDocument)}
    return {str(status): {"description": "A problem document", "content": {PROBLEM: schema}} for status in statuses}


def _query(field: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": field, "in": "query", "required": required, "schema": schema}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _ref(kind: type) -> Schema:
    return {"$ref": REF.format(name=kind.__name__)}
