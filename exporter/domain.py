"""What a rating is: series, tiers, scores, times and the rules for names.

Pure: no clock, no I/O, no configuration. Scores are kept as integer millionths and times as integer
microseconds since the Unix epoch, so that sums are exact and equal in Python, SQLite and Lua.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from exporter.errors import InvalidFeedback

MILLION = 1_000_000
NAME_LENGTH = 128
METADATA_BYTES = 4096
METADATA_DEPTH = 100
SHOWN_LENGTH = 80
MAX_AHEAD_SECONDS = 300

# One match decides: 1-128 code points, no control character, no lone surrogate, no white space at either end.
_NAME = re.compile(rf"(?!\s)[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{NAME_LENGTH}}}(?<!\s)\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ModelTier(StrEnum):
    """The tiers of the default ladder, cheapest first."""

    CHEAP = "cheap"
    CAPABLE = "capable"
    PREMIUM = "premium"


class SeriesKey(NamedTuple):
    """What a series is: one tier of one stage of one workflow."""

    workflow: str
    stage: str
    tier: str


class Feedback(msgspec.Struct, frozen=True, gc=False):
    """One valid rating, ready to be stored.

    ``score`` is in millionths; ``timestamp`` (when the answer was rated) and ``arrival`` (when it
    reached us, distinct within a request) are in microseconds; ``metadata`` is the JSON text of an
    object, kept byte for byte; ``source`` says who rated.
    """

    key: SeriesKey
    feedback_id: str
    score: int
    timestamp: int
    arrival: int
    source: str | None = None
    metadata: bytes = b"{}"


class Ladder(tuple[str, ...]):
    """Tier names, cheapest first; two or more, all distinct."""

    __slots__ = ()

    def rank(self, tier: str) -> int:
        """Place of ``tier``, 0 = cheapest.

        Raises:
            InvalidFeedback: ``tier`` is none of the ladder's.

        """
        try:
            return self.index(tier)
        except ValueError:
            raise InvalidFeedback("tier", f"{shown(tier)} is none of {', '.join(self)}", "unknown_tier") from None

    def above(self, tier: str) -> str | None:
        """Return the next dearer tier, ``None`` at the top."""
        place = self.rank(tier) + 1
        return self[place] if place < len(self) else None

    def below(self, tier: str) -> str | None:
        """Return the next cheaper tier, ``None`` at the bottom."""
        place = self.rank(tier)
        return self[place - 1] if place else None


def shown(value: object) -> str:
    """Render what was given for a message, cut to a readable length."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4,300 digits, or nested too deeply
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


def name(value: object, field: str, code: str = "invalid_name") -> str:
    """Return ``value`` when it is usable as a name: 1 to 128 characters, kept code point for code point.

    Raises:
        InvalidFeedback: it is no text, empty, too long, holds a control character or a lone
            surrogate, or has white space at either end.

    """
    if isinstance(value, str) and _NAME.match(value):
        return str(value)
    raise InvalidFeedback(field, _name_fault(value), code)


def _name_fault(value: object) -> str:
    if not isinstance(value, str):
        return f"{shown(value)} is not a text"
    if not value:
        return "must not be empty"
    if len(value) > NAME_LENGTH:
        return f"has {len(value)} characters, at most {NAME_LENGTH} are allowed"
    if value[0].isspace() or value[-1].isspace():
        return f"{shown(value)} has white space at an end"
    return f"{shown(value)} holds a control character or half a surrogate pair"


def millionths(value: object, field: str = "quality_score") -> int:
    """Round a score from 0 (bad) to 1 (excellent) to whole millionths.

    Rounding comes before the range is checked, so 1.0000000000000002 is 1.

    Raises:
        InvalidFeedback: ``value`` is no number (a boolean, a text and ``None`` are none), not
            finite, or outside 0 to 1.

    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidFeedback(field, f"{shown(value)} is not a number from 0 to 1", "invalid_score")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFeedback(field, f"{value} is not a finite number from 0 to 1", "invalid_score")
    score = round(value * MILLION) if -1 < value < 2 else -1  # noqa: PLR2004 - any number outside is out of range
    if not 0 <= score <= MILLION:
        raise InvalidFeedback(field, f"{shown(value)} is outside 0 to 1", "invalid_score")
    return score


def microseconds(moment: datetime) -> int:
    """Whole microseconds from the Unix epoch to an aware ``moment``, without passing through a float."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(timestamp: int) -> datetime:
    """Return the aware UTC datetime of ``timestamp`` in microseconds."""
    return _EPOCH + timedelta(microseconds=timestamp)


def metadata_json(value: dict[str, Any] | None) -> bytes:
    """Encode ``value`` as the JSON object that is stored.

    Raises:
        InvalidFeedback: it is no dictionary, holds what JSON cannot carry unchanged (a tuple, a
            datetime, NaN, a key that is no text), takes over 4 KiB, or is
            nested more than 100 levels deep.

    """
    if value is None:
        return b"{}"
    try:
        text = msgspec.json.encode(value)
        unchanged = isinstance(value, dict) and msgspec.json.decode(text) == value
    except (TypeError, ValueError, RecursionError):
        unchanged = False
    if not unchanged:
        raise InvalidFeedback(
            "metadata", f"{shown(value)} is not a dictionary that JSON carries unchanged", "invalid_metadata"
        )
    check_metadata_depth(text, value)
    return check_metadata_size(text)


def check_metadata_size(text: bytes) -> bytes:
    """Return the JSON ``text`` of metadata when it is within 4 KiB.

    Raises:
        InvalidFeedback: it is larger.

    """
    if len(text) > METADATA_BYTES:
        raise InvalidFeedback(
            "metadata", f"takes {len(text)} bytes, at most {METADATA_BYTES} are allowed", "invalid_metadata"
        )
    return text


def check_metadata_depth(text: bytes, value: object) -> None:
    """Refuse metadata, ``value`` with its JSON ``text``, that a reader might not be able to nest so deep.

    Raises:
        InvalidFeedback: it is nested more than 100 levels deep.

    """
    if text.count(b"{") + text.count(b"[") > METADATA_DEPTH and _is_deeper(value, METADATA_DEPTH):
        raise InvalidFeedback("metadata", f"is nested more than {METADATA_DEPTH} levels deep", "invalid_metadata")


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


def check_time(timestamp: int, now: int, window_seconds: int) -> int:
    """Return ``timestamp`` when it lies in the window that ends 5 minutes after ``now`` (all microseconds).

    Raises:
        InvalidFeedback: it is older than the window, or more than 5 minutes ahead.

    """
    if timestamp < now - window_seconds * MILLION:
        age = math.ceil((now - timestamp) / MILLION)
        raise InvalidFeedback("timestamp", f"is {age} s old, older than the window of {window_seconds} s", "too_old")
    if timestamp > now + MAX_AHEAD_SECONDS * MILLION:
        ahead = math.ceil((timestamp - now) / MILLION)
        raise InvalidFeedback(
            "timestamp",
            f"is {ahead} s ahead, at most {MAX_AHEAD_SECONDS} s are allowed; numbers are Unix seconds",
            "in_future",
        )
    return timestamp
