"""What a rating is: names, scores, times, metadata and the ladder."""

import math
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import (
    METADATA_DEPTH,
    MILLION,
    Ladder,
    ModelTier,
    check_metadata_size,
    check_time,
    metadata_json,
    microseconds,
    millionths,
    moment,
    name,
    shown,
)
from exporter.errors import InvalidFeedback
from exporter.rules import WEEK

NOW = 1_735_689_600 * MILLION


def refused(parse: Callable[[], object], field: str | None, reason: str, code: str) -> None:
    """Check that ``parse`` raises our error, to the letter."""
    with pytest.raises(InvalidFeedback) as caught:
        parse()
    assert (caught.value.field, caught.value.reason, caught.value.code) == (field, reason, code)


class TestLadder:
    """Tiers in order of cost."""

    ladder = Ladder(("cheap", "capable", "premium"))

    def test_the_default_tiers(self) -> None:
        """The mission's tiers are cheap, capable and premium, and are texts."""
        assert [str(tier) for tier in ModelTier] == ["cheap", "capable", "premium"]
        assert [self.ladder.rank(tier) for tier in ModelTier] == [0, 1, 2]

    def test_neighbours(self) -> None:
        """Each tier knows the next dearer and the next cheaper; there is none beyond the ends."""
        assert [self.ladder.above(tier) for tier in self.ladder] == ["capable", "premium", None]
        assert [self.ladder.below(tier) for tier in self.ladder] == [None, "cheap", "capable"]

    @pytest.mark.parametrize("tier", ["Cheap", "", "gpt"])
    def test_an_unknown_tier_is_refused(self, tier: str) -> None:
        """A tier that is none of the ladder's is named, and so are those that are."""
        reason = f"{tier!r} is none of cheap, capable, premium"

        for ask in (self.ladder.rank, self.ladder.above, self.ladder.below):
            refused(lambda ask=ask: ask(tier), "tier", reason, "unknown_tier")  # type: ignore[misc]  # bound at once


