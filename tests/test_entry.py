"""One entry as a client sends it: every field, every fault, each in its words."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import METADATA_DEPTH, MILLION, Feedback, SeriesKey
from exporter.entry import Entry, parse, parse_time
from exporter.errors import InvalidFeedback
from exporter.names import REJECT_REASONS
from exporter.rules import Rules, StageOverrides, WorkflowOverrides

# 2025-01-01T00:00:00Z, on the hour.
NOW = 1_735_689_600 * MILLION
WEEK = 604_800
KNOWN = (
    "workflow_name, stage_name, tier, quality_score, rating, stars, outcome, timestamp, feedback_id, source, metadata"
)
ONE_SCORE = "exactly one of quality_score, rating, stars, outcome is needed, got"
NAMES = '"workflow_name": "w", "stage_name": "s", "tier": "cheap"'


def entry(*fields: str) -> bytes:
    """Write a rating from the JSON text of what it has beside its names; a score of its own makes it whole."""
    return f"{{{', '.join((NAMES, *fields))}}}".encode()


def scored(*fields: str) -> bytes:
    """Write a rating that only misses what is given."""
    return entry('"quality_score": 0.5', *fields)


def read(raw: bytes, rules: Rules | None = None, new_id: Callable[[], str] = lambda: "made here") -> Feedback:
    """Parse an entry that arrives 7 microseconds after ``NOW``, the time of its request."""
    return parse(raw, NOW + 7, NOW, rules or Rules(), new_id)


def fault(raw: bytes, rules: Rules | None = None) -> tuple[str | None, str, str]:
    """Field, code and reason of what is wrong with an entry."""
    with pytest.raises(InvalidFeedback) as raised:
        read(raw, rules)
    assert raised.value.code in REJECT_REASONS
    return raised.value.field, raised.value.code, raised.value.reason


def test_the_least_that_an_entry_needs() -> None:
    """Names and a score suffice: the id is made, the time is that of arrival, metadata are empty, nobody is named."""
    assert read(entry('"quality_score": 0.25')) == Feedback(
        SeriesKey("w", "s", "cheap"), "made here", 250_000, NOW + 7, NOW + 7, None, b"{}"
    )


def test_all_that_an_entry_may_say() -> None:
    """Every field is kept."""
    raw = scored('"timestamp": 1735689599.5', '"feedback_id": "id"', '"source": "judge"', '"metadata": { "a": 1.0 }')

    assert read(raw) == Feedback(
        SeriesKey("w", "s", "cheap"), "id", 500_000, NOW - 500_000, NOW + 7, "judge", b'{ "a": 1.0 }'
    )


def test_null_is_as_good_as_absent_where_a_field_is_optional() -> None:
    """``timestamp``, ``feedback_id``, ``source`` and ``metadata`` may be null."""
    raw = scored('"timestamp": null', '"feedback_id": null', '"source": null', '"metadata": null')

    assert read(raw) == read(scored())


SCORES = {
    "zero": ('"quality_score": 0', 0),
    "zero as a float": ('"quality_score": 0.0', 0),
    "minus zero": ('"quality_score": -0.0', 0),
    "one": ('"quality_score": 1', 1_000_000),
    "one and a rounding error": ('"quality_score": 1.0000000000000002', 1_000_000),
    "less than half a millionth below zero": ('"quality_score": -0.0000001', 0),
    "too small for a float": ('"quality_score": 1e-400', 0),
    "rounded to millionths": ('"quality_score": 0.1234565', 123_456),
    "with an exponent": ('"quality_score": 5E-1', 500_000),
    "one star": ('"stars": 1', 0),
    "half a star": ('"stars": 3.5', 625_000),
    "five stars": ('"stars": 5', 1_000_000),
    "success": ('"outcome": "success"', 900_000),
    "failure": ('"outcome": "failure"', 300_000),
    "failure on its first retry": ('"outcome": "failure_on_first_retry"', 500_000),
    "rating": ('"rating": {"value": 7, "min": 0, "max": 10}', 700_000),
    "rating at the lower end": ('"rating": {"value": -1, "min": -1, "max": 1}', 0),
    "rating at the upper end": ('"rating": {"max": 1, "min": -1, "value": 1}', 1_000_000),
    "rating of huge numbers": ('"rating": {"value": 1e308, "min": -1e308, "max": 1e308}', 1_000_000),
}


@pytest.mark.parametrize(("field", "score"), SCORES.values(), ids=SCORES)
def test_each_way_to_rate_gives_its_score(field: str, score: int) -> None:
    """Scores are kept in millionths, rounded before their range is checked."""
    assert read(entry(field)).score == score


BAD_SCORES = {
    "none": ('"source": "x"', "quality_score", f"{ONE_SCORE} none"),
    "two": ('"quality_score": 1, "stars": 5', "stars", f"{ONE_SCORE} quality_score and stars"),
    "two, one of them null": ('"quality_score": null, "stars": 5', "stars", f"{ONE_SCORE} quality_score and stars"),
    "all": (
        '"outcome": "success", "stars": 5, "rating": 1, "quality_score": 1',
        "rating",
        f"{ONE_SCORE} quality_score and rating and stars and outcome",
    ),
    "boolean": ('"quality_score": true', "quality_score", "True is not a number from 0 to 1"),
    "text": ('"quality_score": "0.5"', "quality_score", "'0.5' is not a number from 0 to 1"),
    "null": ('"quality_score": null', "quality_score", "None is not a number from 0 to 1"),
    "list": ('"quality_score": [0.5]', "quality_score", "[0.5] is not a number from 0 to 1"),
    "object": ('"quality_score": {}', "quality_score", "{} is not a number from 0 to 1"),
    "too high": ('"quality_score": 1.0000006', "quality_score", "1.0000006 is outside 0 to 1"),
    "too low": ('"quality_score": -0.0000006', "quality_score", "-6e-07 is outside 0 to 1"),
    "a percentage": ('"quality_score": 85', "quality_score", "85 is outside 0 to 1"),
    "huge integer": (f'"quality_score": 1{"0" * 400}', "quality_score", f"1{'0' * 76}... is outside 0 to 1"),
    "too few stars": ('"stars": 0', "stars", "0 is outside 1 to 5"),
    "too many stars": ('"stars": 5.1', "stars", "5.1 is outside 1 to 5"),
    "stars as a text": ('"stars": "5"', "stars", "'5' is not a number"),
    "stars null": ('"stars": null', "stars", "None is not a number"),
    "stars a boolean": ('"stars": true', "stars", "True is not a number"),
    "unknown outcome": (
        '"outcome": "Success"',
        "outcome",
        "'Success' is none of success, failure, failure_on_first_retry",
    ),
    "outcome a list": ('"outcome": []', "outcome", "[] is none of success, failure, failure_on_first_retry"),
    "rating a number": ('"rating": 4', "rating", "4 is not an object of value, min and max"),
    "rating null": ('"rating": null', "rating", "None is not an object of value, min and max"),
    "rating without bounds": (
        '"rating": {"value": 4}',
        "rating",
        "{'value': 4} is not an object of value, min and max",
    ),
    "rating with more": (
        '"rating": {"value": 4, "min": 1, "max": 5, "by": "me"}',
        "rating",
        "{'value': 4, 'min': 1, 'max': 5, 'by': 'me'} is not an object of value, min and max",
    ),
    "rating outside its scale": (
        '"rating": {"value": 6, "min": 1, "max": 5}',
        "rating.value",
        "6 is outside 1 to 5",
    ),
    "rating on an empty scale": (
        '"rating": {"value": 1, "min": 1, "max": 1}',
        "rating.max",
        "1 must be greater than rating.min, 1",
    ),
    "rating with a text": ('"rating": {"value": 1, "min": "0", "max": 1}', "rating.min", "'0' is not a number"),
    "rating with a boolean": ('"rating": {"value": true, "min": 0, "max": 1}', "rating.value", "True is not a number"),
}


@pytest.mark.parametrize(("field", "where", "reason"), BAD_SCORES.values(), ids=BAD_SCORES)
def test_what_is_no_score_is_refused(field: str, where: str, reason: str) -> None:
    """The field at fault is named, with what it holds."""
    assert fault(entry(field)) == (where, "invalid_score", reason)


GOOD_TIMES = {
    "offset zero": ('"2025-01-01T00:00:00Z"', 0),
    "lower case": ('"2025-01-01t00:00:00z"', 0),
    "another offset": ('"2025-01-01T05:29:00+05:30"', -60),
    "unknown local offset": ('"2025-01-01T00:00:00-00:00"', 0),
    "a space for the T": ('"2024-12-31 23:59:00Z"', -60),
    "a fraction": ('"2025-01-01T00:00:00.25Z"', 0.25),
    "nanoseconds, cut": ('"2025-01-01T00:00:00.123456789Z"', 0.123456),
    "Unix seconds": ("1735689600", 0),
    "Unix seconds with a fraction": ("1735689600.123456", 0.123456),
    "Unix seconds with an exponent": ("1.7356896e9", 0),
    "as old as the window": ("1735084800", -WEEK),
    "five minutes ahead": ('"2025-01-01T00:05:00Z"', 300),
}


@pytest.mark.parametrize(("text", "seconds"), GOOD_TIMES.values(), ids=GOOD_TIMES)
def test_a_time_is_kept_to_the_microsecond(text: str, seconds: float) -> None:
    """RFC 3339 with any offset, and Unix seconds, give the same moments."""
    assert read(scored(f'"timestamp": {text}')).timestamp == NOW + round(seconds * MILLION)


NO_TIMES = {
    "no offset": ('"2025-01-01T00:00:00"', "'2025-01-01T00:00:00'"),
    "a date": ('"2025-01-01"', "'2025-01-01'"),
    "a week date": ('"2025-W01-3T00:00:00Z"', "'2025-W01-3T00:00:00Z'"),
    "no such month": ('"2025-13-01T00:00:00Z"', "'2025-13-01T00:00:00Z'"),
    "no such day": ('"2025-02-29T00:00:00Z"', "'2025-02-29T00:00:00Z'"),
    "leap second": ('"2024-12-31T23:59:60Z"', "'2024-12-31T23:59:60Z'"),
    "year zero": ('"0000-01-01T00:00:00Z"', "'0000-01-01T00:00:00Z'"),
    "an offset of a day": ('"2025-01-01T00:00:00+24:00"', "'2025-01-01T00:00:00+24:00'"),
    "other digits": ('"٢٠٢٥-01-01T00:00:00Z"', "'٢٠٢٥-01-01T00:00:00Z'"),
    "a second line": (r'"2025-01-01T00:00:00Z\n"', r"'2025-01-01T00:00:00Z\n'"),
    "Unix seconds as a text": ('"1735689600"', "'1735689600'"),
    "empty": ('""', "''"),
    "boolean": ("true", "True"),
    "list": ("[1735689600]", "[1735689600]"),
    "milliseconds": ("1735689600000", "1735689600000"),
    "huge": ("1e308", "1e+308"),
    "minus huge": ("-1e12", "-1000000000000.0"),
    "huge integer": (f"1{'0' * 400}", f"1{'0' * 76}..."),
}


@pytest.mark.parametrize(("text", "shown"), NO_TIMES.values(), ids=NO_TIMES)
def test_what_is_no_time_is_refused(text: str, shown: str) -> None:
    """The reason says what a time is; a number is in seconds, so milliseconds are none."""
    assert fault(scored(f'"timestamp": {text}')) == (
        "timestamp",
        "invalid_timestamp",
        f"{shown} is neither RFC 3339 with an offset nor Unix seconds",
    )


AHEAD = "at most 300 s are allowed; numbers are Unix seconds"
WRONG_TIMES = {
    "a microsecond too old": ("1735084799.999999", "too_old", "is 604801 s old, older than the window of 604800 s"),
    "before the epoch": ("-1", "too_old", "is 1735689601 s old, older than the window of 604800 s"),
    "a text too old": (
        '"2024-12-24T23:59:59Z"',
        "too_old",
        "is 604801 s old, older than the window of 604800 s",
    ),
    "the oldest there is": (
        '"0001-01-01T00:00:00+23:59"',
        "too_old",
        "is 63871372740 s old, older than the window of 604800 s",
    ),
    "a microsecond too far ahead": ("1735689900.000001", "in_future", f"is 301 s ahead, {AHEAD}"),
    "the last there is": ('"9999-12-31T23:59:59-23:59"', "in_future", f"is 251666697539 s ahead, {AHEAD}"),
}


@pytest.mark.parametrize(("text", "code", "reason"), WRONG_TIMES.values(), ids=WRONG_TIMES)
def test_a_time_outside_the_window_is_refused(text: str, code: str, reason: str) -> None:
    """The reason says how far it is off, and what is allowed."""
    assert fault(scored(f'"timestamp": {text}')) == ("timestamp", code, reason)


def test_each_stage_has_its_own_window() -> None:
    """A rating is too old by the window of its stage, else of its workflow, else of all."""
    hour, day = 3600, 86_400
    stages = {"s": StageOverrides(window_seconds=hour)}
    rules = Rules(workflows={"w": WorkflowOverrides(window_seconds=day, stages=stages)})
    old = scored('"timestamp": 1735685999')

    assert fault(old, rules) == ("timestamp", "too_old", "is 3601 s old, older than the window of 3600 s")
    assert read(old.replace(b'"s"', b'"other"'), rules).timestamp == NOW - 3601 * MILLION
    assert read(scored('"timestamp": 1735686000'), rules).timestamp == NOW - hour * MILLION


@pytest.mark.parametrize("text", ['"2025-01-01T00:00:00Z"', "1735689600"])
def test_a_time_that_a_parameter_gives_is_read_alike(text: str) -> None:
    """``parse_time`` reads what an entry may hold, whatever the window, and names the field it was given."""
    assert parse_time(json.loads(text)) == NOW
    with pytest.raises(InvalidFeedback, match=r"^before: 'x' is neither RFC 3339 with an offset nor Unix seconds$"):
        parse_time("x", "before")


IDS = {"absent": "", "null": ', "feedback_id": null', "empty": ', "feedback_id": ""'}


@pytest.mark.parametrize("field", IDS.values(), ids=IDS)
def test_an_id_is_made_where_the_client_sends_none(field: str) -> None:
    """Absent, null and empty are the same."""
    assert read(entry('"quality_score": 0.5' + field)).feedback_id == "made here"


NAME_FAULTS = {
    "empty": ('""', "must not be empty"),
    "null": ("null", "None is not a text"),
    "number": ("5", "5 is not a text"),
    "boolean": ("false", "False is not a text"),
    "list": ('["w"]', "['w'] is not a text"),
    "too long": (f'"{"x" * 129}"', "has 129 characters, at most 128 are allowed"),
    "a space before": ('" w"', "' w' has white space at an end"),
    "a space after": ('"w "', "'w ' has white space at an end"),
    "an ideographic space after": ('"w\u3000"', r"'w\u3000' has white space at an end"),
    "only white space": (r'"\t"', r"'\t' has white space at an end"),
    "a newline inside": (r'"w\nx"', r"'w\nx' holds a control character or half a surrogate pair"),
    "NUL": (r'"w\u0000"', r"'w\x00' holds a control character or half a surrogate pair"),
    "a C1 control": (r'"w\u0081x"', r"'w\x81x' holds a control character or half a surrogate pair"),
}


@pytest.mark.parametrize("field", ["workflow_name", "stage_name", "feedback_id", "source"])
@pytest.mark.parametrize(("text", "reason"), NAME_FAULTS.values(), ids=NAME_FAULTS)
def test_each_name_obeys_the_rules_for_names(field: str, text: str, reason: str) -> None:
    """Workflow, stage, id and source are held to the same rules; only a missing id or source is no fault."""
    fields = {"workflow_name": '"w"', "stage_name": '"s"', "tier": '"cheap"', "quality_score": "0.5"} | {field: text}
    raw = f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in fields.items())}}}".encode()

    if (field == "feedback_id" and text in ('""', "null")) or (field == "source" and text == "null"):
        assert read(raw) == read(scored())
    else:
        assert fault(raw) == (field, "invalid_name", reason)


@pytest.mark.parametrize("field", ["workflow_name", "stage_name"])
def test_a_missing_name_is_named(field: str) -> None:
    """The field that is not there is at fault."""
    raw = json.loads(scored())
    del raw[field]

    assert fault(json.dumps(raw).encode()) == (field, "invalid_name", "is missing")


KEPT_NAMES = [
    "a:b",
    "a|b",
    'quote"d',
    "back\\slash",
    "*",
    "日本語",
    "{x}",
    "%41",
    "a b",
    "a\u00a0b",
    "\u200b",
    "e\u0301",
    "\u00e9",
    "👩‍🚀",
    "\U0010ffff",
    "\ufeffbom",
    "x" * 128,
    "👩" * 128,
]


@pytest.mark.parametrize("name", KEPT_NAMES)
def test_a_name_is_kept_code_point_for_code_point(name: str) -> None:
    """Names of any script are kept as they are, never normalised; 128 characters are not 128 bytes."""
    given = {"workflow_name": name, "stage_name": name, "feedback_id": name, "source": name}
    rating = read(json.dumps({**json.loads(scored()), **given}).encode())

    assert (*rating.key[:2], rating.feedback_id, rating.source) == (name, name, name, name)


TIERS = {
    "unknown": ('"gpt"', "'gpt' is none of cheap, capable, premium"),
    "other case": ('"Cheap"', "'Cheap' is none of cheap, capable, premium"),
    "empty": ('""', "'' is none of cheap, capable, premium"),
    "null": ("null", "None is none of cheap, capable, premium"),
    "number": ("0", "0 is none of cheap, capable, premium"),
    "list": ('["cheap"]', "['cheap'] is none of cheap, capable, premium"),
}


@pytest.mark.parametrize(("text", "reason"), TIERS.values(), ids=TIERS)
def test_a_tier_is_one_of_the_ladder(text: str, reason: str) -> None:
    """Any other value is refused with the tiers that there are."""
    assert fault(scored().replace(b'"cheap"', text.encode())) == ("tier", "unknown_tier", reason)


def test_a_missing_tier_is_counted_as_an_unknown_one() -> None:
    """The field is named, and what is wrong is that it is missing."""
    raw = scored().replace(b', "tier": "cheap"', b"")

    assert fault(raw) == ("tier", "unknown_tier", "is missing")


def test_the_ladder_is_the_one_in_force() -> None:
    """A ladder of other tiers takes these, and no others."""
    rules = Rules(tiers=("小", "大"))

    assert read(scored().replace(b'"cheap"', '"大"'.encode()), rules).key.tier == "大"
    assert fault(scored(), rules) == ("tier", "unknown_tier", "'cheap' is none of 小, 大")


NESTED = '{"a": ' + "[" * (METADATA_DEPTH - 1) + "]" * (METADATA_DEPTH - 1) + "}"
METADATA = {
    "empty": "{}",
    "white space": '{ "a" :\t1 , "b":2 }',
    "whole floats and integers": '{"a": 1.0, "b": 1, "c": 1e2, "d": -0.0}',
    "big integers": f'{{"a": 123456789012345678901234567890, "b": 1{"0" * 4000}}}',
    "many digits": '{"a": 0.1000000000000000055511151231257827}',
    "nested": '{"a": {"b": [null, true, {"c": ""}]}}',
    "as deep as may be": NESTED,
    "wide, not deep": f'{{"a": [{", ".join(["[1]"] * 800)}]}}',
    "any script": '{"日本語": "\u2028", "e\u0301": "👩‍🚀"}',
    "escapes": r'{"a": "\u00e9\ud83d\ude00\/\u0000\n"}',
    "the same key twice": '{"a": 1, "a": 2}',
    "4096 bytes": '{"a": "' + "x" * (4096 - 9) + '"}',
}


@pytest.mark.parametrize("text", METADATA.values(), ids=METADATA)
def test_metadata_are_kept_byte_for_byte(text: str) -> None:
    """Nothing of them is changed: no number's type, no escape, no space."""
    assert read(scored(f'"metadata": {text}')).metadata == text.encode()


