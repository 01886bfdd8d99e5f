"""Ways to rate an answer."""

import math
import threading
import warnings
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import scores
from exporter.domain import MILLION, millionths
from exporter.errors import InvalidFeedback

GOOD = dedent('''
    """Reads settings."""

    def read(path: str) -> dict[str, str]:
        """Return the settings in the file at ``path``."""
        # One setting a line.
        with open(path) as lines:
            return dict(line.strip().split("=", 1) for line in lines)
''')

NOT_NUMBERS: dict[str, tuple[Any, str]] = {
    "a boolean": (True, "True is not a number"),
    "a text": ("4", "'4' is not a number"),
    "nothing": (None, "None is not a number"),
    "a list": ([4], "[4] is not a number"),
    "a complex number": (4j, "4j is not a number"),
    "NaN": (math.nan, "nan is not a finite number"),
    "infinity": (math.inf, "inf is not a finite number"),
    "minus infinity": (-math.inf, "-inf is not a finite number"),
}
not_a_number = pytest.mark.parametrize(("value", "reason"), NOT_NUMBERS.values(), ids=NOT_NUMBERS)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))


def refused(rate: Callable[[], object], field: str, reason: str) -> None:
    """Check that ``rate`` raises our error, to the letter."""
    with pytest.raises(InvalidFeedback) as caught:
        rate()
    assert (caught.value.field, caught.value.reason, caught.value.code) == (field, reason, "invalid_score")


