"""Health, readiness, reload and the landing page, as Prometheus and its exporters have them."""

from html import escape

from flask import Blueprint, Response, current_app

from exporter.errors import ConfigError, StoreError
from exporter.store import without_password
from exporter.version import VERSION
from exporter.web.problems import Problem
from exporter.web.services import Services

LINKS = (
    ("/metrics", "Metrics"),
    ("/api/v1/recommendations", "Recommended tier of every stage"),
    ("/api/v1/underperforming", "Underperforming stages, worst first"),
    ("/api/v1/openapi.json", "OpenAPI specification"),
    ("/-/healthy", "Health"),
    ("/-/ready", "Readiness"),
)


def blueprint(services: Services) -> Blueprint:
    """Make the routes over ``services``."""
    routes = Blueprint("admin", __name__)

    @routes.get("/-/healthy")
    def healthy() -> Response:
        return _text("llm-feedback-exporter is healthy.\n")

    @routes.get("/-/ready")
    def ready() -> Response:
        services.refresh()
        return _text("llm-feedback-exporter is ready.\n")

    @routes.route("/-/reload", methods=["POST", "PUT"])
    def reload() -> Response:
        try:
            services.reload_all()
        except ConfigError as error:
            raise Problem(
                500, "The configuration was not reloaded, the old one stays.", problems=error.problems
            ) from None
        except StoreError as error:
            raise Problem(500, f"The configuration was not reloaded, the old one stays: {error}.") from None
        return _text("The configuration was reloaded.\n")

    @routes.get("/")
    def landing() -> Response:
        return Response(_landing_page(services.config.store), content_type="text/html; charset=utf-8")

    return routes


def _text(text: str) -> Response:
    return Response(text, content_type="text/plain; charset=utf-8")


def _landing_page(store: str) -> str:
    served = {rule.rule for rule in current_app.url_map.iter_rules()}
    links = "\n".join(f'<li><a href="{path}">{escape(label)}</a></li>' for path, label in LINKS if path in served)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>LLM Feedback Exporter</title>
<style>body {{ font-family: sans-serif; margin: 3rem auto; max-width: 40rem; line-height: 1.5 }}</style>
</head>
<body>
<h1>LLM Feedback Exporter</h1>
<p>Quality, trend and recommended model tier of LLM workflows, as Prometheus metrics.</p>
<p>Version {escape(VERSION)}. Ratings are kept in <code>{escape(without_password(store))}</code>.
Send them with <code>POST /api/v1/feedback</code>.</p>
<ul>
{links}
</ul>
</body>
</html>
"""
