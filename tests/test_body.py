"""Splitting a body: what the JSON grammar refuses costs the request, everything else is left to its entry."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.body import COMMAS_AN_ENTRY, is_json, split_json, split_ndjson
from exporter.errors import MalformedBody

MOST = 100

ARRAYS = {
    "empty": (b"[]", []),
    "blank": (b" \t\r\n[ \n]\t\r\n ", []),
    "one": (b"[1]", [b"1"]),
    "any values": (
        b'[{"a": [1, {"b": "]"}]}, null ,true,"x,y", -1.5E+3]',
        [b'{"a": [1, {"b": "]"}]}', b"null", b"true", b'"x,y"', b"-1.5E+3"],
    ),
    "numbers that no float holds": (
        b"[1e400, -1e400, 1" + b"0" * 5000 + b"]",
        [b"1e400", b"-1e400", b"1" + b"0" * 5000],
    ),
    "characters of any script": ('["日本語", "\u2028"]'.encode(), ['"日本語"'.encode(), '"\u2028"'.encode()]),
    "half a surrogate pair": (
        rb'["\ud800", {"\uDC00": 1} ,"\ud83d\ude00" ]  ',
        [rb'"\ud800"', rb'{"\uDC00": 1}', rb'"\ud83d\ude00"'],
    ),
    "half a pair beside a number of any length": (
        rb'["\ud800",1' + b"0" * 5000 + b",1e400]",
        [rb'"\ud800"', b"1" + b"0" * 5000, b"1e400"],
    ),
}

SINGLES = {
    "object": b'{"a": [1, 2]}',
    "number": b"1e400",
    "text": b'"[]"',
    "null": b"null",
    "half a surrogate pair": rb'{"a": "\ud800"}',
}

MALFORMED = {
    "empty": (b"", "Input data was truncated"),
    "blank": (b" \n", "Input data was truncated"),
    "not UTF-8": (b'["\xff"]', "it is not UTF-8 at byte 2"),
    "surrogate as UTF-8": (b'"\xed\xa0\x80"', "it is not UTF-8 at byte 1"),
    "byte order mark": (b"\xef\xbb\xbf[]", "invalid character (byte 0)"),
    "bare NaN": (b"[NaN]", "invalid character (byte 1)"),
    "bare Infinity": (b'[{"quality_score": Infinity}]', "invalid character (byte 19)"),
    "trailing comma": (b"[1,]", "trailing comma in array (byte 3)"),
    "missing comma": (b"[1 2]", "expected ',' or ']' (byte 3)"),
    "unclosed": (b'[{"a": 1}', "Input data was truncated"),
    "two values": (b'{"a":1}{"b":2}', "trailing characters (byte 8)"),
    "leading zero": (b"[01]", "invalid number (byte 2)"),
    "single quotes": (b"['a']", "invalid character (byte 1)"),
    "control character in a text": (b'["\x01"]', "invalid character (byte 2)"),
    "no-break space between": (b"\xc2\xa0[]", "invalid character (byte 0)"),
    "bad escape": (rb'["\x"]', "invalid escaped character (byte 3)"),
    "deep array": (b"[" * 100_000, "it is nested too deeply"),
    "deep object": (b'{"a":' * 100_000, "it is nested too deeply"),
    "half a pair, then deep": (rb'["\ud800",' + b"[" * 100_000, "it is nested too deeply"),
    "half a pair, then NaN": (rb'["\ud800", NaN]', "NaN is no value"),
    "half a pair, then trailing comma": (rb'["\ud800",]', "Expecting value: line 1 column 11 (char 10)"),
    "half a pair, then missing comma": (rb'["\ud800" 2]', "expected ',' or ']' (character 10)"),
    "half a pair, then a second value": (rb'["\ud800"] x', "trailing characters (character 11)"),
    "half a pair, then nothing": (rb'["\ud800"', "expected ',' or ']' (character 9)"),
    "half a pair alone, then a second value": (rb'"\ud800" x', "Extra data: line 1 column 10 (char 9)"),
}


@pytest.mark.parametrize(("body", "entries"), ARRAYS.values(), ids=ARRAYS)
def test_an_array_is_split_into_the_texts_of_its_entries(body: bytes, entries: list[bytes]) -> None:
    """Each entry comes as it was sent, byte for byte."""
    assert split_json(body, MOST) == entries


@pytest.mark.parametrize("body", SINGLES.values(), ids=SINGLES)
def test_what_is_no_array_is_one_entry(body: bytes) -> None:
    """A single value is an entry by itself, whatever it is worth."""
    assert [json.loads(entry) for entry in split_json(b" " + body + b"\n", MOST)] == [json.loads(body)]


@pytest.mark.parametrize(("body", "fault"), MALFORMED.values(), ids=MALFORMED)
def test_what_the_grammar_refuses_costs_the_request(body: bytes, fault: str) -> None:
    """The error says what is wrong and where."""
    with pytest.raises(MalformedBody) as raised:
        split_json(body, MOST)

    assert str(raised.value) == fault


@pytest.mark.parametrize("entry", [b"1", b"{}", rb'"\ud800"', b'{"a": [1, 2, 3]}'])
def test_an_array_of_too_many_entries_is_not_split_to_its_end(entry: bytes) -> None:
    """One entry beyond the most that may be shows that there are too many; memory stays bounded."""
    body = b"[" + b",".join([entry] * (MOST * COMMAS_AN_ENTRY + 2)) + b"]"

    assert split_json(body, MOST) == [entry] * (MOST + 1)


def test_many_commas_do_not_make_many_entries() -> None:
    """A few entries that hold long lists are split like any other."""
    entries = [json.dumps({"a": list(range(MOST * COMMAS_AN_ENTRY)), "b": place}).encode() for place in range(3)]

    assert split_json(b"[" + b",\n".join(entries) + b"]", MOST) == entries


NDJSON = {
    "empty": (b"", []),
    "blank lines": (b"\n\r\n \t\r\n\n", []),
    "with a last LF": (b"1\n2\n", [b"1", b"2"]),
    "without a last LF": (b"1\n2", [b"1", b"2"]),
    "CR is white space": (b"1\r\n \r\n2\r", [b"1", b"2"]),
    "CR alone ends nothing": (b"1\r2\n", [b"1\r2"]),
    "blank lines are not counted": (b"\n1\n\n\n2\n\n", [b"1", b"2"]),
    "nothing else ends a line": (
        '"\u2028\u2029\x85\x0b\x0c\x1c"\n2'.encode(),
        ['"\u2028\u2029\x85\x0b\x0c\x1c"'.encode(), b"2"],
    ),
    "each line stands for itself": (b'{"a":\n1}\nNaN\n\xff', [b'{"a":', b"1}", b"NaN", b"\xff"]),
}


@pytest.mark.parametrize(("body", "lines"), NDJSON.values(), ids=NDJSON)
def test_ndjson_is_split_at_line_feeds_alone(body: bytes, lines: list[bytes]) -> None:
    """Lines end at LF and nowhere else; a CR before it is white space, blank lines do not count."""
    assert split_ndjson(body, MOST) == lines


def test_ndjson_of_too_many_lines_is_not_split_to_its_end() -> None:
    """One line beyond the most that may be shows that there are too many."""
    assert split_ndjson(b"1\n" * 10 * MOST, MOST) == [b"1"] * (MOST + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(rb'{"a": "\ud800"}', True), (b"1e400", True), (b"[NaN]", False), (b"[1,]", False), (b"[" * 100_000, False)],
)
def test_the_grammar_alone_says_what_is_json(text: bytes, *, expected: bool) -> None:
    """Half a surrogate pair and a huge number are JSON; a bare NaN, a trailing comma and deep nesting are not."""
    assert is_json(text.decode()) is expected


def refuse(constant: str) -> None:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(constant)


def grammar(body: bytes) -> list[Any] | None:
    """Entries by the standard library's grammar, ``None`` where it does not hold."""
    try:
        value = json.loads(body.decode(), parse_constant=refuse)
    except ValueError:
        return None
    return value if isinstance(value, list) else [value]


