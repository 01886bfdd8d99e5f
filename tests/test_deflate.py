"""Pieces of a gzip stream: whatever they hold and however they are joined, every reader gets the text back."""

import gzip
import zlib

from hypothesis import example, given
from hypothesis import strategies as st

from exporter.deflate import deflate, gzip_stream, join

texts = st.lists(st.binary(max_size=300) | st.integers(1, 70_000).map(lambda count: b"quality " * count), max_size=8)


@given(texts)
@example([])
@example([b"", b""])
def test_joined(parts: list[bytes]) -> None:
    """The stream of joined pieces is one member that holds their texts, with the right checksum and length."""
    stream = b"".join(gzip_stream(map(deflate, parts)))
    reader = zlib.decompressobj(wbits=31)

    assert reader.decompress(stream) == b"".join(parts)
    assert (reader.eof, reader.unused_data) == (True, b"")


@given(texts, texts)
def test_joined_in_steps(some: list[bytes], more: list[bytes]) -> None:
    """Joining what was joined is the same as joining all at once."""
    at_once = join(map(deflate, [*some, *more]))

    assert join([join(map(deflate, some)), join(map(deflate, more))]) == at_once
    assert at_once.crc == zlib.crc32(b"".join([*some, *more]))


def test_python_reads_it() -> None:
    """Python's gzip reads it; curl does in tests/e2e/test_clients.py."""
    text = [b"a" * 100_000, b"b", b"c" * 70_000]

    assert gzip.decompress(b"".join(gzip_stream(map(deflate, text)))) == b"".join(text)


def test_repeats_compress() -> None:
    """Text that repeats itself becomes small."""
    assert len(deflate(b"llm_feedback_quality_avg 0.7 " * 1000).blocks) < 1000
