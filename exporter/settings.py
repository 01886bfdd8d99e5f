"""Nodes + types -> settings by key path, with every problem in words, not just the first.

Keys, shapes and ranges all come from the types: the module knows no key by name, and reads no file, variable
or clock.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import UNSET, inspect

from exporter import yaml_strict
from exporter.domain import SHOWN_LENGTH, name, shown
from exporter.errors import ConfigError, InvalidFeedback
from exporter.store import without_password
from exporter.yaml_strict import Node, Scalar

KeyPath = tuple[str, ...]

# No leading zero, which YAML reads as octal, and no more digits than any range needs.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9]){0,18})")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TEXT = inspect.StrType()
_PLAIN_WORD = re.compile(r"[\w-]{1,128}")


class Setting(NamedTuple):
    """A value and where it was set; the value is ``UNSET`` where it is not usable."""

    value: object
    where: str


class Reader:
    """Reads one source: ``settings`` holds what is set in it, ``problems`` what is wrong with it."""

    def __init__(self, label: Callable[[KeyPath], str], checks: Mapping[KeyPath, Callable[[str], None]]) -> None:
        """Begin empty.

        Args:
            label: names the place of a key in the source, for messages.
            checks: what the text at some places must satisfy, quoted or not; they raise ``ConfigError``.

        """
        self.settings: dict[KeyPath, Setting] = {}
        self.problems: list[str] = []
        self._label = label
        self._checks = checks

    def read(self, kind: inspect.Type, node: Node, path: KeyPath = ()) -> None:
        """Read ``node``, which stands at ``path``, as a ``kind``."""
        kind = bare(kind)
        if isinstance(kind, inspect.StructType):
            self._read_struct(kind, node, path)
        elif isinstance(kind, inspect.DictType):
            self._read_named(kind, node, path)
        else:
            self._read_leaf(kind, node, path)

    def _read_struct(self, kind: inspect.StructType, node: Node, path: KeyPath) -> None:
        fields = {field.encode_name: field.type for field in kind.fields}
        for key, value in self._entries(node, path):
            if key.text in fields:
                self.read(fields[key.text], value, (*path, key.text))
            else:
                self._add_problem((*path, key.text), unknown("key", key.text, list(fields), _inner_keys(kind)))

    def _read_named(self, kind: inspect.DictType, node: Node, path: KeyPath) -> None:
        for key, value in self._entries(node, path):
            try:
                _name(key)
            except ConfigError as error:
                self._add_problem(path, str(error))
            self.read(kind.value_type, value, (*path, key.text))

    def _entries(self, node: Node, path: KeyPath) -> list[tuple[Scalar, Node]]:
        """Keys and values of a mapping, each key once; nothing at all is an empty mapping."""
        if _is_null(node):
            return []
        if not isinstance(node, yaml_strict.Mapping):
            self._add_problem(path, f"{_given(node)} is not a mapping; write its keys below it, as key: value")
            return []
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.pairs:
            first, _ = entries.setdefault(key.text, (key, value))
            if first is not key:
                self._add_problem((*path, key.text), f"given twice, in lines {first.line} and {key.line}; keep one")
        return list(entries.values())

    def _read_leaf(self, kind: inspect.Type, node: Node, path: KeyPath) -> None:
        value: object = UNSET
        try:
            if path in self._checks and isinstance(node, Scalar) and not _is_null(node):
                self._checks[path](node.text)
                value = node.text
            else:
                value = _value(kind, node)
        except ConfigError as error:
            self._add_problem(path, str(error))
        self.settings[path] = Setting(value, self._label(path))

    def _add_problem(self, path: KeyPath, problem: str) -> None:
        self.problems.append(f"{self._label(path)}: {problem}")


def bare(kind: inspect.Type) -> inspect.Type:
    """Return the type without its description."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def rule(kind: inspect.Type) -> str:
    """What a value of a ``kind`` must be, in words."""
    match bare(kind):
        case inspect.IntType(ge=low, le=high):
            return f"an integer from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.VarTupleType(min_length=least, max_length=most):
            return f"a list of {least} to {most} names"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case _:
            return "a text"


def dotted(path: KeyPath) -> str:
    """Render a key path on one line; a part that is more than a plain word stands in quotes."""
    return ".".join(part if _PLAIN_WORD.fullmatch(part) else shown_text(part) for part in path)


