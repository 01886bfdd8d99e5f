"""The servers that are measured, each in a process of its own, and what a process uses."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter.web.server import BLOCKING_THREADS
from tests.support.exporter_process import ROOT, START_SECONDS, ExporterProcess
from tests.support.http import status
from tests.support.ports import free_port, is_taken
from tests.support.processes import Process
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

_TICKS = os.sysconf("SC_CLK_TCK")


class Variant(ExporterProcess):
    """``serve`` with another number of threads, or without group commit."""

    def __init__(
        self, directory: Path, store: str, *options: str, threads: int = BLOCKING_THREADS, grouped: bool = True
    ) -> None:
        """Start nothing yet."""
        super().__init__(directory, store, *options)
        words = [f"{threads}", "grouped" if grouped else "ungrouped"]
        self._command[2:3] = ["tests.bench.variant", *words]


class EmptyRoute(Process):
    """Empty Flask routes; in a ``with`` statement they answer inside and are gone after."""

    def __init__(self, directory: Path, threads: int = BLOCKING_THREADS, files: Sequence[Path] = ()) -> None:
        """Start nothing yet; ``files`` hold what a scrape is answered with, plain and as gzip."""
        self.port = free_port()
        words = [f"{self.port}", f"{threads}", *map(str, files)]
        super().__init__(
            [sys.executable, "-m", "tests.bench.empty_route", *words],
            directory,
            "empty.log",
            {**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def start(self) -> None:
        """Start, and wait until the port is listened on."""
        super().start()
        eventually(lambda: is_taken(self.port), "the empty route listening", START_SECONDS)


class Pushgateway(Process):
    """Prometheus' Pushgateway; in a ``with`` statement it answers inside and is gone after."""

    def __init__(self, directory: Path) -> None:
        """Start nothing yet."""
        self.port = free_port()
        command = ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"]
        super().__init__(command, directory, "pushgateway.log")

    def start(self) -> None:
        """Start, and wait until it is ready."""
        super().start()
        eventually(lambda: status(self.port, "/-/ready") == 200, "Pushgateway being ready", START_SECONDS)


def redis_that_keeps(directory: Path) -> RedisServer:
    """Redis as ``docs/redis.md`` recommends it: every write is logged, and synced once a second."""
    return RedisServer(directory, "--appendonly", "yes", "--appendfsync", "everysec")


def processor_seconds(process: Process) -> float:
    """Processor time that a process and its children have used."""
    return sum(map(_seconds_of, [process.process.pid, *process.children()]))


def _seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    status_lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in status_lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
