"""The JSON API that reads: statistics, recommendations, underperforming stages, history; and ``DELETE``.

All but the history come from the view that ``/metrics`` shows. While the store is away they answer with the
last known view, its age in the ``Age`` header; 503 before there is one.
"""

from collections.abc import Callable

import msgspec
from flask import Blueprint, Response, request
from msgspec import Raw

from exporter.domain import MILLION, Feedback, SeriesKey, moment
from exporter.errors import StoreError
from exporter.policy import TierRecommendation
from exporter.reading import live_only
from exporter.stats import QualityStats
from exporter.view import Stage, live_samples
from exporter.web.parameters import Parameters
from exporter.web.services import Services

JSON = "application/json"


class StageRecommendation(TierRecommendation, frozen=True, kw_only=True):
    """The recommendation for one stage, from the tier that it uses or from the one that was asked for."""

    workflow_name: str
    stage_name: str


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stored rating. ``timestamp`` is RFC 3339 in UTC; ``metadata`` is as it was sent."""

    feedback_id: str
    workflow_name: str
    stage_name: str
    tier: str
    quality_score: float
    timestamp: str
    source: str | None
    metadata: Raw


class Cleared(msgspec.Struct, frozen=True):
    """How many live ratings a clear removed."""

    cleared: int


def blueprint(services: Services) -> Blueprint:
    """Make the routes over ``services``."""
    routes = Blueprint("api", __name__)

    def get(path: str, handler: Callable[[Services, Parameters], object], *, etag: bool = False) -> None:
        def view() -> Response:
            response = _view_answer(services, handler)
            if etag:
                response.add_etag()
                if request.if_none_match.contains_weak(response.get_etag()[0] or ""):
                    response.status_code = 304
            return response

        routes.get(f"/api/v1/{path}", endpoint=path)(view)

    get("stats", _stats)
    get("recommendation", _recommendation, etag=True)
    get("recommendations", _recommendations, etag=True)
    get("underperforming", _underperforming)

    @routes.get("/api/v1/history")
    def history() -> Response:
        return _json(_history(services, Parameters(request.query_string)))

    @routes.delete("/api/v1/feedback")
    def clear() -> Response:
        return _json(_clear(services, Parameters(request.query_string)))

    return routes


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), content_type=JSON)


def _view_answer(services: Services, handler: Callable[[Services, Parameters], object]) -> Response:
    parameters = Parameters(request.query_string)
    age = None
    try:
        services.refresh()
    except StoreError:
        if services.view.updated_at is None:
            raise
        age = (services.clock() - services.view.updated_at) // MILLION
    response = _json(handler(services, parameters))
    if age is not None:
        response.headers["Age"] = str(max(age, 0))
    return response


def _stats(services: Services, parameters: Parameters) -> QualityStats | None:
    stage = _stage(services, parameters)
    tier = parameters.tier("tier", stage.ladder)
    parameters.done()
    return stage.all_tiers if tier is None else stage.stats.get(tier)


def _recommendation(services: Services, parameters: Parameters) -> StageRecommendation:
    stage = _stage(services, parameters)
    current = parameters.tier("current_tier", stage.ladder)
    parameters.done()
    return _of_stage(stage, stage.recommend(current) if current else stage.recommendation)


def _recommendations(services: Services, parameters: Parameters) -> list[StageRecommendation]:
    workflow = parameters.name("workflow_name")
    parameters.done()
    stages = sorted(services.view.stages, key=lambda stage: stage.key)
    return [_of_stage(stage, stage.recommendation) for stage in stages if workflow in (None, stage.key[0])]


def _of_stage(stage: Stage, recommendation: TierRecommendation) -> StageRecommendation:
    workflow, name = stage.key
    return StageRecommendation(workflow_name=workflow, stage_name=name, **msgspec.structs.asdict(recommendation))


def _underperforming(services: Services, parameters: Parameters) -> list[QualityStats]:
    workflow = parameters.name("workflow_name")
    threshold = parameters.fraction("quality_threshold", 0.7)
    limit = parameters.count("limit", 1000)
    parameters.done()
    return services.view.underperforming(workflow, threshold)[:limit]


def _history(services: Services, parameters: Parameters) -> list[HistoryEntry]:
    workflow, stage = parameters.required_name("workflow_name"), parameters.required_name("stage_name")
    tier = parameters.tier("tier", services.rules.ladder)
    limit = parameters.count("limit", 100)
    before = parameters.time("before")
    parameters.done()
    keys = [SeriesKey(workflow, stage, each) for each in services.rules.tiers if tier in (None, each)]
    ratings = live_only(services.store.history(keys, limit, before), services.rules, services.clock())
    return [_history_entry(rating) for rating in ratings]


def _history_entry(entry: Feedback) -> HistoryEntry:
    workflow, stage, tier = entry.key
    return HistoryEntry(
        feedback_id=entry.feedback_id,
        workflow_name=workflow,
        stage_name=stage,
        tier=tier,
        quality_score=entry.score / MILLION,
        timestamp=moment(entry.timestamp).isoformat().replace("+00:00", "Z"),
        source=entry.source,
        metadata=Raw(entry.metadata),
    )


def _clear(services: Services, parameters: Parameters) -> Cleared:
    workflow, stage = parameters.required_name("workflow_name"), parameters.name("stage_name")
    parameters.done()
    now = services.clock()
    with services.writing():
        deleted = services.store.clear(workflow, stage, now)
    return Cleared(live_samples(deleted, services.rules, now))


def _stage(services: Services, parameters: Parameters) -> Stage:
    return services.view.stage(parameters.required_name("workflow_name"), parameters.required_name("stage_name"))
