"""One server process that a test starts, and ends by its pid whatever happens."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 10


class Process:
    """A command that can be started again after it ended; all it prints is appended to one file."""

    def __init__(
        self, command: Sequence[str], directory: Path, output: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start nothing yet; ``directory`` is where it runs, ``output`` the name of the file there."""
        directory.mkdir(parents=True, exist_ok=True)
        self._command = list(command)
        self._directory = directory
        self._output = directory / output
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        if self._process is None:
            raise AssertionError(f"{self._command[0]} was not started")
        return self._process

    @property
    def output(self) -> str:
        """All that was printed, of every start."""
        return self._output.read_text() if self._output.exists() else ""

    def start(self) -> None:
        """Start the command."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def send(self, signum: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(signum)

    def wait(self, limit: float = STOP_SECONDS) -> int:
        """Return the exit code; the process has ``limit`` seconds to end."""
        return self.process.wait(limit)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end, and return its exit code."""
        self.send(signum)
        return self.wait()

    def kill(self) -> None:
        """End the process and its children at once, as an out-of-memory killer would, if they run."""
        if self._process is None:
            return
        children = self.children()
        self._process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.wait()

    def children(self) -> list[int]:
        """Pids of the processes that this one has started and that run; none once it has been waited for."""
        if self._process is None or self._process.returncode is not None:
            return []
        return [pid for pid, parent in _parents() if parent == self._process.pid]


def _parents() -> list[tuple[int, int]]:
    """Every process that runs, with its parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found.append((int(stat.parent.name), int(parent)))
    return found
