"""A real redis-server, on a free port of 127.0.0.1, with a directory of its own."""

import shutil
import signal
import socket
from pathlib import Path

from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually

START_SECONDS = 20


class RedisServer(Process):
    """``redis-server`` without snapshots; in a ``with`` statement it answers inside and is gone after.

    It can be killed and started again on the same port and directory, and be paused as a host that hangs.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        """Start nothing yet; ``arguments`` are added to the command line."""
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        program = shutil.which("redis-server")
        if program is None:
            raise AssertionError("redis-server is not installed: apt-get install redis-server")
        command = [program, "--port", f"{self.port}", "--bind", "127.0.0.1", "--save", "", *arguments]
        super().__init__(command, directory, "redis.log")

    def start(self) -> None:
        """Start, and wait until it answers: with its data read, or with a demand for the password."""
        super().start()
        eventually(self._answers, "redis-server answering", START_SECONDS)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def pause(self) -> None:
        """Let it hang: it answers nothing, and its port still takes connections."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)
