"""Empty Flask routes on the server and the settings of ``serve``: ``python -m ... PORT THREADS [FILE [GZIP_FILE]]``."""

import sys
from pathlib import Path

from flask import Flask, Response, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def app(identity: bytes, compressed: bytes) -> Flask:
    """Make an application that takes any ratings, answers a scrape with ready bytes, and does nothing else."""
    made = Flask("empty")

    @made.post("/api/v1/feedback")
    def nothing() -> tuple[str, int]:
        request.get_data()
        return "", 202

    @made.get("/metrics")
    def ready() -> Response:
        if request.accept_encodings.quality("gzip") > 0:
            return Response(compressed, content_type=CONTENT_TYPE, headers={"Content-Encoding": "gzip"})
        return Response(identity, content_type=CONTENT_TYPE)

    return made


def main(port: int, threads: int, files: list[str]) -> None:
    """Serve; the files hold what a scrape is answered with, plain and as gzip."""
    identity, compressed = [Path(file).read_bytes() for file in files] or (b"", b"")
    Granian(
        "empty",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=threads,
        log_level=LogLevels.error,
        websockets=False,
    ).serve(target_loader=lambda: app(identity, compressed), wrap_loader=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
