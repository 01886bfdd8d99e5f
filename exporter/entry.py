"""What clients send: the JSON text of one entry -> a valid rating, or an error that names the field.

Pure: bytes, rules and time in; a rating or an error out.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from exporter import scores
from exporter.body import is_json
from exporter.domain import (
    MILLION,
    NAME_LENGTH,
    Feedback,
    SeriesKey,
    check_metadata_depth,
    check_metadata_size,
    check_time,
    microseconds,
    millionths,
    name,
    shown,
)
from exporter.errors import InvalidFeedback
from exporter.rules import Rules

# Deep enough for what people write, and far from where a reader's recursion ends.
SCORE_FIELDS = ("quality_score", "rating", "stars", "outcome")

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_MAX_UNIX_SECONDS = 1e12
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_AT_FIELD = re.compile(r" - at `\$\.(\w+)")


def _text(description: str, **schema: object) -> Meta:
    return Meta(description=description, extra_json_schema={"type": "string", **schema})


_NAME_SCHEMA = {"minLength": 1, "maxLength": NAME_LENGTH}
_RATING_SCHEMA = {
    "type": "object",
    "properties": {bound: {"type": "number"} for bound in ("value", "min", "max")},
    "required": ["value", "min", "max"],
    "additionalProperties": False,
}


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One rating as a client sends it; exactly one of quality_score, rating, stars, outcome.

    The types are open, so that every fault is worded by the domain; the schema of each field is beside it.
    """

    workflow_name: Annotated[Any, _text("workflow that ran", **_NAME_SCHEMA)] = UNSET
    stage_name: Annotated[Any, _text("stage of it that called a model", **_NAME_SCHEMA)] = UNSET
    tier: Annotated[Any, _text("tier of the model, one of the ladder's", **_NAME_SCHEMA)] = UNSET
    quality_score: Annotated[
        Any,
        Meta(description="0.0 bad to 1.0 excellent", extra_json_schema={"type": "number", "minimum": 0, "maximum": 1}),
    ] = UNSET
    rating: Annotated[
        Any, Meta(description="a value on a scale: (value - min) / (max - min)", extra_json_schema=_RATING_SCHEMA)
    ] = UNSET
    stars: Annotated[
        Any, Meta(description="(stars - 1) / 4", extra_json_schema={"type": "number", "minimum": 1, "maximum": 5})
    ] = UNSET
    outcome: Annotated[Any, _text("outcome of the task", enum=list(scores.OUTCOMES))] = UNSET
    timestamp: Annotated[
        Any,
        Meta(
            description="when it was rated: RFC 3339 with offset, or Unix seconds; absent: time of arrival",
            extra_json_schema={"type": ["string", "number", "null"]},
        ),
    ] = None
    feedback_id: Annotated[
        Any,
        Meta(
            description="makes a retry count once, unique within its series; absent, null or empty: made here",
            extra_json_schema={"type": ["string", "null"], "maxLength": NAME_LENGTH},
        ),
    ] = None
    source: Annotated[
        Any,
        Meta(description="who rated", extra_json_schema={"type": ["string", "null"], **_NAME_SCHEMA}),
    ] = None
    metadata: (
        Annotated[
            Raw,
            Meta(
                description="anything else, as a JSON object of at most 4 KiB; comes back as it went in",
                extra_json_schema={"type": ["object", "null"]},
            ),
        ]
        | UnsetType
    ) = UNSET


_entry = msgspec.json.Decoder(Entry)


def parse(raw: bytes, arrival: int, now: int, rules: Rules, new_id: Callable[[], str]) -> Feedback:
    """Read and validate one entry.

    Args:
        raw: its JSON text.
        arrival: microseconds; distinct within a request, so that order of arrival is kept.
        now: microseconds, of the request.
        rules: give the ladder and the window of the stage.
        new_id: makes an id where the client sent none.

    Raises:
        InvalidFeedback: the entry is not usable; names the field, the reason and its code.

    """
    entry = _decode(raw)
    workflow = name(_given(entry.workflow_name, "workflow_name"), "workflow_name")
    stage = name(_given(entry.stage_name, "stage_name"), "stage_name")
    tier = _given(entry.tier, "tier", "unknown_tier")
    rules.ladder.rank(tier)
    score = _score(entry)
    timestamp = arrival
    if entry.timestamp is not None:
        timestamp = check_time(parse_time(entry.timestamp), now, rules.stage(workflow, stage).window_seconds)
    return Feedback(
        SeriesKey(workflow, stage, tier),
        name(entry.feedback_id, "feedback_id") if entry.feedback_id not in (None, "") else new_id(),
        score,
        timestamp,
        arrival,
        name(entry.source, "source") if entry.source is not None else None,
        _metadata(entry.metadata),
    )


