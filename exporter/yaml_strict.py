"""YAML text -> tree of nodes that keep what was written; it knows no key and no type of a configuration.

Read more strictly than YAML allows: one document, no anchors, aliases or tags, so that what stands at a place
is what holds there and a tree is never larger than its text. Nothing is converted: ``1.10`` and ``yes`` stay the
texts that were written, with what YAML would read them as beside them.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn, cast

import yaml
from yaml.resolver import Resolver

from exporter.errors import ConfigError

MAX_DEPTH = 20

# What YAML reads an unquoted scalar as, in the words of a message; every other tag is a text.
TEXT, NUMBER, BOOLEAN, NULL = "a text", "a number", "a boolean", "null"
_KINDS = {
    "tag:yaml.org,2002:int": NUMBER,
    "tag:yaml.org,2002:float": NUMBER,
    "tag:yaml.org,2002:bool": BOOLEAN,
    "tag:yaml.org,2002:null": NULL,
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:merge": "a merge key",
}

# Tag that an unquoted text has by the rules of YAML 1.1; the stubs leave it untyped.
_resolve: Callable[[type[yaml.Node], str, tuple[bool, bool]], str] = Resolver().resolve


class Scalar(NamedTuple):
    """A text as it was written, what YAML reads it as, whether in quotes, and its line, counted from 1."""

    text: str
    kind: str = TEXT
    quoted: bool = True
    line: int = 1


class Sequence(NamedTuple):
    """A list."""

    items: list["Node"]


class Mapping(NamedTuple):
    """Keys and values in the order of the text; a key that is given twice stands here twice."""

    pairs: list[tuple[Scalar, "Node"]]


Node = Scalar | Sequence | Mapping
NOTHING = Scalar("", NULL, quoted=False)


def parse(text: str, where: str) -> Node:
    """Read ``text``; an empty one is ``NOTHING``.

    Args:
        text: one YAML document.
        where: the name of the text, for messages.

    Raises:
        ConfigError: it is no YAML, or uses what is refused; the message names line and column.

    """
    try:
        return _document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        fault = _reader_fault(text, error)
    except yaml.MarkedYAMLError as error:
        fault = _fault(error)
    except (ValueError, OverflowError):
        # PyYAML's scanner lets these through: for "\U99999999", and for a version of 5,000 digits.
        fault = "an escape in quotes, or the version after %YAML, is no number that YAML allows"
    raise ConfigError([f"{where}: {fault}"])


def _document(events: Iterator[yaml.Event]) -> Node:
    next(events)
    if isinstance(next(events), yaml.StreamEndEvent):
        return NOTHING
    root = _node(next(events), events, 0)
    next(events)
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        _refuse(after, "a second document begins; keep one")
    return root


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    if isinstance(event, yaml.AliasEvent):
        _refuse(event, f"the alias *{event.anchor} is not allowed; write out what it stands for")
    assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # noqa: S101 - the grammar of YAML
    if event.anchor is not None:
        _refuse(event, f"the anchor &{event.anchor} is not allowed; remove it")
    if event.tag is not None:
        _refuse(event, "a tag (!) is not allowed; remove it, or put the value in quotes")
    if depth > MAX_DEPTH:
        _refuse(event, f"the nesting is deeper than {MAX_DEPTH} levels")
    if isinstance(event, yaml.ScalarEvent):
        tag = _resolve(yaml.ScalarNode, event.value, event.implicit)
        return Scalar(event.value, _KINDS.get(tag, TEXT), bool(event.style), _mark(event).line + 1)
    nodes = list(_inner(events, depth))
    if isinstance(event, yaml.SequenceStartEvent):
        return Sequence(nodes)
    return Mapping([(_key(key, event), value) for key, value in zip(nodes[::2], nodes[1::2], strict=True)])


def _inner(events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            return
        yield _node(event, events, depth + 1)


def _key(node: Node, mapping: yaml.Event) -> Scalar:
    if not isinstance(node, Scalar):
        _refuse(mapping, "a key of this mapping is a list or a mapping; write a name")
    return node


def _refuse(event: yaml.Event, problem: str) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=_mark(event))


def _mark(event: yaml.Event) -> yaml.Mark:
    """Place of an event; none that a parser makes is without."""
    return cast("yaml.Mark", event.start_mark)


def _fault(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    context = f", {error.context}" if error.context else ""
    advice = "; indent with spaces" if r"'\t'" in (error.problem or "") else ""
    return f"{place}{error.problem}{context}{advice}"


def _reader_fault(text: str, error: yaml.reader.ReaderError) -> str:
    line = text.count("\n", 0, error.position) + 1
    column = error.position - text.rfind("\n", 0, error.position)
    return f"line {line}, column {column}: the character U+{ord(text[error.position]):04X} is not allowed; remove it"
