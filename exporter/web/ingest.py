"""``POST /api/v1/feedback``: ratings in. Computes nothing of what they mean."""

from collections import Counter, deque
from collections.abc import Sequence

import msgspec
from flask import Blueprint, Request, Response, request

from exporter.body import split_json, split_ndjson
from exporter.clock import new_feedback_id
from exporter.domain import Feedback
from exporter.entry import parse
from exporter.errors import InvalidFeedback, MalformedBody, StoreError
from exporter.store.base import Verdict
from exporter.web.problems import Problem, busy_problem, store_problem
from exporter.web.request_body import decompress, read_body
from exporter.web.services import Services

MAX_ENTRIES = 10_000
# Of the server's threads, as many as clients that end no body, or a store that hangs, may hold; scrapes have the rest.
MOST_AT_ONCE = 224
JSON = "application/json"
NDJSON = "application/x-ndjson"


class Rejection(msgspec.Struct, frozen=True):
    """Why one entry was not stored: its place in the batch, the field at fault (null: the whole entry), the reason."""

    index: int
    field: str | None
    reason: str


class Receipt(msgspec.Struct, frozen=True):
    """What became of a batch. ``feedback_ids`` is in input order, null where rejected."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]
    feedback_ids: list[str | None]


def blueprint(services: Services) -> Blueprint:
    """Make the routes over ``services``."""
    routes = Blueprint("ingest", __name__)
    # As a semaphore that nobody waits for, at a tenth of its cost.
    places = deque(range(MOST_AT_ONCE))

    @routes.post("/api/v1/feedback")
    def post_feedback() -> Response:
        try:
            place = places.pop()
        except IndexError:
            words = f"{MOST_AT_ONCE} requests with ratings are under way; nothing of this one was stored."
            raise busy_problem(words) from None
        try:
            return _answer(services, _entries(request))
        finally:
            places.append(place)

    return routes


def _answer(services: Services, entries: list[bytes]) -> Response:
    receipt, codes = _store(services, entries)
    services.telemetry.rated(receipt.accepted, receipt.duplicates, codes)
    if not receipt.accepted and not receipt.duplicates:
        raise _nothing_usable(receipt)
    return Response(msgspec.json.encode(receipt), 202, content_type=JSON)


def _entries(request: Request) -> list[bytes]:
    # First of all, since a client that cannot send its body to the end may not look at the answer.
    body = read_body(request)
    media_type = request.mimetype
    if media_type not in {JSON, NDJSON}:
        given = repr(media_type) if media_type else "missing"
        raise Problem(415, f"Content-Type is {given}; send {JSON} or {NDJSON}.", {"Accept": f"{JSON}, {NDJSON}"})
    body = decompress(body, request)
    try:
        entries = split_ndjson(body, MAX_ENTRIES) if media_type == NDJSON else split_json(body, MAX_ENTRIES)
    except MalformedBody as error:
        raise Problem(400, f"The body is not JSON: {error}; nothing of it was stored.", rejected=[]) from None
    if len(entries) > MAX_ENTRIES:
        raise Problem(413, f"The body has more than {MAX_ENTRIES} entries; send it in several requests.")
    return entries


def _store(services: Services, entries: Sequence[bytes]) -> tuple[Receipt, Counter[str]]:
    """Judge every entry by itself, store the valid ones together, and count the rejections by code."""
    now = services.clock()
    rules = services.rules
    ids: list[str | None] = [None] * len(entries)
    valid: list[tuple[int, Feedback]] = []
    rejected: list[Rejection] = []
    codes: Counter[str] = Counter()
    for index, raw in enumerate(entries):
        try:
            rating = parse(raw, now + index, now, rules, new_feedback_id)
        except InvalidFeedback as error:
            rejected.append(Rejection(index, error.field, error.reason))
            codes[error.code] += 1
        else:
            valid.append((index, rating))
            ids[index] = rating.feedback_id
    verdicts = _append(services, [rating for _, rating in valid], now, ids)
    for (index, rating), verdict in zip(valid, verdicts, strict=True):
        if verdict == "series_limit":
            services.note_refused(rating.key)
            ids[index] = None
            codes[verdict] += 1
            rejected.append(Rejection(index, "workflow_name", verdict))
    rejected.sort(key=lambda rejection: rejection.index)
    return Receipt(verdicts.count("new"), verdicts.count("duplicate"), rejected, ids), codes


def _append(services: Services, batch: list[Feedback], now: int, ids: list[str | None]) -> list[Verdict]:
    if not batch:
        return []
    try:
        with services.writing():
            return services.appender.append(batch, now)
    except StoreError as error:
        raise store_problem(
            error,
            feedback_ids=ids,
            retry="Entries may have been stored; a retry counts none twice if it sends these ids as feedback_id.",
        ) from None


def _nothing_usable(receipt: Receipt) -> Problem:
    unusable = "No entry is usable; rejected says why."
    detail = unusable if receipt.rejected else "The batch is empty; send one rating or more."
    return Problem(400, detail, rejected=receipt.rejected)
