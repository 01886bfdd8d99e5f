"""A real Alertmanager with the configuration that this project ships, which notifies a webhook."""

import json
from pathlib import Path
from typing import Any

from tests.support.http import Client, status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.shipped import shipped
from tests.support.waiting import eventually

RECEIVERS = ("on-call", "team", "backlog")
# As shipped, it waits for what belongs into the same message; the second is how long for what is only info.
WAITS = {
    "group_wait: 30s": "group_wait: 2s",
    "group_wait: 10m": "group_wait: 2s",
    "group_interval: 5m": "group_interval: 1s",
}
START_SECONDS = 30


class AlertmanagerProcess(Process):
    """``prometheus-alertmanager`` alone; in a ``with`` statement it is ready inside and gone after."""

    def __init__(self, directory: Path, webhook: str | None = None, *, hurried: bool = True) -> None:
        """Start nothing yet.

        Args:
            directory: where its files go.
            webhook: URL that every receiver sends to; without it, notifications go nowhere, as shipped.
            hurried: it waits for seconds where it is shipped to wait for minutes.

        """
        self.port = free_port()
        directory.mkdir(parents=True, exist_ok=True)
        configuration = directory / "alertmanager.yml"
        configuration.write_text(shipped_configuration(webhook, hurried=hurried))
        command = [
            "prometheus-alertmanager",
            f"--config.file={configuration}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        super().__init__(command, directory, "alertmanager.log")

    def start(self) -> None:
        """Start, and wait until it is ready."""
        super().start()
        eventually(lambda: status(self.port, "/-/ready") == 200, "Alertmanager being ready", START_SECONDS)

    def alerts(self) -> list[dict[str, Any]]:
        """All alerts that it has, in the words of its API: silenced and inhibited ones too."""
        with Client(self.port) as client:
            return list(client.get("/api/v2/alerts").json)

    def fire(self, *alerts: dict[str, str]) -> None:
        """Let alerts with these labels fire, beside what Prometheus sends."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        with Client(self.port) as client:
            answer = client.ask("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        if answer.status != 200:
            raise AssertionError(f"Alertmanager does not take {alerts}: {answer.text}")


def shipped_configuration(webhook: str | None, *, hurried: bool) -> str:
    """``config/alertmanager.yml``, with a webhook for each receiver, and with shorter waits, if that is wanted."""
    hooks = f"webhook_configs: [{{url: '{webhook}', send_resolved: true}}]"
    sending = {f"- name: {name}": f"- {hooks}\n    name: {name}" for name in RECEIVERS}
    return shipped("config/alertmanager.yml", {**(sending if webhook else {}), **(WAITS if hurried else {})})
