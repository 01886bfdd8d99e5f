"""A request body -> the JSON texts of its entries, so that each can be judged by itself.

Pure. What the JSON grammar does not allow costs the request; what it allows and we cannot use is
left in its entry, and costs that entry only.
"""

import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import NoReturn

import msgspec
from msgspec import Raw

from exporter.errors import MalformedBody

# More commas than these, for each entry that may be, are looked through one entry at a time: msgspec takes
# 350 MB to split the five million entries that 10 MiB can hold.
COMMAS_AN_ENTRY = 20

_raw = msgspec.json.Decoder(Raw)
_raws = msgspec.json.Decoder(list[Raw])
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def split_json(body: bytes, most: int) -> list[bytes]:
    """Split a JSON body, one object or an array, into its entries; of over ``most`` entries, ``most`` + 1 suffice.

    Raises:
        MalformedBody: it is not UTF-8, not JSON by the grammar, or nested too deeply.

    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"it is not UTF-8 at byte {error.start}") from None
    is_array = text.lstrip(" \t\r\n").startswith("[")
    if is_array and body.count(b",") > most * COMMAS_AN_ENTRY:
        return _split_slowly(text, most)
    try:
        return list(map(bytes, _raws.decode(body))) if is_array else [bytes(_raw.decode(body))]
    except RecursionError:
        raise MalformedBody("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        # msgspec also gives up on half a surrogate pair, which the grammar allows.
        if not _SURROGATE.search(body):
            raise MalformedBody(str(error).removeprefix("JSON is malformed: ")) from None
    return _split_slowly(text, most)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no value")


# Numbers are measured, not kept: they may have any number of digits.
_grammar = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=len, parse_float=len)
_BLANK = re.compile(r"[ \t\r\n]*")


def _split_slowly(text: str, most: int) -> list[bytes]:
    """Split by the standard library's grammar, which allows half a surrogate pair."""
    try:
        return [part.encode() for part in islice(_parts(text), most + 1)]
    except RecursionError:
        raise MalformedBody("it is nested too deeply") from None
    except ValueError as error:
        raise MalformedBody(str(error)) from None


def _parts(text: str) -> Iterator[str]:
    place = _past_blank(text, 0)
    if text[place : place + 1] != "[":
        _grammar.decode(text)
        yield text
        return
    separator, place = ",", place + 1
    while separator == ",":
        start = _past_blank(text, place)
        _value, end = _grammar.raw_decode(text, start)
        yield text[start:end]
        place = _past_blank(text, end)
        separator, place = text[place : place + 1], place + 1
    if separator != "]":
        raise ValueError(f"expected ',' or ']' (character {place - 1})")
    if (end := _past_blank(text, place)) < len(text):
        raise ValueError(f"trailing characters (character {end})")


def _past_blank(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def is_json(text: str) -> bool:
    """Tell whether ``text`` is JSON by the grammar, and not nested too deeply, whatever its values are worth."""
    try:
        _grammar.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def split_ndjson(body: bytes, most: int) -> list[bytes]:
    """Split NDJSON into its lines: ended by LF alone, blank ones left out; of over ``most``, ``most`` + 1 suffice."""
    lines = (line.strip(b" \t\r\n") for line in io.BytesIO(body))
    return list(islice(filter(None, lines), most + 1))
