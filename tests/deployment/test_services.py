"""The services of config/compose.yml, each run or checked here as the stack has it, without a container engine."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

from exporter.config import variables
from tests.deployment.compose_file import ROOT, SERVICES, in_container, lay_out, run
from tests.deployment.container_file import image_environment
from tests.support.exporter_process import ExporterProcess
from tests.support.http import status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually


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
