"""``GET /metrics``: text 0.0.4 or OpenMetrics 1.0 by Accept, gzip, and single families by ``name[]=``."""

from contextlib import suppress
from urllib.parse import parse_qs

from flask import Blueprint, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_options_header

from exporter.errors import StoreError
from exporter.web.services import Services

OPENMETRICS = "application/openmetrics-text"
TEXT = "text/plain"
CONTENT_TYPES = {
    True: f"{OPENMETRICS}; version=1.0.0; charset=utf-8",
    False: f"{TEXT}; version=0.0.4; charset=utf-8",
}


def blueprint(services: Services) -> Blueprint:
    """Make the route over ``services``."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        # The last known view is shown while the store is away; exporter_store_up says so.
        with suppress(StoreError):
            services.refresh()
            services.probe()
        openmetrics = prefers_openmetrics(request.accept_mimetypes)
        # Not request.args, which raises for bytes that no client should send.
        query = parse_qs(request.query_string.decode(errors="replace"), keep_blank_values=True)
        names = frozenset(query.get("name[]", ())) or None
        compressed = request.accept_encodings.quality("gzip") > 0
        body = services.metrics(openmetrics=openmetrics, names=names, compressed=compressed)
        response = Response(body, content_type=CONTENT_TYPES[openmetrics])
        response.vary.update(("Accept", "Accept-Encoding"))
        if compressed:
            response.content_encoding = "gzip"
        return response

    return routes


def prefers_openmetrics(accept: MIMEAccept) -> bool:
    """Tell which format a client weighs higher; text where it names neither."""
    openmetrics = text = 0.0
    for value, quality in accept:
        media_type, options = parse_options_header(value)
        if media_type == OPENMETRICS and options.get("version", "1.0.0") == "1.0.0":
            openmetrics = max(openmetrics, quality)
        elif media_type in {TEXT, "text/*", "*/*"} and options.get("version", "0.0.4") == "0.0.4":
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text