def shown_text(text: str) -> str:
    """Render a text for a message; where it may be a store URL, without the password."""
    return shown(without_password(text) if "://" in text else text)


def unknown(what: str, word: str, known: list[str], elsewhere: Iterable[str] = ()) -> str:
    """Say that ``word`` is unknown, name the nearest of those known here and elsewhere, and all known here."""
    near = difflib.get_close_matches(word[:SHOWN_LENGTH], [*known, *elsewhere], n=1)
    question = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown {what}{question}; known are {', '.join(known)}"


def _inner_keys(kind: inspect.StructType) -> Iterator[str]:
    """Keys that stand one level down, as ``rules.min_samples``."""
    for field in kind.fields:
        inner = bare(field.type)
        for key in inner.fields if isinstance(inner, inspect.StructType) else ():
            yield dotted((field.encode_name, key.encode_name))


def _value(kind: inspect.Type, node: Node) -> object:
    """Value of a leaf.

    Raises:
        ConfigError: it is not usable.

    """
    match kind:
        case inspect.UnionType(types=(first, *_)):
            return None if _is_null(node) else _value(first, node)
        case inspect.VarTupleType():
            return _names(kind, node)
        case inspect.StrType():
            return _text(kind, node)
        case _:
            return _parsed(kind, node)


def _parsed(kind: inspect.Type, node: Node) -> object:
    value: object = None
    if isinstance(node, Scalar):
        match kind:
            case inspect.IntType(ge=low, le=high) if _INTEGER.fullmatch(node.text):
                value = _within(int(node.text), low, high)
            case inspect.FloatType(ge=low, le=high) if _NUMBER.fullmatch(node.text):
                value = _within(float(node.text), low, high)
            case inspect.BoolType():
                value = _BOOLEANS.get(node.text.lower())
            case inspect.LiteralType(values=values) if node.text in values:
                return node.text
    if value is None:
        raise _refusal(kind, node)
    if isinstance(node, Scalar) and node.quoted:
        raise ConfigError([f"{_given(node)} is a text, not {rule(kind)}; write it without quotes"])
    return value


def _within(value: float, low: float | None, high: float | None) -> float | None:
    return value if (low is None or value >= low) and (high is None or value <= high) else None


def _text(kind: inspect.Type, node: Node) -> str:
    if not isinstance(node, Scalar) or (_is_null(node) and not node.text):
        raise _refusal(kind, node)
    if not node.quoted and node.kind != yaml_strict.TEXT:
        given = _given(node)
        raise ConfigError([f'{given} is {node.kind} to YAML, not a text; put it in quotes: "{given}"'])
    return node.text


def _name(node: Node) -> str:
    try:
        return name(_text(_TEXT, node), "")
    except InvalidFeedback as error:
        raise ConfigError([f"name {error.reason}"]) from None


def _names(kind: inspect.VarTupleType, node: Node) -> tuple[str, ...]:
    items = node.items if isinstance(node, yaml_strict.Sequence) else []
    if not (kind.min_length or 0) <= len(items) <= (kind.max_length or len(items)):
        raise _refusal(kind, node)
    names = [_name(item) for item in items]
    twice = [word for place, word in enumerate(names) if word in names[:place]]
    if twice:
        raise ConfigError([f"name {shown_text(twice[0])} stands twice; give each its own"])
    return tuple(names)


def _refusal(kind: inspect.Type, node: Node) -> ConfigError:
    advice = "; leave the key out to have the default" if _is_null(node) else ""
    return ConfigError([f"{_given(node)} is not {rule(kind)}{advice}"])


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == yaml_strict.NULL and not node.quoted


def _given(node: Node) -> str:
    """Name what was given; a list or a mapping by its size, so that nothing in it is shown."""
    match node:
        case yaml_strict.Sequence(items=items):
            return f"a list of {len(items)}"
        case yaml_strict.Mapping():
            return "a mapping"
        case Scalar(text="", quoted=False):
            return "nothing"
        case Scalar(text=text, quoted=False) if _NUMBER.fullmatch(text) or node.kind != yaml_strict.TEXT:
            return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."
        case _:
            return shown_text(node.text)
