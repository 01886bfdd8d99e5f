"""A real Prometheus that scrapes an exporter by the configuration that this project ships."""

from pathlib import Path
from typing import Any

from tests.support.http import Client, status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually

SHIPPED = Path(__file__).parents[2] / "config" / "prometheus.yml"
START_SECONDS = 30

Labels = frozenset[tuple[str, str]]


class PrometheusProcess(Process):
    """``prometheus`` with a database of its own; in a ``with`` statement it is ready inside and gone after."""

    def __init__(self, directory: Path, target: int) -> None:
        """Start nothing yet; the exporter at port ``target`` is scraped once a second."""
        self.port = free_port()
        directory.mkdir(parents=True)
        configuration = directory / "prometheus.yml"
        configuration.write_text(shipped_configuration(target))
        command = [
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]
        super().__init__(command, directory, "prometheus.log")

    def start(self) -> None:
        """Start, and wait until it is ready."""
        super().start()
        eventually(lambda: status(self.port, "/-/ready") == 200, "Prometheus being ready", START_SECONDS)

    def query(self, expression: str) -> dict[Labels, float]:
        """Evaluate an instant query now; values by labels, ``__name__``, ``job`` and ``instance`` left out."""
        with Client(self.port) as client:
            answer = client.get("/api/v1/query", {"query": expression})
        if answer.status != 200:
            raise AssertionError(f"{expression}: {answer.text}")
        return {_labels(sample["metric"]): float(sample["value"][1]) for sample in answer.json["data"]["result"]}


def _labels(metric: dict[str, Any]) -> Labels:
    return frozenset((name, value) for name, value in metric.items() if name not in {"__name__", "job", "instance"})


def shipped_configuration(target: int) -> str:
    """``config/prometheus.yml`` with two things changed: the port of the target, and 1 s where it says 15 s."""
    text = SHIPPED.read_text()
    for shipped, here in (
        ("127.0.0.1:10470", f"127.0.0.1:{target}"),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ):
        if text.count(shipped) != 1:
            raise AssertionError(f"{SHIPPED} has {shipped!r} {text.count(shipped)} times, once is expected")
        text = text.replace(shipped, here)
    return text
