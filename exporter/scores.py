"""Ways to rate an answer: each turns what was observed into a score from 0.0 (bad) to 1.0 (excellent). Pure.

====================  =====================================================================
``generated_code``    0.3 parses + 0.2 docstrings + 0.2 type hints + 0.3 sensible length
``stars``             (stars - 1) / 4
``task_outcome``      success 0.9, failure 0.3, failure on the first retry 0.5
``scaled``            (value - minimum) / (maximum - minimum): a judge's score on its own scale
``weighted_mix``      sum of weight * part / sum of weights, over the parts that are given
====================  =====================================================================

Every function raises ``InvalidFeedback`` with code ``invalid_score`` for what it cannot use; booleans,
texts, NaN and infinities are not numbers.
"""

import ast
import math
import threading
import warnings
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from exporter.domain import MILLION, millionths, shown
from exporter.errors import InvalidFeedback

OUTCOMES: Mapping[str, float] = MappingProxyType({"success": 0.9, "failure": 0.3, "failure_on_first_retry": 0.5})
MIX_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"correctness": 0.4, "completeness": 0.3, "efficiency": 0.15, "style": 0.15}
)

# A function with its docstring has three lines; beyond three hundred it is a module to be split.
SENSIBLE_LINES = range(3, 301)
# The parser takes seconds and hundreds of megabytes for hostile source of a few million characters.
LONGEST_SOURCE = 100_000

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.Module, ast.ClassDef, *_FUNCTIONS)

# Python's warning filters belong to the whole process: one parse at a time may change them and put them back.
_warnings_lock = threading.Lock()


def generated_code(source: str) -> float:
    """Rate Python source by what can be seen without running it.

    ::

        0.3  it parses and holds at least one statement
        0.2  a module, class or function has a docstring
        0.2  an argument, a return value or an assignment is annotated
        0.3  3 to 300 lines are neither blank nor only a comment

    What does not parse can only earn the last; source of over 100,000 characters earns nothing. No source
    makes this fail or warn, however it is nested.

    Raises:
        InvalidFeedback: ``source`` is not a text.

    """
    if not isinstance(source, str):
        raise _invalid("source", f"{shown(source)} is not a text")
    if len(source) > LONGEST_SOURCE:
        return 0.0
    lines = (line.strip() for line in source.splitlines())
    tenths = 3 * (sum(1 for line in lines if line and not line.startswith("#")) in SENSIBLE_LINES)
    tree = _parse(source)
    if tree is not None and tree.body:
        nodes = list(ast.walk(tree))
        tenths += 3 + 2 * any(map(_has_docstring, nodes)) + 2 * any(map(_has_type_hint, nodes))
    return tenths / 10


def _parse(source: str) -> ast.Module | None:
    """Parse ``source``, silently; ``None`` where it is no Python, or too deeply nested to be looked at."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        # NUL bytes and lone surrogates are ValueErrors; deep nesting is one of the last two.
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, _DOCUMENTED) and bool((ast.get_docstring(node, clean=False) or "").strip())


def _has_type_hint(node: ast.AST) -> bool:
    if isinstance(node, ast.arg):
        return node.annotation is not None
    if isinstance(node, _FUNCTIONS):
        return node.returns is not None
    return isinstance(node, ast.AnnAssign)


def stars(value: float) -> float:
    """Rate by a person's stars: (stars - 1) / 4.

    Args:
        value: any number from 1 to 5; 3.5 is one.

    Raises:
        InvalidFeedback: on field ``stars``, for anything else.

    """
    number = _number(value, "stars")
    if not 1 <= number <= 5:  # noqa: PLR2004 - stars go from 1 to 5
        raise _invalid("stars", f"{shown(value)} is outside 1 to 5")
    return float((number - 1) / 4)


def task_outcome(outcome: str) -> float:
    """Rate by how the task ended: one of ``OUTCOMES``.

    Raises:
        InvalidFeedback: on field ``outcome``, for any other value.

    """
    if not isinstance(outcome, str) or outcome not in OUTCOMES:
        raise _invalid("outcome", f"{shown(outcome)} is none of {', '.join(OUTCOMES)}")
    return OUTCOMES[outcome]


def scaled(value: float, minimum: float, maximum: float) -> float:
    """Rate by a score on any scale, as a judge model gives it: (value - minimum) / (maximum - minimum).

    Computed exactly and rounded once, so the result lies in 0 to 1 however large or close the numbers are.

    Raises:
        InvalidFeedback: on field ``rating.value``, ``rating.min`` or ``rating.max``: it is no finite number,
            the scale is empty, or the value lies outside it.

    """
    low, high = _number(minimum, "rating.min"), _number(maximum, "rating.max")
    if low >= high:
        raise _invalid("rating.max", f"{shown(maximum)} must be greater than rating.min, {shown(minimum)}")
    number = _number(value, "rating.value")
    if not low <= number <= high:
        raise _invalid("rating.value", f"{shown(value)} is outside {shown(minimum)} to {shown(maximum)}")
    return float((number - low) / (high - low))


def weighted_mix(parts: Mapping[str, float], weights: Mapping[str, float] = MIX_WEIGHTS) -> float:
    """Rate by several scores of one answer: sum of weight * part / sum of weights, over the given parts.

    A part that nobody judged is left out, and the others keep their proportion.

    Args:
        parts: scores from 0 to 1, by name; at least one.
        weights: weight of every part that may be given, 0 or more. By default correctness 0.4,
            completeness 0.3, efficiency 0.15 and style 0.15.

    Raises:
        InvalidFeedback: on field ``parts``, ``parts.<name>`` or ``weights.<name>``: there is no part, or one
            without a weight; a part is no score; a weight is no number of 0 or more; all weights are 0.

    """
    total = weight_sum = Fraction()
    for part, score in parts.items():
        if part not in weights:
            raise _invalid("parts", f"{shown(part)} is none of {', '.join(weights)}")
        weight = _number(weights[part], f"weights.{part}")
        if weight < 0:
            raise _invalid(f"weights.{part}", f"{shown(weights[part])} is below 0")
        total += weight * Fraction(millionths(score, f"parts.{part}"), MILLION)
        weight_sum += weight
    if not weight_sum:
        raise _invalid("parts", "no part has a weight above 0" if parts else "must not be empty")
    return float(total / weight_sum)


def _number(value: object, field: str) -> Fraction:
    """Return ``value`` exactly, when it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(field, f"{shown(value)} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _invalid(field, f"{value} is not a finite number")
    return Fraction(value)


def _invalid(field: str, reason: str) -> InvalidFeedback:
    return InvalidFeedback(field, reason, "invalid_score")
