"""config/compose.yml without a container engine: all of it that can be read, is checked; all that can run, runs."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config import variables
from tests.deployment.compose_file import COMPOSE, ROOT, Document, in_container, lay_out, load, mounts, problems
from tests.deployment.container_file import image_environment
from tests.support.exporter_process import ExporterProcess
from tests.support.http import status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

BIN = Path(sys.executable).parent
SERVICES: dict[str, Document] = load()["services"]

# What these listen on by themselves. The ports of the others are set: see TestNames.
PORTS = {"redis": 6379, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000, "exporter": 10470}


def run(*command: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command, and return its exit code and all that it said."""
    return subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


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


class TestExporter:
    """The exporter takes the environment that the stack gives it."""

    def test_environment(self) -> None:
        """Every variable is one that the exporter knows, and the file that one names is mounted."""
        environment = environment_of_exporter()

        said = run(sys.executable, "-m", "exporter", "check-config", environment=environment)

        assert SERVICES["exporter"]["environment"].keys() <= {*variables(), "FEEDBACK_EXPORTER_CONFIG"}
        assert environment["FEEDBACK_EXPORTER_CONFIG"] == str(ROOT / "config" / "exporter.yml")
        assert said.stdout == "The configuration can be used.\n"

    def test_unknown_variable(self) -> None:
        """A misspelt variable would not pass."""
        environment = environment_of_exporter() | {"FEEDBACK_EXPORTER_STOR": "redis://redis"}

        said = run(sys.executable, "-m", "exporter", "check-config", environment=environment)

        assert (said.returncode, "FEEDBACK_EXPORTER_STOR: unknown variable" in said.stdout) == (2, True)


def environment_of_exporter() -> dict[str, str]:
    """Return the variables of image and stack together, with the mounted file where it lies here."""
    environment: dict[str, str] = image_environment() | SERVICES["exporter"]["environment"]
    seen = in_container(SERVICES["exporter"], environment["FEEDBACK_EXPORTER_CONFIG"])
    return environment | {"FEEDBACK_EXPORTER_CONFIG": str(seen), "PYTHONPATH": str(ROOT)}


class TestRedis:
    """Redis keeps what was acknowledged."""

    def test_nothing_is_lost(self, tmp_path: Path) -> None:
        """A rating that was acknowledged is there after Redis was killed, by the flags of the stack alone."""
        _, *flags = SERVICES["redis"]["command"]
        environment = environment_of_exporter()
        with RedisServer(tmp_path / "redis", "--dir", str(tmp_path / "redis"), *flags) as redis:
            assert check("redis", {"ping": f"-p {redis.port} ping"}).stdout == "PONG\n"
            environment["FEEDBACK_EXPORTER_STORE"] = f"redis://127.0.0.1:{redis.port}/0"
            with (
                ExporterProcess(tmp_path / "exporter", None, environment=environment) as exporter,
                exporter.client() as client,
            ):
                rating = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "stars": 4}
                assert client.post(rating).status == 202
                redis.kill()
                redis.start()
                exporter.wait_ready()
                answer = client.get("/api/v1/history", {"workflow_name": "w", "stage_name": "s"})
            redis.kill()

            assert [entry["quality_score"] for entry in answer.json] == [0.75]
            assert check("redis", {"ping": f"-p {redis.port} ping"}).returncode == 1


class TestPrometheus:
    """Prometheus finds its rules and targets where the stack mounts them."""

    def test_configuration(self, tmp_path: Path) -> None:
        """What is mounted is a whole configuration: promtool finds both rule files by their relative paths."""
        root = lay_out(SERVICES["prometheus"], tmp_path)

        said = run("promtool", "check", "config", root / "etc/prometheus/config/prometheus.yml")

        assert (said.returncode, "2 rule files found" in said.stdout) == (0, True), said.stdout

    def test_targets(self, tmp_path: Path) -> None:
        """It looks for the exporter, in the job that all rules name, under the name that it has in the stack."""
        root = lay_out(SERVICES["prometheus"], tmp_path)
        find = ["promtool", "check", "service-discovery", "--timeout=1s"]

        said = run(*find, root / "etc/prometheus/config/prometheus.yml", "llm-feedback-exporter")

        (target,) = json.loads(said.stdout[said.stdout.index("[\n") :].partition("level=")[0])
        assert target["labels"]["__address__"] == "exporter:10470"

    def test_without_rules(self, tmp_path: Path) -> None:
        """Without the mount of the rules it is none."""
        service = copy.deepcopy(SERVICES["prometheus"])
        service["volumes"] = [line for line in service["volumes"] if "alerts" not in line]

        said = run("promtool", "check", "config", lay_out(service, tmp_path) / "etc/prometheus/config/prometheus.yml")

        assert said.returncode == 1

    def test_it_runs(self, tmp_path: Path) -> None:
        """It starts by its flags, and its health check tells."""
        port = free_port()
        with Process(served("prometheus", "prometheus", tmp_path, port), tmp_path, "log") as process:
            eventually(lambda: status(port, "/-/ready") == 200 or process.process.poll(), "Prometheus being ready")
            said = check("prometheus", {":9090": f":{port}"})

        assert said.returncode == 0, said.stdout + process.output
        assert check("prometheus", {":9090": f":{port}"}).returncode != 0


