"""Reading a request body: length limits, gzip of any number of members, bounded memory."""

import gzip
import io
import zlib
from typing import IO

from flask import Request

from exporter.web.problems import Problem

MAX_BODY = 10 * 1024 * 1024
MAX_DROPPED = 64 * 1024 * 1024
CHUNK = 64 * 1024


def read_body(request: Request) -> bytes:
    """Read the body of ``request``, compressed as it may be.

    An oversized body is read and dropped, up to 64 MiB, so that the client sees the answer.

    Raises:
        Problem: 413 over 10 MiB; 400 where it ends before its Content-Length.

    """
    length = request.content_length
    if length is not None and length > MAX_DROPPED:
        raise _too_large("The body")
    body, size = _read(request.environ["wsgi.input"], length)
    if size > MAX_BODY:
        raise _too_large("The body")
    if length is not None and size < length:
        raise Problem(400, f"The body ends after {size} of {length} bytes; send it whole.")
    return body


def _read(stream: IO[bytes], length: int | None) -> tuple[bytes, int]:
    """Read ``stream``; return what may be used of it, and how long it was."""
    chunks: list[bytes] = []
    size = 0
    while (length is None or size < length) and (chunk := stream.read(CHUNK)):
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
        elif size > MAX_DROPPED:
            break
    return b"".join(chunks), size


def decompress(body: bytes, request: Request) -> bytes:
    """Undo the coding that ``request`` says its ``body`` has, never holding more than the limit.

    Raises:
        Problem: 413 over 10 MiB; 415 another coding than gzip; 400 a gzip stream that is broken.

    """
    coding = request.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if coding == "identity":
        return body
    if coding not in {"gzip", "x-gzip"}:
        raise Problem(
            415, f"Content-Encoding {coding!r} is not supported; send gzip or none.", {"Accept-Encoding": "gzip"}
        )
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            text = stream.read(MAX_BODY + 1)
    except EOFError:
        raise Problem(400, "The body says that it is gzip, but it ends too early; send it whole.") from None
    except (OSError, zlib.error):
        raise Problem(400, "The body says that it is gzip, but it is not; send gzip, or no Content-Encoding.") from None
    if len(text) > MAX_BODY:
        raise _too_large("The decompressed body")
    return text


def _too_large(what: str) -> Problem:
    return Problem(413, f"{what} is larger than {MAX_BODY} bytes; send it in several requests.")
