"""The Flask application over one process's services."""

import logging
import re
import time
from collections.abc import Callable, Iterable

import msgspec
from flask import Flask, Response, request

from exporter.web import admin, api, ingest, metrics, openapi, problems
from exporter.web.services import Services

access_log = logging.getLogger("exporter.access")

ROLES = {
    "all": (ingest, api, metrics, admin, openapi),
    "ingest": (ingest, metrics, admin, openapi),
    "export": (api, metrics, admin, openapi),
}

_SLASHES = re.compile("/{2,}")
# Where the environ of a request has the moment at which it came.
_BEGAN = "exporter.began"


def create_app(services: Services) -> Flask:
    """Make the application; it holds no state of its own."""
    app = Flask("exporter", static_folder=None)
    # A slash too many never loses a POST by redirect.
    app.url_map.strict_slashes = False
    app.wsgi_app = _entrance(app.wsgi_app)  # type: ignore[method-assign]  # Flask's way to wrap an application
    problems.register(app)
    _observe(app, services)
    for module in ROLES[services.config.role]:
        app.register_blueprint(module.blueprint(services))
    return app


Wsgi = Callable[..., Iterable[bytes]]


def _entrance(application: Wsgi) -> Wsgi:
    """Note when each request came, and read several slashes in its path as one."""

    def enter(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        environ[_BEGAN] = time.perf_counter()
        path = str(environ["PATH_INFO"])
        if "//" in path:
            environ["PATH_INFO"] = _SLASHES.sub("/", path)
        return application(environ, start_response)

    return enter


def _observe(app: Flask, services: Services) -> None:
    """Time every request by route, and log it where the configuration asks for it."""

    @app.after_request
    def end(response: Response) -> Response:
        seconds = time.perf_counter() - request.environ[_BEGAN]
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
