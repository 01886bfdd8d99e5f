"""A real receiver of Alertmanager's notifications, on a free port of 127.0.0.1."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

Labels = frozenset[tuple[str, str]]


class Alert(NamedTuple):
    """One alert of a notification."""

    status: str
    labels: Labels
    annotations: Labels


class Notification(NamedTuple):
    """What Alertmanager sent at once: to whom, whether it fires or is over, what it is grouped by, and the alerts."""

    receiver: str
    status: str
    group: Labels
    alerts: frozenset[Alert]


class Webhook:
    """Records what it is sent; in a ``with`` statement it listens inside."""

    def __init__(self) -> None:
        """Take a port, but answer nothing yet."""
        self._arrived: list[tuple[float, Notification]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer what is being asked, and end."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where notifications are to be sent."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def notifications(self) -> list[Notification]:
        """All that have arrived, in this order."""
        return [notification for _, notification in self._arrived]

    def arrived(self, place: int) -> float:
        """Time, as ``time.time`` tells it, at which the notification at this place arrived."""
        return self._arrived[place][0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        arrived = self._arrived

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                now = time.time()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                arrived.append((now, _notification(json.loads(body))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _notification(document: dict[str, Any]) -> Notification:
    alerts = frozenset(
        Alert(alert["status"], _labels(alert["labels"]), _labels(alert["annotations"])) for alert in document["alerts"]
    )
    return Notification(document["receiver"], document["status"], _labels(document["groupLabels"]), alerts)


def _labels(labels: dict[str, str]) -> Labels:
    return frozenset(labels.items())
