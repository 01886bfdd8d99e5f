"""The checks of cloudflare's pint that need no server, for the rules of this project: each fault in words.

The labels of every result are inferred, from what the exporter serves up to the alert: so a label that is gone, two
sides that can never match, or match twice, are seen before Prometheus sees them. Every target is taken to have a
label ``cluster`` beside ``job`` and ``instance``.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    BinModifier,
    Call,
    Expr,
    LabelModifierType,
    MatchOp,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorMatchCardinality,
    VectorSelector,
    parse,
)

TARGET = frozenset({"job", "instance", "cluster"})
OWN = frozenset({"workflow", "stage", "tier"})
# Which of our own labels a recorded result has, by the level in its name; a state set has a tier for each state.
LEVELS: Mapping[str, tuple[AbstractSet[str], ...]] = {
    "series": (OWN,),
    "stage": (OWN - {"tier"}, OWN),
    "workflow": ({"workflow"},),
    "job": (frozenset(),),
}
RECORD = re.compile(rf"({'|'.join(LEVELS)}):llm_feedback_[a-z_]+:[a-z0-9]+")
COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
AGGREGATIONS = {"max", "min", "sum", "count"}
OF_COUNTERS = {"rate", "increase", "irate", "resets"}
OF_GAUGES = {"delta", "idelta", "deriv", "predict_linear"}
SCRAPE_SECONDS = 15


class Vector(NamedTuple):
    """What is known of a result: its labels, whether it only grows, whether a comparison may leave nothing of it."""

    labels: frozenset[str]
    is_counter: bool = False
    is_filtered: bool = False


class Pint:
    """Judges rules by what is served and what is recorded."""

    def __init__(self, served: Mapping[str, Vector], recorded: Mapping[str, str]) -> None:
        """Begin; ``recorded`` holds the expressions of all recording rules by name."""
        self._known: dict[str, Vector | None] = dict(served)
        self._recorded = recorded
        self._faults: list[str] = []

    def recording(self, name: str) -> list[str]:
        """Return the faults of a recording rule."""
        self._result_of(name)
        result = self._judged(self._recorded[name])
        level = RECORD.fullmatch(name)
        if not level:
            self._faults.append(f"{name} is not named level:metric:operation")
        elif result and ("instance" in result.labels or result.labels & OWN not in LEVELS[level[1]]):
            self._faults.append(f"{name} has the labels {_listed(result.labels)}")
        return self._faults

    def alert(self, rule: Mapping[str, Any]) -> list[str]:
        """Return the faults of an alert rule."""
        result = self._judged(rule["expr"])
        if not self._faults and not (result and result.is_filtered):
            self._faults.append("no comparison: it fires on whatever there is")
        if result and result.labels & rule["labels"].keys():
            self._faults.append("a label of the result is overwritten")
        for text in rule["annotations"].values():
            gone = set(re.findall(r"\$labels\.(\w+)", text)) - rule["labels"].keys() - (result or Vector(TARGET)).labels
            self._faults += [f"a template shows {label}, which the result does not have" for label in sorted(gone)]
        return self._faults

    def _judged(self, expression: str) -> Vector | None:
        self._faults = []
        return self._infer(parse(expression))

    def _infer(self, node: Expr) -> Vector | None:
        """Return what is known of a result; ``None`` of a number, and of what a rule reads of itself at first."""
        result = None
        match node:
            case ParenExpr() | UnaryExpr() | SubqueryExpr():
                result = self._infer(node.expr)
            case MatrixSelector():
                result = self._selected(node.vector_selector)
            case VectorSelector():
                result = self._selected(node)
            case AggregateExpr():
                result = self._aggregated(node)
            case Call():
                result = self._called(node)
            case BinaryExpr():
                result = self._combined(node)
        return result

    def _selected(self, node: VectorSelector) -> Vector | None:
        name = node.name or ""
        result = self._result_of(name)
        if name not in self._known:
            self._faults.append(f"{name or node} is neither served nor recorded")
        elif name not in self._recorded and "job" not in {matcher.name for matcher in node.matchers.matchers}:
            self._faults.append(f"{name} of every job")
        for matcher in node.matchers.matchers:
            if result and matcher.name not in result.labels:
                self._faults.append(f"{name} has no label {matcher.name}")
            if matcher.op in (MatchOp.Re, MatchOp.NotRe) and re.escape(matcher.value) == matcher.value:
                self._faults.append(f"{matcher.name} is matched as a regular expression that is none")
        return result

    def _result_of(self, name: str) -> Vector | None:
        """Infer a recorded name once; its own faults are found where it is judged itself."""
        if name not in self._known and name in self._recorded:
            faults = self._faults
            self._known[name] = None
            self._known[name] = self._judged(self._recorded[name])
            self._faults = faults
        return self._known.get(name)

    def _aggregated(self, node: AggregateExpr) -> Vector | None:
        inner = self._infer(node.expr)
        if f"{node.op}" not in AGGREGATIONS:
            self._faults.append(f"{node.op} takes other series at every evaluation")
        if node.modifier is None or node.modifier.type == AggModifierType.By:
            self._faults.append(f"{node.op} drops the labels that a site has added")
            return None
        return inner and inner._replace(
            labels=inner.labels - set(node.modifier.labels), is_counter=inner.is_counter and f"{node.op}" != "count"
        )

    def _called(self, node: Call) -> Vector | None:
        arguments = [self._infer(argument) for argument in node.args]
        inner = arguments[0] if arguments else None
        name = node.func.name
        if inner and name in OF_COUNTERS and not inner.is_counter:
            self._faults.append(f"{name} of what is no counter")
        if inner and name in OF_GAUGES and inner.is_counter:
            self._faults.append(f"{name} of a counter")
        for argument in node.args:
            if isinstance(argument, MatrixSelector) and argument.range.total_seconds() < 4 * SCRAPE_SECONDS:
                self._faults.append(f"{name} over fewer than four scrapes")
        return inner and inner._replace(is_counter=False)

    def _combined(self, node: BinaryExpr) -> Vector | None:
        left, right = self._infer(node.lhs), self._infer(node.rhs)
        operation, modifier = f"{node.op}", node.modifier
        if modifier and modifier.matching and modifier.matching.type == LabelModifierType.Include:
            self._faults.append("on (...) drops the labels that a site has added")
            return left and left._replace(is_filtered=True)
        if operation in {"and", "or", "unless"}:
            return self._set(operation, left, right, _ignored(modifier))
        if left and right:
            self._match(left, right, modifier)
        filters = operation in COMPARISONS and not (modifier and modifier.return_bool)
        filtered = filters or any(side.is_filtered for side in (left, right) if side)
        result = right if modifier and modifier.card == VectorMatchCardinality.OneToMany else left or right
        return result and Vector(result.labels, result.is_counter and filters, filtered)

    def _set(self, operation: str, left: Vector | None, right: Vector | None, ignored: frozenset[str]) -> Vector | None:
        if left is None or right is None:
            return left or (right if operation == "or" else None)
        if operation == "or":
            self._same(left.labels, right.labels)
            return Vector(left.labels, left.is_counter and right.is_counter, left.is_filtered and right.is_filtered)
        self._same(left.labels - ignored, right.labels - ignored)
        return left._replace(is_filtered=left.is_filtered or (operation == "and" and right.is_filtered))

    def _match(self, left: Vector, right: Vector, modifier: BinModifier | None) -> None:
        ignored = _ignored(modifier)
        self._same(left.labels - ignored, right.labels - ignored)
        card = modifier.card if modifier else VectorMatchCardinality.OneToOne
        if card != VectorMatchCardinality.ManyToOne and left.labels & ignored:
            self._faults.append(f"many on the left, by {_listed(left.labels & ignored)}")
        if card != VectorMatchCardinality.OneToMany and right.labels & ignored:
            self._faults.append(f"many on the right, by {_listed(right.labels & ignored)}")

    def _same(self, left: frozenset[str], right: frozenset[str]) -> None:
        if left != right:
            self._faults.append(f"sides never match: {_listed(left ^ right)} stands on one alone")


def _ignored(modifier: BinModifier | None) -> frozenset[str]:
    return frozenset(modifier.matching.labels if modifier and modifier.matching else ())


def _listed(labels: frozenset[str]) -> str:
    return ", ".join(sorted(labels)) or "none"