class TestShown:
    """How a value is quoted in a message."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("plain", "'plain'"),
            ("日本語", "'日本語'"),
            ("bell\a", r"'bell\x07'"),
            ("half \ud800", r"'half \ud800'"),
            (None, "None"),
            (0.1, "0.1"),
            ([1, "a"], "[1, 'a']"),
            ("x" * 78, f"'{'x' * 78}'"),
            ("x" * 79, f"'{'x' * 76}..."),
            (10**5000, "<int>"),
            ([10**5000], "<list>"),
        ],
        ids=lambda value: repr(value)[:20] if isinstance(value, str) else type(value).__name__,
    )
    def test_shown(self, value: object, text: str) -> None:
        """Values are quoted as Python writes them, at most 80 characters long."""
        assert shown(value) == text

    def test_deep_nesting(self) -> None:
        """What is nested too deeply to be written is named by its type."""
        nested: list[object] = []
        for _ in range(sys.getrecursionlimit() * 2):
            nested = [nested]

        assert shown(nested) == "<list>"

    @given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.text())))
    def test_a_message_can_always_be_printed(self, value: object) -> None:
        """Whatever was given, the message is short, printable and can be encoded."""
        text = shown(value)

        assert len(text) <= 80
        assert text.isprintable()
        assert text.encode()


class TestName:
    """The rules for names."""

    @pytest.mark.parametrize(
        "good",
        [
            "a",
            "code-review",
            "a:b",
            "a|b",
            'quote"d',
            "back\\slash",
            "{curly}",
            "*",
            "日本語",
            "two words",
            "e\u0301",
            "zero\u200bwidth",
            "\U0001f600",
            "x" * 128,
            "\U0001f600" * 128,
        ],
    )
    def test_good_names(self, good: str) -> None:
        """Any script and any punctuation, kept code point for code point."""
        assert name(good, "workflow_name") == good

    def test_a_name_is_not_normalised(self) -> None:
        """Two spellings of one letter stay two names."""
        composed = unicodedata.normalize("NFC", "e\u0301")

        assert name(composed, "f") != name("e\u0301", "f")

    def test_a_tier_of_an_enumeration_becomes_a_plain_text(self) -> None:
        """Subclasses of text are turned into text, so that nothing of them is stored."""
        kind = StrEnum("kind", {"A": "alpha"})

        assert type(name(kind["A"], "tier")) is str
        assert name(ModelTier.CHEAP, "tier") == "cheap"

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            (None, "None is not a text"),
            (3, "3 is not a text"),
            (b"a", "b'a' is not a text"),
            (["a"], "['a'] is not a text"),
            ("", "must not be empty"),
            ("x" * 129, "has 129 characters, at most 128 are allowed"),
            (" a", "' a' has white space at an end"),
            ("a\n", r"'a\n' has white space at an end"),
            ("a\u3000", r"'a\u3000' has white space at an end"),
            ("\x1ca", r"'\x1ca' has white space at an end"),
            (" ", "' ' has white space at an end"),
            ("a\nb", r"'a\nb' holds a control character or half a surrogate pair"),
            ("a\0", r"'a\x00' holds a control character or half a surrogate pair"),
            ("a\x7fb", r"'a\x7fb' holds a control character or half a surrogate pair"),
            ("a\x9fb", r"'a\x9fb' holds a control character or half a surrogate pair"),
            ("\udfff", r"'\udfff' holds a control character or half a surrogate pair"),
            ("x" * 127 + "\0", f"'{'x' * 76}... holds a control character or half a surrogate pair"),
        ],
    )
    def test_bad_names(self, bad: object, reason: str) -> None:
        """What is refused is quoted, with the rule that it breaks."""
        refused(lambda: name(bad, "stage_name"), "stage_name", reason, "invalid_name")

    def test_the_code_can_be_another(self) -> None:
        """A name that is refused as something else is counted as that."""
        refused(lambda: name("", "tier", "unknown_tier"), "tier", "must not be empty", "unknown_tier")

    @given(st.text(max_size=140))
    def test_the_rules_one_by_one(self, text: str) -> None:
        """A name is good exactly when each of the rules, checked by itself, says so."""
        good = (
            1 <= len(text) <= 128
            and text == text.strip()
            and not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
        )

        try:
            assert name(text, "f") == text
            accepted = True
        except InvalidFeedback:
            accepted = False
        assert accepted == good


class TestMillionths:
    """Scores."""

    @pytest.mark.parametrize(
        ("value", "score"),
        [
            (0, 0),
            (1, MILLION),
            (0.7, 700_000),
            (0.1234564, 123_456),
            (0.1234566, 123_457),
            (1.0000000000000002, MILLION),
            (1.0000004, MILLION),
            (-0.0, 0),
            (-1e-9, 0),
            (5e-324, 0),
        ],
    )
    def test_rounding_comes_before_the_range(self, value: float, score: int) -> None:
        """A score is rounded to whole millionths, then must lie in 0 to 1."""
        assert millionths(value) == score
        assert type(millionths(value)) is int

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (True, "True is not a number from 0 to 1"),
            ("0.5", "'0.5' is not a number from 0 to 1"),
            (None, "None is not a number from 0 to 1"),
            ([0.5], "[0.5] is not a number from 0 to 1"),
            (math.nan, "nan is not a finite number from 0 to 1"),
            (math.inf, "inf is not a finite number from 0 to 1"),
            (-math.inf, "-inf is not a finite number from 0 to 1"),
            (1.000001, "1.000001 is outside 0 to 1"),
            (-0.000001, "-1e-06 is outside 0 to 1"),
            (2, "2 is outside 0 to 1"),
            (-1, "-1 is outside 0 to 1"),
            (1e308, "1e+308 is outside 0 to 1"),
            (10**400, f"1{'0' * 76}... is outside 0 to 1"),
            (10**5000, "<int> is outside 0 to 1"),
        ],
        ids=lambda value: str(value)[:30] if isinstance(value, str | float) else type(value).__name__,
    )
    def test_what_is_no_score(self, value: object, reason: str) -> None:
        """A boolean, a text, null, NaN, an infinity and what lies outside 0 to 1 are refused in words."""
        refused(lambda: millionths(value), "quality_score", reason, "invalid_score")

    def test_the_field_can_be_another(self) -> None:
        """The error names the field that the caller gave."""
        refused(lambda: millionths(7, "parts.style"), "parts.style", "7 is outside 0 to 1", "invalid_score")

    @given(st.integers(0, MILLION))
    def test_every_score_survives_the_way_through_a_float(self, score: int) -> None:
        """A stored score that is read as a float and sent again is the same score."""
        assert millionths(score / MILLION) == score

    @given(st.floats(0, 1))
    def test_no_score_is_off_by_more_than_half_a_millionth(self, value: float) -> None:
        """Rounding goes to the nearest millionth."""
        assert abs(millionths(value) - value * MILLION) <= 0.5


class TestTime:
    """Moments and microseconds."""

    @pytest.mark.parametrize(
        ("when", "timestamp"),
        [
            (datetime(1970, 1, 1, tzinfo=UTC), 0),
            (datetime(2025, 1, 1, tzinfo=UTC), NOW),
            (datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), NOW),
            (datetime(2025, 1, 1, 0, 0, 0, 1, tzinfo=UTC), NOW + 1),
            (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
            (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 253_402_300_799_999_999),
        ],
    )
    def test_microseconds(self, when: datetime, timestamp: int) -> None:
        """Whole microseconds since the epoch, exact however far the moment lies from it."""
        assert microseconds(when) == timestamp
        assert moment(timestamp) == when
        assert moment(timestamp).tzinfo is UTC

    @pytest.mark.parametrize("offset", [0, -WEEK * MILLION, 300 * MILLION])
    def test_from_a_window_ago_to_five_minutes_ahead(self, offset: int) -> None:
        """The window's edge and five minutes ahead are still accepted."""
        assert check_time(NOW + offset, NOW, WEEK) == NOW + offset

    @pytest.mark.parametrize(
        ("offset", "reason", "code"),
        [
            (-WEEK * MILLION - 1, "is 604801 s old, older than the window of 604800 s", "too_old"),
            (-2 * WEEK * MILLION, "is 1209600 s old, older than the window of 604800 s", "too_old"),
            (
                300 * MILLION + 1,
                "is 301 s ahead, at most 300 s are allowed; numbers are Unix seconds",
                "in_future",
            ),
            (
                NOW * 999,
                "is 1733953910400 s ahead, at most 300 s are allowed; numbers are Unix seconds",
                "in_future",
            ),
        ],
        ids=["a microsecond too old", "two weeks old", "a microsecond too far ahead", "milliseconds"],
    )
    def test_outside(self, offset: int, reason: str, code: str) -> None:
        """What is too old or too far ahead says by how much, and what is allowed."""
        refused(lambda: check_time(NOW + offset, NOW, WEEK), "timestamp", reason, code)


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4),
    ),
    max_leaves=10,
)