class TestAlertmanager:
    """Alertmanager takes the shipped file."""

    def test_configuration(self, tmp_path: Path) -> None:
        """What is mounted is a whole configuration."""
        root = lay_out(SERVICES["alertmanager"], tmp_path)

        said = run("amtool", "check-config", root / "etc/alertmanager/alertmanager.yml")

        assert (said.returncode, "3 receivers" in said.stdout) == (0, True), said.stdout

    def test_it_runs(self, tmp_path: Path) -> None:
        """It starts by its flags, and its health check tells."""
        port = free_port()
        command = served("alertmanager", "prometheus-alertmanager", tmp_path, port)
        with Process(command, tmp_path, "log") as process:
            eventually(lambda: status(port, "/-/ready") == 200 or process.process.poll(), "Alertmanager being ready")
            said = check("alertmanager", {":9093": f":{port}"})

        assert said.returncode == 0, said.stdout + process.output
        assert check("alertmanager", {":9093": f":{port}"}).returncode != 0


def served(name: str, program: str, directory: Path, port: int) -> list[str]:
    """Return a service's command for this machine: what it sees lies below ``directory``, and it has a port."""
    root = lay_out(SERVICES[name], directory / "root")
    flags = [re.sub(r"=(/\S*)", rf"={root}\1", flag) for flag in SERVICES[name]["command"]]
    assert any(str(root) in flag for flag in flags)
    return [program, *flags, f"--web.listen-address=127.0.0.1:{port}"]


def check(name: str, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a service's health check, which must name each text that is to be changed."""
    _, *command = SERVICES[name]["healthcheck"]["test"]
    for old, new in changes.items():
        assert any(old in word for word in command)
        command = [part for word in command for part in (word.replace(old, new).split() if old in word else [word])]
    return run(*command)


class TestGrafana:
    """Grafana finds data source and dashboards where the stack mounts them."""

    def test_data_source(self) -> None:
        """There is one data source, of the uid that dashboards name, asked by the interval of the scrapes."""
        (source,) = provisioned("datasources/prometheus.yml")["datasources"]
        scrape = yaml.safe_load((ROOT / "config" / "prometheus.yml").read_text())["global"]["scrape_interval"]

        assert (source["uid"], source["type"], source["isDefault"]) == ("prometheus", "prometheus", True)
        assert source["jsonData"]["timeInterval"] == scrape

    def test_dashboards(self) -> None:
        """The path of the dashboards is where they are mounted, and the home is one of them."""
        (provider,) = provisioned("dashboards/dashboards.yml")["providers"]
        home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

        assert in_container(SERVICES["grafana"], provider["options"]["path"]) == ROOT / "grafana" / "dashboards"
        assert in_container(SERVICES["grafana"], home) == ROOT / "grafana" / "dashboards" / "overview.json"

    def test_nothing_else_is_mounted(self) -> None:
        """It sees what is provisioned and the dashboards, and nothing of the code that makes them."""
        seen = {mount.path for mount in mounts(SERVICES["grafana"]) if mount.path}

        assert seen == {ROOT / "grafana" / "provisioning", ROOT / "grafana" / "dashboards"}

    def test_source_of_dashboards(self) -> None:
        """Each dashboard lets its reader choose among sources of one type, which is that of the one that is there."""
        (source,) = provisioned("datasources/prometheus.yml")["datasources"]
        boards = [json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json")]
        chosen = [
            (each["name"], each["query"])
            for board in boards
            for each in board["templating"]["list"]
            if each["type"] == "datasource"
        ]

        assert chosen == [("datasource", source["type"])] * 3

    def test_health(self) -> None:
        """Its health check asks the path that Grafana has for it, at its own port."""
        assert SERVICES["grafana"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{PORTS['grafana']}/api/health"


def provisioned(name: str) -> Document:
    """Read a file where Grafana looks for it."""
    path = in_container(SERVICES["grafana"], f"/etc/grafana/provisioning/{name}")
    assert path
    document: Document = yaml.safe_load(path.read_text())
    assert document["apiVersion"] == 1
    return document