BAD_METADATA = {
    "list": ("[]", "[] is not a JSON object"),
    "text": ('"{}"', "'{}' is not a JSON object"),
    "number": ("0", "0 is not a JSON object"),
    "boolean": ("false", "False is not a JSON object"),
    "too large": ('{"a": "' + "x" * (4097 - 9) + '"}', "takes 4097 bytes, at most 4096 are allowed"),
    "too large in bytes, not in characters": (
        '{"a": "' + "é" * 2044 + '"}',
        "takes 4097 bytes, at most 4096 are allowed",
    ),
    "a number that no float holds": ('{"a": [1e400]}', "is not usable JSON: Number out of range"),
    "too deep": (NESTED.replace("[]", "[[]]"), "is nested more than 100 levels deep"),
    "deep objects": ('{"a": ' * 101 + "1" + "}" * 101, "is nested more than 100 levels deep"),
    "a deep list": ("[" * 101 + "]" * 101, "is nested more than 100 levels deep"),
}


@pytest.mark.parametrize(("text", "reason"), BAD_METADATA.values(), ids=BAD_METADATA)
def test_metadata_are_an_object_within_limits(text: str, reason: str) -> None:
    """Anything else is refused, whatever it is."""
    assert fault(scored(f'"metadata": {text}')) == ("metadata", "invalid_metadata", reason)