class TestMetadata:
    """What comes with a rating."""

    def test_none_is_an_empty_object(self) -> None:
        """No metadata are kept as an empty object."""
        assert metadata_json(None) == b"{}"
        assert metadata_json({}) == b"{}"

    def test_json_text(self) -> None:
        """Metadata are kept as compact JSON in UTF-8, in the order of their keys."""
        assert metadata_json({"model": "ü", "tokens": 12, "cost": 0.5, "tags": [None, True]}) == (
            '{"model":"ü","tokens":12,"cost":0.5,"tags":[null,true]}'.encode()
        )

    @given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), json_values, max_size=4))
    def test_metadata_come_back_as_they_went_in(self, value: dict[str, Any]) -> None:
        """Whatever JSON can carry comes back equal, type for type."""
        back = msgspec.json.decode(metadata_json(value))

        assert repr(back) == repr(value)

    @pytest.mark.parametrize(
        "value",
        [
            [],
            "text",
            b"{}",
            3,
            {1: "a key that is no text"},
            {"a": (1, 2)},
            {"a": {1}},
            {"a": math.nan},
            {"a": math.inf},
            {"a": date(2025, 1, 1)},
            {"a": b"bytes"},
            {"a": "\ud800"},
            {"a": object},
        ],
        ids=repr,
    )
    def test_what_json_does_not_carry_unchanged(self, value: Any) -> None:  # noqa: ANN401 - what callers should not give
        """What would come back as something else, or not at all, is refused."""
        reason = f"{value!r} is not a dictionary that JSON carries unchanged"

        refused(lambda: metadata_json(value), "metadata", reason, "invalid_metadata")

    @pytest.mark.parametrize(("levels", "usable"), [(METADATA_DEPTH, True), (METADATA_DEPTH + 1, False)])
    def test_nesting(self, levels: int, usable: bool) -> None:  # noqa: FBT001 - pytest gives it
        """Metadata may be nested 100 levels deep, and no deeper, whoever sends them."""
        value: dict[str, object] = {}
        for _ in range(levels - 1):
            value = {"a": value}

        if usable:
            assert metadata_json(value)
        else:
            reason = "is nested more than 100 levels deep"
            refused(lambda: metadata_json(value), "metadata", reason, "invalid_metadata")

    def test_much_that_is_not_nested(self) -> None:
        """Any number of lists and dictionaries may stand side by side, and brackets in texts are texts."""
        assert metadata_json({"lists": [[1], {"a": None}, "[{"] * 150})

    def test_metadata_that_hold_themselves(self) -> None:
        """A dictionary that holds itself is refused like any other that is nested too deeply."""
        value: dict[str, object] = {}
        value["me"] = value

        refused(
            lambda: metadata_json(value),
            "metadata",
            "{'me': {...}} is not a dictionary that JSON carries unchanged",
            "invalid_metadata",
        )

    def test_size(self) -> None:
        """4,096 bytes are accepted, one more is refused with both numbers."""
        largest = {"a": "x" * (4096 - len('{"a":""}'))}
        reason = "takes 4097 bytes, at most 4096 are allowed"

        assert len(metadata_json(largest)) == 4096
        refused(lambda: metadata_json({"a": largest["a"] + "x"}), "metadata", reason, "invalid_metadata")
        refused(lambda: check_metadata_size(b"x" * 4097), "metadata", reason, "invalid_metadata")

    def test_size_is_in_bytes(self) -> None:
        """Letters that take several bytes count as such."""
        assert metadata_json({"a": "日" * 1362})
        refused(
            lambda: metadata_json({"a": "日" * 1363}),
            "metadata",
            "takes 4097 bytes, at most 4096 are allowed",
            "invalid_metadata",
        )
