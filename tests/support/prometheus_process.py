"""A real Prometheus that scrapes exporters by the configuration and the rules that this project ships."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.http import Client, status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.shipped import shipped
from tests.support.waiting import eventually

RULES = ("recording.yml", "alerts.yml")
START_SECONDS = 30

Labels = frozenset[tuple[str, str]]


class PrometheusProcess(Process):
    """``prometheus`` with a database of its own; in a ``with`` statement it is ready inside and gone after."""

    def __init__(
        self,
        directory: Path,
        *exporters: int,
        alertmanager: int | None = None,
        interval: str = "1s",
        rules: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            directory: where its files go; the database is ``data`` in it, and may be there before.
            exporters: ports of the exporters that are scraped.
            alertmanager: port of the Alertmanager that hears of alerts; without it nobody does.
            interval: how often it scrapes and evaluates, in place of the 15 s that are shipped.
            rules: texts of rule files by name; those that are shipped without it.

        """
        self.port = free_port()
        self._targets = directory / "config" / "targets"
        self._targets.mkdir(parents=True, exist_ok=True)
        (directory / "config" / "prometheus.yml").write_text(shipped_configuration(interval))
        self.scrape(*exporters)
        _write_targets(self._targets / "alertmanagers.yml", [alertmanager] if alertmanager else [])
        (directory / "alerts").mkdir(exist_ok=True)
        for name, text in (shipped_rules() if rules is None else rules).items():
            (directory / "alerts" / name).write_text(text, encoding="utf-8")
        command = [
            "prometheus",
            f"--config.file={directory / 'config' / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            # How long a change of targets may wait; 5 s unless said otherwise.
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        ]
        super().__init__(command, directory, "prometheus.log")

    def start(self) -> None:
        """Start, and wait until it is ready."""
        super().start()
        eventually(lambda: status(self.port, "/-/ready") == 200, "Prometheus being ready", START_SECONDS)

    def scrape(self, *exporters: int) -> None:
        """Scrape the exporters at these ports, and no longer any other; it takes some seconds to follow."""
        _write_targets(self._targets / "exporters.yml", exporters)

    def query(self, expression: str) -> dict[Labels, float]:
        """Evaluate an instant query now; values by labels, ``__name__``, ``job`` and ``instance`` left out."""
        with Client(self.port) as client:
            answer = client.get("/api/v1/query", {"query": expression})
        if answer.status != 200:
            raise AssertionError(f"{expression}: {answer.text}")
        return {_labels(sample["metric"]): float(sample["value"][1]) for sample in answer.json["data"]["result"]}


def _labels(metric: dict[str, Any]) -> Labels:
    return frozenset((name, value) for name, value in metric.items() if name not in {"__name__", "job", "instance"})


def _write_targets(path: Path, ports: Sequence[int]) -> None:
    """Write a file of targets in one step, since Prometheus reads it as soon as it changes."""
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))
    whole.replace(path)


def shipped_configuration(interval: str) -> str:
    """``config/prometheus.yml`` with ``interval`` where it says 15 s; targets and rules are in files beside it."""
    keys = ("scrape_interval", "evaluation_interval")
    return shipped("config/prometheus.yml", {f"{key}: 15s": f"{key}: {interval}" for key in keys})


def shipped_rules() -> dict[str, str]:
    """Return the text of each rule file that is shipped, by name."""
    return {name: shipped(f"alerts/{name}", {}) for name in RULES}