def test_metadata_that_a_reader_could_not_recurse_into_are_refused() -> None:
    """However near to the end of the stack they are read, deep metadata are refused, not raised through."""
    for levels in range(900, 1000):
        text = '{"a": ' + "[" * levels + "]" * levels + "}"

        field, _, reason = fault(scored(f'"metadata": {text}'))

        assert (field, reason) in (
            ("metadata", "is nested more than 100 levels deep"),
            (None, "the entry is nested too deeply"),
        )


NOT_USABLE = {
    "no object": (b"[]", None, "malformed", "the entry is not a JSON object"),
    "a number": (b"1", None, "malformed", "the entry is not a JSON object"),
    "a text": (b'"{}"', None, "malformed", "the entry is not a JSON object"),
    "null": (b"null", None, "malformed", "the entry is not a JSON object"),
    "truncated": (scored()[:-1], None, "malformed", "the entry is not usable JSON: Input data was truncated"),
    "two entries in one": (
        scored() + scored(),
        None,
        "malformed",
        "the entry is not usable JSON: trailing characters (byte 81)",
    ),
    "bare NaN": (
        b'{"quality_score": NaN}',
        None,
        "malformed",
        "the entry is not usable JSON: invalid character (byte 18)",
    ),
    "not UTF-8": (
        b'{"workflow_name": "\xff"}',
        None,
        "malformed",
        "the entry is not usable JSON: it is not UTF-8 at byte 19",
    ),
    "metadata not UTF-8": (
        scored('"metadata": {"a": "#"}').replace(b"#", b"\xff"),
        "metadata",
        "invalid_metadata",
        "is not usable JSON: it is not UTF-8 at byte 7",
    ),
    "half a surrogate pair in a name": (
        rb'{"workflow_name": "\ud800"}',
        None,
        "malformed",
        "the entry is not usable JSON: it holds half a surrogate pair",
    ),
    "half a surrogate pair in metadata": (
        scored(r'"metadata": {"a": "\udc00"}'),
        None,
        "malformed",
        "the entry is not usable JSON: it holds half a surrogate pair",
    ),
    "half a surrogate pair as a key": (
        rb'{"\ud83d": 1}',
        None,
        "malformed",
        "the entry is not usable JSON: it holds half a surrogate pair",
    ),
    "a score that no float holds": (
        entry('"quality_score": 1e400'),
        "quality_score",
        "malformed",
        "Number out of range",
    ),
    "a score of too many digits": (
        entry(f'"quality_score": 1{"0" * 5000}'),
        "quality_score",
        "malformed",
        "Integer value out of range",
    ),
    "a rating that no float holds": (
        entry('"rating": {"value": -1e400, "min": 0, "max": 1}'),
        "rating",
        "malformed",
        "Number out of range",
    ),
    "a time that no float holds": (scored('"timestamp": 1e400'), "timestamp", "malformed", "Number out of range"),
    "deep": (scored('"source": ' + "[" * 5000), None, "malformed", "the entry is nested too deeply"),
    "unknown field": (
        scored('"score": 1'),
        "score",
        "unknown_field",
        f"is not a field of a rating; known are {KNOWN}",
    ),
    "unknown field of any name": (
        scored(r'"`a` - at `$.b`\n": 1'),
        "`a` - at `$.b`\n",
        "unknown_field",
        f"is not a field of a rating; known are {KNOWN}",
    ),
    "unknown field without a name": (
        scored('"": 1'),
        "",
        "unknown_field",
        f"is not a field of a rating; known are {KNOWN}",
    ),
    "empty object": (b"{}", "workflow_name", "invalid_name", "is missing"),
}


