"""The programs: where they listen by the configuration files, how they start, and how they end."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import click
import yaml

PACKAGES = "sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager"
STOP_SECONDS = 10
SHOWN_LINES = 15


class Server(NamedTuple):
    """One program: its name, its command, and the HOST:PORT on which it will answer."""

    name: str
    command: list[str]
    address: str


class Ports(NamedTuple):
    """The HOST:PORT of each program."""

    exporter: str
    prometheus: str
    alertmanager: str


def ports(tree: Path, prometheus: str) -> Ports:
    """Read from the target files where Prometheus will look for the others."""
    targets = tree / "config" / "targets"
    return Ports(_target(targets / "exporters.yml"), prometheus, _target(targets / "alertmanagers.yml"))


def _target(path: Path) -> str:
    return str(yaml.safe_load(path.read_text(encoding="utf-8"))[0]["targets"][0])


def servers(tree: Path, where: Ports) -> list[Server]:
    """Return the programs of the stack, in the order in which they start; data go to where they are started.

    Raises:
        ClickException: one of them is not installed.

    """
    config = tree / "config"
    exporter = [sys.executable, "-m", "exporter", "serve", f"--config={config / 'exporter.yml'}"]
    prometheus = [_program("prometheus"), f"--config.file={config / 'prometheus.yml'}", "--storage.tsdb.path=data"]
    # Debian's name, then everybody else's. One alone has nobody to gossip with.
    alertmanager = [_program("prometheus-alertmanager", "alertmanager"), "--cluster.listen-address="]
    alertmanager += [f"--config.file={config / 'alertmanager.yml'}", "--storage.path=data"]
    return [
        Server("exporter", [*exporter, "--store=sqlite:///data.db", f"--listen={where.exporter}"], where.exporter),
        _web("Alertmanager", alertmanager, where.alertmanager),
        _web("Prometheus", prometheus, where.prometheus),
    ]


def _web(name: str, command: list[str], address: str) -> Server:
    flags = [f"--web.listen-address={address}", f"--web.external-url=http://{address}/"]
    return Server(name, [*command, *flags], address)


def _program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise click.ClickException(f"{names[0]} is not installed. On Debian: {PACKAGES}")
    return found


def check_free(server: Server) -> None:
    """Raise ``ClickException`` where somebody listens already."""
    host, _, port = server.address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
            probe.listen()
        except OSError as error:
            raise click.ClickException(
                f"{server.name} cannot listen on {server.address}: {error.strerror}. End what listens there; "
                f"`ss -ltnp 'sport = :{port}'` shows it. Debian's own services end with "
                "`sudo systemctl stop prometheus prometheus-alertmanager`."
            ) from None


class Processes:
    """The programs while they run; in a ``with`` statement all have ended after it, whatever happens inside."""

    def __init__(self, directory: Path) -> None:
        """Start nothing yet; each program will run in a directory of its own below ``directory``."""
        self._directory = directory
        self._running: list[tuple[Server, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask all to end, and end at once what has not after ten seconds."""
        for _, process in self._running:
            process.terminate()
        for _, process in self._running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, server: Server) -> None:
        """Start a program, out of reach of the terminal's Ctrl-C and of this process's FEEDBACK_EXPORTER_*."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FEEDBACK_EXPORTER_")}
        log = self._log(server)
        log.parent.mkdir()
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - a program found by name, with arguments of our own
                server.command,
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((server, process))

    def check(self) -> None:
        """Raise ``ClickException``, with what it said last, if one has ended."""
        for server, process in self._running:
            if process.poll() is not None:
                lines = self._log(server).read_text(encoding="utf-8", errors="replace").splitlines()
                said = "\n".join(lines[-SHOWN_LINES:])
                raise click.ClickException(f"{server.name} ended with exit code {process.returncode}:\n{said}")

    def _log(self, server: Server) -> Path:
        return self._directory / server.name.lower() / "log"
