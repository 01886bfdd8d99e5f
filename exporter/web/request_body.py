"""Reading a request body: length limits, gzip of any number of members, bounded memory."""

import zlib
from typing import IO

from flask import Request

from exporter.web.problems import Problem

MAX_BODY = 10 * 1024 * 1024
MAX_DROPPED = 64 * 1024 * 1024
CHUNK = 64 * 1024
_GZIP_WINDOW = 31


def read_body(request: Request) -> bytes:
    """Read and decompress the body of ``request``.

    An oversized body is read and dropped, up to 64 MiB, so that the client sees the answer.

    Raises:
        Problem: 413 over 10 MiB before or after decompression; 415 another coding than gzip;
            400 a gzip stream that is broken.

    """
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip", "x-gzip"}:
        raise Problem(
            415, f"Content-Encoding {coding!r} is not supported; send gzip or none.", {"Accept-Encoding": "gzip"}
        )
    body = _read(request.environ["wsgi.input"], request.content_length)
    return body if coding == "identity" else _gunzip(body)


def _too_large(what: str) -> Problem:
    return Problem(413, f"{what} is larger than {MAX_BODY} bytes; send it in several requests.")


def _read(stream: IO[bytes], length: int | None) -> bytes:
    if length is not None and length > MAX_DROPPED:
        raise _too_large("The body")
    chunks: list[bytes] = []
    size = 0
    while (length is None or size < length) and (chunk := stream.read(CHUNK)):
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
        elif size > MAX_DROPPED:
            break
    if size > MAX_BODY:
        raise _too_large("The body")
    return b"".join(chunks)


def _gunzip(body: bytes) -> bytes:
    """Decompress every member of ``body``, never holding more than the limit."""
    parts: list[bytes] = []
    room = MAX_BODY
    try:
        while body:
            member = zlib.decompressobj(_GZIP_WINDOW)
            part = member.decompress(body, room + 1)
            room -= len(part)
            if room < 0:
                raise _too_large("The decompressed body")
            if not member.eof:
                raise Problem(400, "The body says that it is gzip, but it ends too early; send it whole.")
            parts.append(part)
            body = member.unused_data.lstrip(b"\0")
    except zlib.error:
        raise Problem(400, "The body says that it is gzip, but it is not; send gzip, or no Content-Encoding.") from None
    return b"".join(parts)