@pytest.mark.parametrize(("raw", "field", "code", "reason"), NOT_USABLE.values(), ids=NOT_USABLE)
def test_what_cannot_be_used_costs_the_entry(raw: bytes, field: str | None, code: str, reason: str) -> None:
    """The field is named where one is at fault; where the whole entry is, there is none."""
    assert fault(raw) == (field, code, reason)


FIELDS = [*Entry.__struct_fields__, "x"]
WORDS = st.sampled_from(["w", "cheap", "success", 0.5])


def values(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    """JSON values of any shape, many of them right for some field."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | numbers | st.text() | WORDS,
        lambda children: (
            st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["value", "min", "max", "a"]), children)
        ),
        max_leaves=5,
    )


VALUES = values(st.floats())
FINITE = values(st.floats(allow_nan=False, allow_infinity=False))
GOOD = st.just({"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5})
ENTRIES = st.builds(
    lambda good, more: good | more, GOOD | st.just({}), st.dictionaries(st.sampled_from(FIELDS), VALUES)
)


def verdict(raw: bytes) -> Feedback | InvalidFeedback:
    """Read an entry, or return what is wrong with it."""
    try:
        return read(raw)
    except InvalidFeedback as error:
        return error


@given(ENTRIES.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_an_entry_is_read_or_refused(raw: bytes) -> None:
    """Whatever it holds, there is a valid rating or an error that names its code and its reason; nothing else."""
    found = verdict(raw)

    if isinstance(found, InvalidFeedback):
        assert found.code in REJECT_REASONS
        assert found.reason
    else:
        assert 0 <= found.score <= MILLION
        assert NOW - WEEK * MILLION <= found.timestamp <= NOW + 300 * MILLION
        assert isinstance(msgspec.json.decode(found.metadata), dict)
        assert found.feedback_id
        assert found.key.tier == "cheap"


@given(st.dictionaries(st.text(max_size=20), FINITE, max_size=5))
def test_metadata_come_back_type_for_type(value: dict[str, Any]) -> None:
    """What a reader decodes is what was sent, of the same types."""
    text = json.dumps(value)

    if len(text) <= 4096:
        kept = json.loads(read(scored(f'"metadata": {text}')).metadata)
        assert json.dumps(kept) == text
