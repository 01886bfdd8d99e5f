"""The exporter as users run it: ``serve`` in a process of its own, on a free port."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.http import Client, status
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
START_SECONDS = 30


class ExporterProcess(Process):
    """``python -m exporter serve``; in a ``with`` statement it is ready inside and gone after."""

    def __init__(
        self,
        directory: Path,
        store: str | None,
        *options: str,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        awaited: str = "/-/ready",
    ) -> None:
        """Start nothing yet.

        Args:
            directory: where it runs, and where ``exporter.log`` takes all that it prints.
            store: URL of the store; ``None`` leaves it to ``options`` and ``environment``.
            options: more of the command line.
            port: where to listen; a free one without it.
            environment: variables beside the test's own, whose ``FEEDBACK_EXPORTER_*`` are left out.
            awaited: path that answers 200 before ``start`` returns.

        """
        self.store = store
        self._awaited = awaited
        self.port = port or free_port()
        command = [sys.executable, "-m", "exporter", "serve", "--listen", f"127.0.0.1:{self.port}", *options]
        if store is not None:
            command += ["--store", store]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FEEDBACK_EXPORTER_")}
        variables = {**inherited, "PYTHONPATH": str(ROOT), **(environment or {})}
        super().__init__(command, directory, "exporter.log", variables)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it as an operator does, so that it is measured to its end; at once if that takes too long."""
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.kill()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.launch()
        self.wait_status(self._awaited, 200)

    def launch(self) -> None:
        """Start without waiting for anything."""
        super().start()

    def restart(self) -> None:
        """Kill it at once, with its worker, and start it again on the same port."""
        self.kill()
        self.start()

    def restart_parent(self) -> None:
        """Kill only the process that was started, not its worker, and start it again on the same port."""
        orphans = self.children()
        self.process.kill()
        self.wait()
        self.start()
        # On a loaded machine, a worker that has yet to see that its parent is gone may have answered.
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), "the orphans' end")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return as soon as ``/-/ready`` answers 200; fail at once if the process ends."""
        self.wait_status("/-/ready", 200)

    def wait_status(self, path: str, wanted: int) -> None:
        """Return as soon as ``path`` answers ``wanted``; fail at once if the process ends."""

        def answers() -> bool:
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"the exporter ended with exit code {code}:\n{self.output}")
            return status(self.port, path) == wanted

        eventually(answers, f"{path} answering {wanted}", START_SECONDS)

    def client(self, timeout: float = 15) -> Client:
        """Return a client of this exporter."""
        return Client(self.port, timeout)

    def reload(self) -> None:
        """Send SIGHUP, as ``systemctl reload`` does."""
        self.send(signal.SIGHUP)

    @property
    def worker(self) -> int:
        """Pid of the process that answers."""
        (pid,) = self.children()
        return pid


def sqlite_url(directory: Path) -> str:
    """URL of a SQLite store in ``directory``."""
    return f"sqlite:///{directory / 'feedback.db'}"
