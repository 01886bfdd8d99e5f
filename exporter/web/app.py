"""The Flask application over one process's services."""

import logging
import re
import time
from collections.abc import Callable, Iterable

import msgspec
from flask import Flask, Response, g, request

from exporter.web import admin, api, ingest, metrics, openapi, problems
from exporter.web.services import Services

access_log = logging.getLogger("exporter.access")

ROLES = {
    "all": (ingest, api, metrics, admin, openapi),
    "ingest": (ingest, metrics, admin, openapi),
    "export": (api, metrics, admin, openapi),
}

_SLASHES = re.compile("/{2,}")


def create_app(services: Services) -> Flask:
    """Make the application; it holds no state of its own."""
    app = Flask("exporter", static_folder=None)
    # A slash too many never loses a POST by redirect.
    app.url_map.strict_slashes = False
    app.wsgi_app = _single_slashes(app.wsgi_app)  # type: ignore[method-assign]  # Flask's way to wrap an application
    problems.register(app)
    _observe(app, services)
    for module in ROLES[services.config.role]:
        app.register_blueprint(module.blueprint(services))
    return app


Wsgi = Callable[..., Iterable[bytes]]


def _single_slashes(application: Wsgi) -> Wsgi:
    def normalised(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if "//" in path:
            environ["PATH_INFO"] = _SLASHES.sub("/", path)
        return application(environ, start_response)

    return normalised


def _observe(app: Flask, services: Services) -> None:
    """Time every request by route, and log it where the configuration asks for it."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.began
        handler = request.url_rule.rule if request.url_rule else "unmatched"
        services.telemetry.answered(handler, response.status_code, seconds)
        if services.config.access_log:
            access_log.info(
                "%s",
                msgspec.json.encode(
                    {
                        "method": request.method,
                        "path": request.path,
                        "status": response.status_code,
                        "seconds": round(seconds, 6),
                        "remote": request.remote_addr,
                    }
                ).decode(),
            )
        return response
