"""config/compose.yml as it is read: a Compose file, safe to run, in which all names and ports agree."""

import copy
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.compose_file import COMPOSE, ROOT, SERVICES, load, problems, run

BIN = Path(sys.executable).parent

# Where each listens: the exporter by its image, the others by themselves.
PORTS = {"redis": 6379, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000, "exporter": 10470}


def is_compose_file(path: Path) -> bool:
    """Ask the schema of the Compose specification."""
    return run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path).returncode == 0


class TestFile:
    """The file is a Compose file, and the stack is safe to run."""

    def test_schema(self, tmp_path: Path) -> None:
        """The file satisfies the Compose specification; one with a misspelt key does not."""
        misspelt = tmp_path / "compose.yml"
        misspelt.write_text(COMPOSE.read_text().replace("depends_on:", "depend_on:"))

        assert is_compose_file(COMPOSE)
        assert not is_compose_file(misspelt)

    def test_safe(self) -> None:
        """Nothing is published beyond this machine, is root, can be changed, is forgotten, or has a known secret."""
        assert problems(load()) == []

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda s: s["redis"].pop("restart"), "redis: restart is None"),
            (lambda s: s["redis"].update(read_only=False), "redis: read_only is False"),
            (lambda s: s["grafana"].update(cap_drop=[]), "grafana: cap_drop is []"),
            (lambda s: s["grafana"].pop("security_opt"), "grafana: security_opt is None"),
            (lambda s: s["grafana"].pop("logging"), "grafana: its log has no limit"),
            (lambda s: s["redis"].update(image="redis:latest"), "redis: image redis:latest is not one that stays"),
            (lambda s: s["redis"].pop("user"), "redis: user None may be root"),
            (lambda s: s["redis"].update(user="0:0"), "redis: user 0:0 may be root"),
            (lambda s: s["redis"].pop("healthcheck"), "redis: nobody knows whether it works"),
            (lambda s: s["redis"].update(networks=["default"]), "network store: has ['exporter']"),
            (lambda s: s["grafana"].update(networks=["store"]), "network store: has ['exporter', 'redis', 'grafana']"),
            (lambda s: s["redis"].update(ports=["6379:6379"]), "redis: publishes 6379:6379"),
            (lambda s: s["redis"].pop("volumes"), "redis: forgets everything"),
            (lambda s: s["redis"].pop("volumes"), "volume redis: not both declared and used"),
            (
                lambda s: s["exporter"].update(volumes=["./nothing.yml:/x:ro"]),
                "exporter: ./nothing.yml is not there, or can be written",
            ),
            (
                lambda s: s["exporter"].update(volumes=["./exporter.yml:/x"]),
                "exporter: ./exporter.yml is not there, or can be written",
            ),
            (
                lambda s: s["exporter"].update(depends_on={"radis": {"condition": "service_healthy"}}),
                "exporter: depends on radis by {'condition': 'service_healthy'}",
            ),
            (
                lambda s: s["exporter"].update(depends_on={"redis": {"condition": "service_started"}}),
                "exporter: depends on redis by {'condition': 'service_started'}",
            ),
            (lambda s: s["grafana"].update(command="${X:-y}"), "command=${X:-y}: neither fixed nor required"),
            (lambda s: s["grafana"].update(command="$X"), "command=$X: neither fixed nor required"),
            (
                lambda s: s["grafana"]["environment"].update({"GF_SECURITY_ADMIN_PASSWORD": "admin"}),
                "GF_SECURITY_ADMIN_PASSWORD=admin: neither fixed nor required",
            ),
            (
                lambda s: s["exporter"]["environment"].update(FEEDBACK_EXPORTER_STORE="redis://:secret@redis"),
                "FEEDBACK_EXPORTER_STORE=redis://:secret@redis: neither fixed nor required",
            ),
        ],
    )
    def test_unsafe(self, change: Callable[[dict[str, Any]], object], problem: str) -> None:
        """Each fault of a stack is seen."""
        compose = copy.deepcopy(load())
        change(compose["services"])

        assert problem in problems(compose)

    def test_open_network(self) -> None:
        """That the network of the store leads nowhere is seen where it is missing."""
        compose = load()
        compose["networks"]["store"] = {}

        assert problems(compose) == ["network store: reaches the world"]


class TestNames:
    """Whoever names another service, names one that is there, and the port on which it listens."""

    def test_hosts(self) -> None:
        """Every HOST:PORT that a service is given is a service and its port, or its own on loopback."""
        commands = re.sub(r"(?m)^ +image:.*$", "", COMPOSE.read_text())

        assert unknown_hosts([commands, *map(Path.read_text, given())]) == set()

    @pytest.mark.parametrize("text", ["url: http://promotheus:9090", '["exporter:10740"]', "redis://redis:6380/0"])
    def test_unknown(self, text: str) -> None:
        """A misspelt host and a wrong port are seen."""
        assert len(unknown_hosts([text])) == 1

    def test_published(self) -> None:
        """Each port that is published is the one on which its service listens, at the number that is documented."""
        published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

        assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in PORTS.items() if name != "redis"}


def given() -> list[Path]:
    """Return the files of this tree that are mounted and name hosts."""
    return [*(COMPOSE.parent / "compose" / "targets").iterdir(), *(ROOT / "grafana" / "provisioning").rglob("*.yml")]


def unknown_hosts(texts: list[str]) -> set[str]:
    """Return each HOST:PORT that is no service at its port; loopback and what a service listens on left out."""
    found = {pair for text in texts for pair in re.findall(r"(?<![\w.])(?:\w+://)?([a-z][\w-]*:\d{2,5})\b", text)}
    return found - {f"{name}:{port}" for name, port in PORTS.items()}