def split(body: bytes, most: int) -> list[Any] | None:
    """Entries as they are split, each decoded by itself, ``None`` where the body is refused."""
    try:
        return [json.loads(entry) for entry in split_json(body, most)]
    except MalformedBody:
        return None


# Fragments of JSON, of which any may follow any: most bodies are nearly JSON.
TOKENS = [
    *"[]{},:",
    "1",
    "-0.5e3",
    "1e400",
    "NaN",
    "true",
    '"a"',
    '"',
    r'"\ud800"',
    r'"\ud83d\ude00"',
    " ",
    "\n",
    "\\",
    "é",
    "\x00",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


def near_json() -> st.SearchStrategy[bytes]:
    """Bodies that are JSON, or were until a fragment was put somewhere."""

    def broken(value: object, fragment: str, place: int) -> bytes:
        text = json.dumps(value)
        place = min(place, len(text))
        return (text[:place] + fragment + text[place:]).encode()

    fragments = st.sampled_from(["", *TOKENS])
    mutated = st.builds(broken, st.lists(VALUES, max_size=4) | VALUES, fragments, st.integers(0, 60))
    return mutated | st.lists(st.sampled_from(TOKENS), max_size=12).map(lambda parts: "".join(parts).encode())


@given(near_json())
def test_bodies_are_split_as_the_grammar_has_it(body: bytes) -> None:
    """The same bodies are JSON, with the same entries, as by the standard library."""
    assert split(body, MOST) == grammar(body)


@given(near_json())
def test_entries_looked_through_one_at_a_time_are_the_same(body: bytes) -> None:
    """Where one comma is too many, an array is split by the standard library, and ends at one entry too many."""
    expected = grammar(body)

    if expected is not None:
        assert split(body, 0) in (expected, expected[:1])


@given(st.lists(VALUES, max_size=5), st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\n"]))
def test_ndjson_gives_back_what_was_written(values: list[Any], end: str) -> None:
    """Any values written one a line are read one a line."""

    def lines() -> Iterator[bytes]:
        for value in values:
            yield json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass") + end.encode()

    assert [json.loads(line.decode(errors="surrogatepass")) for line in split_ndjson(b"".join(lines()), MOST)] == values
