"""Errors as RFC 9457 problem documents: what was given, what is wrong, what to do."""

from http import HTTPStatus

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from exporter.domain import shown
from exporter.errors import InvalidFeedback, StoreError

PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Problem(Exception):
    """Raised by a handler to answer with a problem document; ``members`` extend it."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **members: object) -> None:
        """Keep what the document will hold."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members

    @property
    def response(self) -> Response:
        """The answer itself."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return Response(msgspec.json.encode(document), self.status, self.headers, content_type=PROBLEM)


def store_problem(error: StoreError, **members: object) -> Problem:
    """Answer 503: the store is away."""
    return busy_problem(f"{error}.", **members)


def busy_problem(detail: str, **members: object) -> Problem:
    """Answer 503: the same request may succeed later."""
    return Problem(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)}, **members)


def register(app: Flask) -> None:
    """Answer every error of ``app`` with a problem document."""

    @app.errorhandler(Problem)
    def problem(error: Problem) -> Response:
        return error.response

    @app.errorhandler(InvalidFeedback)
    def invalid(error: InvalidFeedback) -> Response:
        return Problem(400, f"{error}.", field=error.field).response

    @app.errorhandler(StoreError)
    def store_away(error: StoreError) -> Response:
        return store_problem(error).response

    @app.errorhandler(NotFound)
    def not_found(_: NotFound) -> Response:
        return Problem(404, f"There is nothing at {shown(request.path)}; GET / lists what there is.").response

    @app.errorhandler(MethodNotAllowed)
    def method_not_allowed(error: MethodNotAllowed) -> Response:
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{shown(request.method)} is not allowed at {shown(request.path)}; send {allowed}."
        return Problem(405, detail, {"Allow": allowed}).response

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        return Problem(error.code or 500, error.description or "").response

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        app.logger.error("unforeseen error", exc_info=error)
        return Problem(500, "An error that nobody foresaw; the log of the exporter has the details.").response