class TestGeneratedCode:
    """Rating Python source by what can be seen."""

    def test_good_code(self) -> None:
        """Code that parses, is documented, annotated and of sensible length is excellent."""
        assert scores.generated_code(GOOD) == 1.0

    @pytest.mark.parametrize(
        ("source", "score"),
        [
            ("", 0.0),
            ("\n  \n\t", 0.0),
            ("# nothing\n# but\n# comments", 0.0),
            ("x = 1", 0.3),
            ("x = 1\ny = 2\nz = 3", 0.6),
            ("x = 1\n\n# a comment\n\n    # another\ny = 2", 0.3),
            ("x = = 1", 0.0),
            ("this is\nno Python\nbut text", 0.3),
            ('"""A module."""', 0.5),
            ('class A:\n    "A class."', 0.5),
            ('def f():\n    "A function."', 0.5),
            ('async def f():\n    "A coroutine."', 0.5),
            ('def f():\n    x = 1\n    "no docstring"', 0.6),
            ('def f():\n    ""', 0.3),
            ('def f():\n    """\n    """', 0.6),
            ('x = "not a docstring"', 0.3),
            ('# """not a docstring""" -> x: int\nx = \'->: int\'', 0.3),
            ("def f(a: int): pass", 0.5),
            ("def f(*, a: int): pass", 0.5),
            ("def f(*a: int): pass", 0.5),
            ("def f(**a: int): pass", 0.5),
            ("def f(a, /, b: int): pass", 0.5),
            ("def f() -> int: pass", 0.5),
            ("async def f() -> int: pass", 0.5),
            ("x: int = 1", 0.5),
            ("class A:\n    x: int", 0.5),
            ("def f(a): pass", 0.3),
            ("x = {1: int}[1:2]", 0.3),
            ("f = lambda a: a", 0.3),
        ],
    )
    def test_each_part_is_seen(self, source: str, score: float) -> None:
        """Parsing earns 0.3, docstrings 0.2, type hints 0.2 and length 0.3; look-alikes earn nothing."""
        assert scores.generated_code(source) == score

    @pytest.mark.parametrize(("lines", "score"), [(2, 0.3), (3, 0.6), (300, 0.6), (301, 0.3)])
    def test_sensible_length_is_3_to_300_lines(self, lines: int, score: float) -> None:
        """Blank lines and comments are not counted."""
        assert scores.generated_code("x = 1\n\n# comment\n" * lines) == score

    def test_longest_source(self) -> None:
        """Of over 100,000 characters nothing is earned; up to there the source is judged."""
        longest = GOOD + "#" * (100_000 - len(GOOD))

        assert scores.generated_code(longest) == 1.0
        assert scores.generated_code(longest + "#") == 0.0

    @pytest.mark.parametrize(
        ("source", "score"),
        [
            ("x = 1\0", 0.0),
            ("x = '\ud800'", 0.0),
            ("\ufeffx = 1", 0.0),
            ("(" * 100_000, 0.0),
            ("[" * 50 + "]" * 50, 0.3),
            ("-" * 99_999 + "1", 0.0),
            ("1+" * 49_999 + "1", 0.0),
            ("a" + ".a" * 49_999, 0.0),
            ("a" + "()" * 49_999, 0.0),
            ("lambda:" * 14_000 + "1", 0.0),
            ("1 if 1 else " * 8_000 + "1", 0.0),
            ("if 1: pass\n" + "elif 1: pass\n" * 7_000, 0.0),
            ("9" * 100_000, 0.0),
            ("1;" * 50_000, 0.3),
            ("# coding: nonsense\nx = 1", 0.3),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_hostile_source_is_only_rated_badly(self, source: str, score: float) -> None:
        """No source makes the rating fail or crash, in the main thread or in one with a quarter of its stack."""
        found = []
        before = threading.stack_size(2 * 1024 * 1024)
        thread = threading.Thread(target=lambda: found.append(scores.generated_code(source)))
        thread.start()
        thread.join()
        threading.stack_size(before)

        assert [scores.generated_code(source), *found] == [score, score]

    @given(st.text())
    def test_any_text_is_rated(self, source: str) -> None:
        """Whatever the text, the score lies in 0 to 1."""
        assert 0 <= scores.generated_code(source) <= 1

    @pytest.mark.parametrize("source", ["x = '\\d'", "x = 1if 1else 2", "x = b'\\d'"])
    def test_code_that_python_warns_of(self, source: str) -> None:
        """Python's warnings about the code neither leak nor count against it."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")

            assert scores.generated_code(source) == 0.3
        assert caught == []

    def test_the_filters_of_warnings_are_left_as_they_were(self) -> None:
        """Threads that rate at the same time put the process's warning filters back."""
        before = list(warnings.filters)
        threads = [threading.Thread(target=lambda: [scores.generated_code(GOOD) for _ in range(50)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert list(warnings.filters) == before

    def test_bytes_are_no_text(self) -> None:
        """Source is a text; anything else is the caller's mistake and says so."""
        source: Any = b"x = 1"

        refused(lambda: scores.generated_code(source), "source", "b'x = 1' is not a text")


class TestStars:
    """A person's stars."""

    @pytest.mark.parametrize(("stars", "score"), [(1, 0), (2, 0.25), (3, 0.5), (3.5, 0.625), (4, 0.75), (5.0, 1)])
    def test_stars(self, stars: float, score: float) -> None:
        """(stars - 1) / 4."""
        assert scores.stars(stars) == score

    @pytest.mark.parametrize("stars", [0, 6, -1, 0.999, math.nextafter(5, 6), 1e300])
    def test_outside(self, stars: float) -> None:
        """Fewer than 1 and more than 5 stars are refused."""
        refused(lambda: scores.stars(stars), "stars", f"{stars} is outside 1 to 5")

    def test_a_number_too_long_to_print(self) -> None:
        """Even an integer of ten thousand digits is refused in words."""
        refused(lambda: scores.stars(10**10_000), "stars", "<int> is outside 1 to 5")

    @not_a_number
    def test_not_a_number(self, value: Any, reason: str) -> None:  # noqa: ANN401 - what callers should not give
        """Booleans, texts, NaN and the like are no stars."""
        refused(lambda: scores.stars(value), "stars", reason)


class TestTaskOutcome:
    """How the task ended."""

    def test_the_three_outcomes(self) -> None:
        """Success is 0.9, failure 0.3, failure on the first retry 0.5; there are no others."""
        rated = {outcome: scores.task_outcome(outcome) for outcome in scores.OUTCOMES}

        assert rated == {"success": 0.9, "failure": 0.3, "failure_on_first_retry": 0.5}

    @pytest.mark.parametrize("outcome", ["", "Success", "success ", None, True, 0.9, ["success"]])
    def test_unknown(self, outcome: Any) -> None:  # noqa: ANN401 - what callers should not give
        """Any other value is refused, and the known ones are named."""
        refused(
            lambda: scores.task_outcome(outcome),
            "outcome",
            f"{outcome!r} is none of success, failure, failure_on_first_retry",
        )


class TestScaled:
    """A score on any scale."""

    @pytest.mark.parametrize(
        ("value", "minimum", "maximum", "score"),
        [
            (7, 0, 10, 0.7),
            (0, 0, 10, 0),
            (10, 0, 10, 1),
            (0, -1, 1, 0.5),
            (-3, -5, -1, 0.5),
            (0.3, 0.1, 0.5, 0.5),
            (1e308, -1e308, 1.5e308, 0.8),
            (5e-324, 0, 1e-323, 0.5),
            (10**400, 0, 10**401, 0.1),
            (2**53 + 1, 2**53, 2**53 + 2, 0.5),
        ],
    )
    def test_scaled(self, value: float, minimum: float, maximum: float, score: float) -> None:
        """(value - minimum) / (maximum - minimum), exact even where floats would overflow or round."""
        assert scores.scaled(value, minimum, maximum) == pytest.approx(score, rel=1e-15)

    @given(numbers, numbers, numbers)
    def test_any_numbers(self, one: float, two: float, three: float) -> None:
        """Whatever the scale, a value on it scores in 0 to 1, and its ends score 0 and 1."""
        low, value, high = sorted((one, two, three))
        if low < high:
            assert 0 <= scores.scaled(value, low, high) <= 1
            assert scores.scaled(low, low, high) == 0
            assert scores.scaled(high, low, high) == 1

    @pytest.mark.parametrize(
        ("value", "reason"), [(11, "11 is outside 0 to 10"), (-0.001, "-0.001 is outside 0 to 10")]
    )
    def test_outside(self, value: float, reason: str) -> None:
        """A value that is not on its scale is refused."""
        refused(lambda: scores.scaled(value, 0, 10), "rating.value", reason)

    @pytest.mark.parametrize(
        ("minimum", "maximum", "reason"),
        [
            (5, 5, "5 must be greater than rating.min, 5"),
            (5.0, 1, "1 must be greater than rating.min, 5.0"),
        ],
    )
    def test_empty_scale(self, minimum: float, maximum: float, reason: str) -> None:
        """A scale without extent, or upside down, is refused."""
        refused(lambda: scores.scaled(5, minimum, maximum), "rating.max", reason)

    @not_a_number
    def test_not_a_number(self, value: Any, reason: str) -> None:  # noqa: ANN401 - what callers should not give
        """Each of the three must be a finite number; the error names the one that is not."""
        refused(lambda: scores.scaled(value, 0, 1), "rating.value", reason)
        refused(lambda: scores.scaled(0, value, 1), "rating.min", reason)
        refused(lambda: scores.scaled(0, 0, value), "rating.max", reason)


class TestWeightedMix:
    """Several scores of one answer."""

    def test_default_weights(self) -> None:
        """Correctness 0.4, completeness 0.3, efficiency 0.15, style 0.15: they sum to 1."""
        assert scores.MIX_WEIGHTS == {"correctness": 0.4, "completeness": 0.3, "efficiency": 0.15, "style": 0.15}
        assert math.fsum(scores.MIX_WEIGHTS.values()) == 1

    def test_all_parts(self) -> None:
        """The score is the sum of weight times part."""
        parts = {"correctness": 1.0, "completeness": 0.5, "efficiency": 0.8, "style": 0.2}

        assert scores.weighted_mix(parts) == pytest.approx(0.4 + 0.15 + 0.12 + 0.03)

    def test_a_part_that_nobody_judged(self) -> None:
        """The parts that are given keep their proportion."""
        assert scores.weighted_mix({"correctness": 1, "completeness": 0.3}) == pytest.approx(0.49 / 0.7)
        assert scores.weighted_mix({"style": 0.4}) == 0.4

    def test_own_weights(self) -> None:
        """Weights of one's own replace the default ones, and need not sum to 1."""
        assert scores.weighted_mix({"tone": 1.0, "facts": 0.5}, {"tone": 1, "facts": 3, "unused": 9}) == 0.625

    def test_a_part_of_no_weight(self) -> None:
        """A weight of zero leaves a part out of the mix."""
        assert scores.weighted_mix({"a": 0.25, "b": 1.0}, {"a": 1e308, "b": 0}) == 0.25

    @given(st.dictionaries(st.sampled_from(sorted(scores.MIX_WEIGHTS)), st.floats(0, 1), min_size=1))
    def test_a_mix_lies_between_its_parts(self, parts: dict[str, float]) -> None:
        """A mix is no better than its best part and no worse than its worst, in whole millionths."""
        rounded = [millionths(part) / MILLION for part in parts.values()]

        assert min(rounded) <= scores.weighted_mix(parts) <= max(rounded)

    @pytest.mark.parametrize(
        ("parts", "weights", "field", "reason"),
        [
            ({}, scores.MIX_WEIGHTS, "parts", "must not be empty"),
            (
                {"correctness": 1, "speed": 1},
                scores.MIX_WEIGHTS,
                "parts",
                "'speed' is none of correctness, completeness, efficiency, style",
            ),
            ({"style": 1.5}, scores.MIX_WEIGHTS, "parts.style", "1.5 is outside 0 to 1"),
            ({"style": "1"}, scores.MIX_WEIGHTS, "parts.style", "'1' is not a number from 0 to 1"),
            ({"style": math.nan}, scores.MIX_WEIGHTS, "parts.style", "nan is not a finite number from 0 to 1"),
            ({"a": 1}, {"a": -0.5}, "weights.a", "-0.5 is below 0"),
            ({"a": 1}, {"a": True}, "weights.a", "True is not a number"),
            ({"a": 1}, {"a": math.inf}, "weights.a", "inf is not a finite number"),
            ({"a": 1, "b": 1}, {"a": 0, "b": 0.0, "c": 1}, "parts", "no part has a weight above 0"),
        ],
    )
    def test_refused(self, parts: Any, weights: Any, field: str, reason: str) -> None:  # noqa: ANN401 - any type is what it is about
        """No part, an unknown one, one out of range, or unusable weights are refused by name."""
        refused(lambda: scores.weighted_mix(parts, weights), field, reason)
