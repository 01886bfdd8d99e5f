"""A tiny HTTP client over the standard library, for servers on 127.0.0.1."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

NDJSON = "application/x-ndjson"

# What a request to a server that is away, killed or slow may raise.
Unanswered = (OSError, HTTPException)


class Answer(NamedTuple):
    """A whole answer; ``headers`` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the server sent
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """One connection to ``port``, kept open, and opened anew after an error. Not for several threads at once."""

    def __init__(self, port: int, timeout: float = 15) -> None:
        """Connect at the first request; ``timeout``, in seconds, holds for each wait on the socket."""
        self._connection = HTTPConnection("127.0.0.1", port, timeout=timeout)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises:
            OSError, HTTPException: there was none.

        """
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        except BaseException:
            self._connection.close()
            raise

    def get(
        self, path: str, parameters: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """GET ``path`` with ``parameters`` as its query."""
        return self.ask("GET", f"{path}?{urlencode(parameters, doseq=True)}" if parameters else path, None, headers)

    def post(self, entries: object) -> Answer:
        """POST ``entries``, an entry or a list of them, as JSON."""
        body = json.dumps(entries).encode()
        return self.ask("POST", "/api/v1/feedback", body, {"Content-Type": "application/json"})

    def post_lines(self, entries: list[dict[str, Any]]) -> Answer:
        """POST ``entries`` as NDJSON."""
        body = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        return self.ask("POST", "/api/v1/feedback", body, {"Content-Type": NDJSON})


def ask(port: int, method: str, path: str, body: bytes | None = None) -> Answer:
    """Send one request on a connection of its own."""
    with Client(port) as client:
        return client.ask(method, path, body)


def status(port: int, path: str) -> int | None:
    """Status of a GET, ``None`` where nobody answers."""
    try:
        return ask(port, "GET", path).status
    except Unanswered:
        return None
