"""What is asked of the programs over HTTP, and what their answers say."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import click

from config.stack.ratings import DECLINING, HOUR, Entry
from config.stack.servers import Ports

TIMEOUT_SECONDS = 10
READY = "/-/ready"

TREND = "llm_feedback_quality_trend"


class Alert(NamedTuple):
    """What Alertmanager says of an alert; the description changes with its value."""

    severity: str
    description: str
    receiver: str


def answers(address: str) -> bool:
    """Tell whether the program at ``address`` is ready to work."""
    try:
        status, _ = _ask(address, "GET", READY)
    except click.ClickException:
        return False
    return status == 200  # noqa: PLR2004 - the HTTP status of a success


def post(exporter: str, entries: list[Entry]) -> int:
    """Send ratings, and return how many were accepted.

    Raises:
        ClickException: it was not all of them.

    """
    _, answer = _ask(exporter, "POST", "/api/v1/feedback", json.dumps(entries).encode())
    if answer.get("accepted") != len(entries):
        raise click.ClickException(f"the exporter did not accept all ratings: {json.dumps(answer)}")
    return len(entries)


def declining_stats(exporter: str) -> dict[str, Any]:
    """Return the statistics of the stage that declines."""
    names = {"workflow_name": DECLINING.workflow, "stage_name": DECLINING.stage, "tier": DECLINING.tier}
    _, answer = _ask(exporter, "GET", f"/api/v1/stats?{urlencode(names)}")
    return dict(answer)


def rule_states(prometheus: str) -> dict[str, str]:
    """Return what Prometheus says of each alert that it has, by the alert's name and what it is about."""
    _, answer = _ask(prometheus, "GET", "/api/v1/rules?type=alert")
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    return {
        f"{rule['name']} of {_about(alert['labels'])}": _state(alert["state"], rule["duration"])
        for rule in rules
        for alert in rule["alerts"]
    }


def _state(state: str, wait: float) -> str:
    span = f"{wait / HOUR:g} h" if wait >= HOUR else f"{wait / 60:g} min"
    return f"pending, and fires if it stays so for {span}" if state == "pending" else state


def arrived(alertmanager: str) -> dict[tuple[str, str], Alert]:
    """Return the alerts that Alertmanager has and would tell of, by their names and what they are about."""
    _, answer = _ask(alertmanager, "GET", "/api/v2/alerts?active=true&inhibited=false&silenced=false")
    return {
        (alert["labels"]["alertname"], _about(alert["labels"])): Alert(
            alert["labels"]["severity"],
            alert["annotations"]["description"],
            ", ".join(receiver["name"] for receiver in alert["receivers"]),
        )
        for alert in answer
    }


def pages(where: Ports) -> dict[str, str]:
    """Return what to open in a browser, and what it shows."""
    graph = f"/graph?g0.expr={quote(TREND)}&g0.tab=0&g0.range_input=15m"
    return {
        f"http://{where.exporter}/": "the exporter: metrics and API",
        f"http://{where.prometheus}/alerts": "every alert rule, and whether it is pending or firing",
        f"http://{where.prometheus}{graph}": "the trend of each stage",
        f"http://{where.alertmanager}/": "Alertmanager: what has arrived",
    }


def _about(labels: dict[str, str]) -> str:
    """Return the series, stage or job that an alert is about."""
    names = [labels[name] for name in ("workflow", "stage", "tier") if name in labels]
    return "/".join(names) or labels.get("job", "")


def _ask(address: str, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """Ask, without a proxy, and return the status and, decoded, an answer that is JSON."""
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        text = response.read()
        is_json = "json" in response.getheader("Content-Type", "")
        return response.status, json.loads(text) if is_json else text
    except (OSError, HTTPException) as error:
        raise click.ClickException(f"http://{address}{path} does not answer: {error}") from None
    finally:
        connection.close()
