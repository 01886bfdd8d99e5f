"""config/Containerfile without a container engine: its own steps make what then runs as in the container."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.version import VERSION
from tests.deployment.container_file import (
    CONTAINERFILE,
    IGNORED,
    copied,
    image_environment,
    load,
    problems,
    read,
    words,
)
from tests.support.http import Client, status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually
from tests.test_project import ROOT, pins

PORT = "10470"


class TestFile:
    """The image is small, safe, and made of what the lock holds."""

    def test_safe(self) -> None:
        """Bases stay, sources are there, no root, no tool for building, signals reach the program."""
        assert list(problems(load())) == []

    @pytest.mark.parametrize(
        ("old", "new", "problem"),
        [
            ("debian:12.14-slim\n", "debian:latest\n", "FROM docker.io/library/debian:latest: is not one that stays"),
            ("COPY exporter", "COPY exproter", "COPY exproter: is not there"),
            ("USER 10470:10470", "USER exporter", "USER exporter: is not a number, or is root"),
            ("USER 10470:10470", "USER 0:0", "USER 0:0: is not a number, or is root"),
            ("USER 10470:10470\n", "", "USER : is not a number, or is root"),
            ('CMD ["serve"]', "CMD serve", "CMD: is not in exec form"),
            ('["feedback-exporter"]', "feedback-exporter", "ENTRYPOINT: is not in exec form"),
            ("ca-certificates python3", "python3-pip", "RUN: the image has python3-pip"),
            ("--require-hashes", "", "RUN: what is installed is not what the lock holds"),
        ],
    )
    def test_unsafe(self, old: str, new: str, problem: str) -> None:
        """Each fault is seen."""
        text = CONTAINERFILE.read_text()
        assert old in text

        assert problem in list(problems(read(text.replace(old, new))))

    def test_context(self) -> None:
        """What is copied is let into the build, and nothing else: no database, no secret."""
        first, *let_in = [line for line in IGNORED.read_text().splitlines() if not line.startswith("#")]

        assert first == "*"
        assert {line.removeprefix("!") for line in let_in if line.startswith("!")} == copied(load())

    def test_names_agree(self) -> None:
        """Port and directory of data are the same wherever they are named."""
        last = load()[-1]
        environment = image_environment()

        assert last.last("EXPOSE") == PORT
        assert environment["FEEDBACK_EXPORTER_LISTEN"] == f"0.0.0.0:{PORT}"
        assert f"'127.0.0.1', {PORT}," in last.last("HEALTHCHECK")
        assert environment["FEEDBACK_EXPORTER_STORE"] == f"sqlite:///{last.last('WORKDIR')}/llm-feedback.db"
        assert last.last("VOLUME") == last.last("WORKDIR")
        assert re.findall(r"--owner=(\d+) --group=(\d+) (\S+)", last.last("RUN")) == [
            (*last.last("USER").split(":"), last.last("WORKDIR"))
        ]


class Image:
    """A directory with what the steps of the file make: sources, environment, and the data of the container."""

    def __init__(self, directory: Path) -> None:
        """Nothing is made yet."""
        self.venv, self.data = directory / "opt" / "venv", directory / "data"
        self._directory = directory
        self._python = directory / "bin" / "python3"

    def build(self) -> None:
        """Copy, and run every step but those that install Debian's packages."""
        for path in (self._directory / "src", self.data, self._python.parent):
            path.mkdir(parents=True)
        self._python.symlink_to(Path(sys.executable).resolve())
        for name, value in load()[0].instructions:
            if name == "COPY":
                *sources, _ = value.split()
                for source in sources:
                    self._copy(source)
            elif name == "RUN" and "apt-get" not in value:
                self._run(value)

    def _copy(self, source: str) -> None:
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, self._directory / "src" / source, ignore=ignored)
        else:
            shutil.copy(ROOT / source, self._directory / "src")

    def _run(self, command: str) -> None:
        here = command.replace("/opt/venv", str(self.venv)).replace("python3 -m", f"{self._python} -m")
        said = subprocess.run(
            ["/bin/sh", "-c", here],
            cwd=self._directory / "src",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=100,
        )
        assert said.returncode == 0, f"{here}\n{said.stdout}"

    def command(self) -> list[str]:
        """Return what a container runs, by its path here."""
        last = load()[-1]
        program, *arguments = [*words(last.last("ENTRYPOINT")), *words(last.last("CMD"))]
        return [str(self.venv / "bin" / program), *arguments]

    def health(self, port: int) -> int:
        """Return the exit code of the health check, asked at ``port``."""
        program, *arguments = words(load()[-1].last("HEALTHCHECK"))
        check = [str(self.venv / "bin" / program), *(argument.replace(PORT, str(port)) for argument in arguments)]
        return subprocess.run(check, stderr=subprocess.DEVNULL, check=False, timeout=20).returncode

    def packages(self) -> dict[str, str]:
        """Return the version of each package that is installed, by name."""
        found = [path.name.split("-")[:2] for path in self.venv.glob("lib/python3*/site-packages/*.dist-info")]
        return {name.replace("_", "-").lower(): version.removesuffix(".dist") for name, version in found}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build once."""
    image = Image(tmp_path_factory.mktemp("image"))
    image.build()
    yield image
    shutil.rmtree(image.venv)


class TestImage:
    """What the steps make is the exporter."""

    def test_packages(self, image: Image) -> None:
        """It holds the exporter and what it needs, in the versions of the lock, and nothing to build with."""
        locked = {name: version for name, version in pins("requirements.lock").items() if name in image.packages()}

        assert image.packages() == {**locked, "llm-feedback-exporter": VERSION}
        assert not image.packages().keys() & {"pip", "setuptools", "wheel"}
        assert len(locked) > 10

    def test_it_serves(self, image: Image, tmp_path: Path) -> None:
        """It serves in the image's environment, writes to the data alone, tells its health, and ends at SIGTERM."""
        port = free_port()
        elsewhere = {name: tmp_path / name for name in ("HOME", "TMPDIR")}
        for path in elsewhere.values():
            path.mkdir(mode=0o500)
        environment = image_environment() | {name: str(path) for name, path in elsewhere.items()}
        environment["FEEDBACK_EXPORTER_LISTEN"] = f"127.0.0.1:{port}"
        environment["FEEDBACK_EXPORTER_STORE"] = f"sqlite:///{image.data}/llm-feedback.db"
        before = written(image.venv)
        with Process(image.command(), image.data, "../log", environment) as process:
            eventually(lambda: status(port, "/-/ready") == 200 or process.process.poll(), "the exporter being ready")
            with Client(port) as client:
                rating = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "stars": 4}
                assert client.post(rating).status == 202, process.output
            healthy = image.health(port)
            code = process.stop()

        assert (healthy, code, image.health(port)) == (0, 0, 1), process.output
        assert [path.name for path in image.data.iterdir()] == ["llm-feedback.db"]
        assert [path for place in elsewhere.values() for path in place.rglob("*")] == []
        assert written(image.venv) == before


def written(directory: Path) -> dict[Path, int]:
    """Return the time at which each file was written."""
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}
