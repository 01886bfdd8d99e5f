"""Pieces of one gzip stream, compressed apart and joined later.

A gzip stream may also hold several members, but not every client reads on after the first (curl does not). So a piece
is a run of deflate blocks that ends on a byte and looks back at nothing, and the checksum of the whole is combined
from the checksums of the pieces, as ``crc32_combine`` of zlib does.
"""

import zlib
from collections.abc import Iterable, Sequence
from functools import reduce
from struct import Struct
from typing import NamedTuple

LEVEL = 1
# RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system.
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
# An empty last block.
_END = b"\x03\0"
_TRAILER = Struct("<II")
_SIZES = 1 << 32

# CRC-32 as polynomials over GF(2), the highest bit the lowest power.
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31


class Piece(NamedTuple):
    """Compressed text: its deflate blocks, its checksum, its length, and what moves a checksum past it."""

    blocks: bytes
    crc: int
    size: int
    shift: int


def deflate(text: bytes) -> Piece:
    """Compress ``text`` by itself."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    blocks = compressor.compress(text) + compressor.flush(zlib.Z_FULL_FLUSH)
    return Piece(blocks, zlib.crc32(text), len(text), _shift(len(text)))


def join(pieces: Iterable[Piece]) -> Piece:
    """Return the piece that holds the texts of all, in their order."""
    pieces = list(pieces)
    crc, size = _checked(pieces)
    return Piece(b"".join([piece.blocks for piece in pieces]), crc, size, _shift(size))


def gzip_stream(pieces: Iterable[Piece]) -> list[bytes]:
    """Return the gzip stream of one member that holds the texts of all, in their order, in parts to be sent on end."""
    pieces = list(pieces)
    crc, size = _checked(pieces)
    return [_HEADER, *[piece.blocks for piece in pieces], _END + _TRAILER.pack(crc, size % _SIZES)]


def _checked(pieces: Sequence[Piece]) -> tuple[int, int]:
    """Checksum and length of the texts of ``pieces``, one after the other."""
    crc = reduce(lambda before, piece: _multiplied(piece.shift, before) ^ piece.crc, pieces, 0)
    return crc, sum(piece.size for piece in pieces)


def _multiplied(one: int, other: int) -> int:
    """Product of two polynomials modulo that of CRC-32."""
    product, power = 0, _ONE
    while power:
        if one & power:
            product ^= other
        power >>= 1
        other = (other >> 1) ^ _POLYNOMIAL if other & 1 else other >> 1
    return product


# x to the power of 8, 16, 32, ...: one byte, two bytes, four bytes, ...
_BYTES = [_ONE >> 8]
while len(_BYTES) < _SIZES.bit_length():
    _BYTES.append(_multiplied(_BYTES[-1], _BYTES[-1]))


def _shift(size: int) -> int:
    """The factor that moves a checksum past ``size`` bytes."""
    shift, place = _ONE, 0
    while size:
        if size & 1:
            shift = _multiplied(_BYTES[place], shift)
        size, place = size >> 1, place + 1
    return shift
