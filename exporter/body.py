"""A request body -> the JSON texts of its entries, so that each can be judged by itself.

Pure. What the JSON grammar does not allow costs the request; what it allows and we cannot use is
left in its entry, and costs that entry only.
"""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

import msgspec
from msgspec import Raw

from exporter.errors import MalformedBody

_raw = msgspec.json.Decoder(Raw)
_raws = msgspec.json.Decoder(list[Raw])


def split_json(body: bytes) -> list[bytes]:
    """Split a JSON body, one object or an array, into its entries.

    Raises:
        MalformedBody: it is not UTF-8, not JSON by the grammar, or nested too deeply.

    """
    try:
        text = body.decode()
        is_array = text.lstrip(" \t\r\n").startswith("[")
        return [bytes(entry) for entry in _raws.decode(body)] if is_array else [bytes(_raw.decode(body))]
    except UnicodeDecodeError as error:
        raise MalformedBody(f"it is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise MalformedBody("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        # msgspec also gives up on half a surrogate pair, which the grammar allows.
        entries = _split_leniently(text, is_array=is_array)
        if entries is None:
            raise MalformedBody(str(error).removeprefix("JSON is malformed: ")) from None
        return entries


def _split_leniently(text: str, *, is_array: bool) -> list[bytes] | None:
    """Split by the standard library's grammar, ``None`` where it does not hold."""
    try:
        return [part.encode() for part in (_array_parts(text) if is_array else _single_part(text))]
    except (ValueError, RecursionError):
        return None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


_grammar = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=str, parse_float=str)
_BLANK = re.compile(r"[ \t\r\n]*")


def _blank(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _single_part(text: str) -> Iterator[str]:
    _grammar.decode(text)
    yield text


def _array_parts(text: str) -> Iterator[str]:
    place = _blank(text, 0) + 1
    separator = ","
    while separator == ",":
        start = _blank(text, place)
        _value, end = _grammar.raw_decode(text, start)
        yield text[start:end]
        place = _blank(text, end)
        separator, place = text[place : place + 1], place + 1
    if separator != "]" or text[place:].strip(" \t\r\n"):
        raise ValueError(text[place:])


def split_ndjson(body: bytes) -> list[bytes]:
    """Split NDJSON into its lines: ended by LF alone, blank ones left out, each standing for itself."""
    return [line for line in body.split(b"\n") if line.strip(b" \t\r")]
