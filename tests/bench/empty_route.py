"""An empty Flask route on the server and the settings of ``feedback-exporter serve``: ``python -m ... PORT``."""

import sys

from flask import Flask, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from exporter.web.server import BLOCKING_THREADS


def app() -> Flask:
    """Make an application that reads what it is sent, answers, and does nothing else."""
    made = Flask("empty")

    @made.post("/")
    def nothing() -> tuple[str, int]:
        request.get_data()
        return "", 202

    return made


if __name__ == "__main__":
    Granian(
        "empty",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=BLOCKING_THREADS,
        log_level=LogLevels.error,
        websockets=False,
    ).serve(target_loader=app, wrap_loader=False)