def _decode(raw: bytes) -> Entry:
    try:
        return _entry.decode(raw)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    except RecursionError:
        raise InvalidFeedback(None, "the entry is nested too deeply", "malformed") from None
    except ValueError as error:
        raise InvalidFeedback(None, f"the entry is not usable JSON: {_json_fault(raw, error)}", "malformed") from None


def _fault(message: str) -> InvalidFeedback:
    """Word a fault that msgspec found."""
    if unknown := _UNKNOWN_FIELD.match(message):
        known = ", ".join(Entry.__struct_fields__)
        return InvalidFeedback(unknown[1], f"is not a field of a rating; known are {known}", "unknown_field")
    if at := _AT_FIELD.search(message):
        return InvalidFeedback(at[1], message[: at.start()], "malformed")
    return InvalidFeedback(None, "the entry is not a JSON object", "malformed")


def _json_fault(raw: bytes, error: ValueError) -> str:
    """Say what is wrong with ``raw``, which msgspec could not decode: in a line of NDJSON, that may be anything."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).partition(" - at `")[0]
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        return f"it is not UTF-8 at byte {fault.start}"
    return "it holds half a surrogate pair" if is_json(text) else str(error).removeprefix("JSON is malformed: ")


def _given(value: object, field: str, code: str = "invalid_name") -> Any:  # noqa: ANN401 - what the client sent
    if value is UNSET:
        raise InvalidFeedback(field, "is missing", code)
    return value


def _score(entry: Entry) -> int:
    given = [field for field in SCORE_FIELDS if getattr(entry, field) is not UNSET]
    if len(given) != 1:
        seen = " and ".join(given) or "none"
        wanted = ", ".join(SCORE_FIELDS)
        raise InvalidFeedback(
            given[1] if given else "quality_score", f"exactly one of {wanted} is needed, got {seen}", "invalid_score"
        )
    if entry.quality_score is not UNSET:
        return millionths(entry.quality_score)
    if entry.stars is not UNSET:
        return millionths(scores.stars(entry.stars), "stars")
    if entry.outcome is not UNSET:
        return millionths(scores.task_outcome(entry.outcome), "outcome")
    return millionths(scores.scaled(*_scale(entry.rating)), "rating")


def _scale(rating: object) -> tuple[Any, Any, Any]:
    if not isinstance(rating, dict) or set(rating) != {"value", "min", "max"}:
        raise InvalidFeedback("rating", f"{shown(rating)} is not an object of value, min and max", "invalid_score")
    return rating["value"], rating["min"], rating["max"]


def parse_time(value: object, field: str = "timestamp") -> int:
    """Microseconds since the epoch of an RFC 3339 text with offset, or of Unix seconds.

    Raises:
        InvalidFeedback: ``value`` is neither.

    """
    if isinstance(value, str) and _RFC_3339.match(value):
        try:
            return microseconds(datetime.fromisoformat(value.upper()))
        except ValueError:
            pass
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_UNIX_SECONDS:
        return round(value * MILLION)
    raise InvalidFeedback(
        field, f"{shown(value)} is neither RFC 3339 with an offset nor Unix seconds", "invalid_timestamp"
    )


def _metadata(raw: Raw | UnsetType) -> bytes:
    if raw is UNSET or (text := bytes(raw)) == b"null":
        return b"{}"
    check_metadata_size(text)
    try:
        value = msgspec.json.decode(text)
    except ValueError as error:
        reason = f"is not usable JSON: {_json_fault(text, error)}"
        raise InvalidFeedback("metadata", reason, "invalid_metadata") from None
    check_metadata_depth(text, value)
    if not isinstance(value, dict):
        raise InvalidFeedback("metadata", f"{shown(value)} is not a JSON object", "invalid_metadata")
    return text
