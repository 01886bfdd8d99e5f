"""A real redis-server, on a free port of 127.0.0.1, with a directory of its own."""

import shutil
import signal
import socket
import ssl
from pathlib import Path

from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually

START_SECONDS = 20


class PortTaken(AssertionError):
    """Somebody listens on the port by now."""


class RedisServer(Process):
    """``redis-server`` without snapshots; in a ``with`` statement it answers inside and is gone after.

    It can be killed and started again on the same port and directory, and be paused as a host that hangs.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        sentinel: Path | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            directory: where it runs.
            arguments: more of the command line.
            sentinel: the configuration, if it is a sentinel.
            certificates: what it speaks TLS with, and nothing else.

        """
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._certificates = certificates
        program = shutil.which("redis-server")
        if program is None:
            raise AssertionError("redis-server is not installed: apt-get install redis-server")
        kind = [f"{sentinel}", "--sentinel"] if sentinel else ["--save", ""]
        port = ["--port", f"{self.port}"]
        if certificates:
            self.url = f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={certificates.authority}"
            port = ["--port", "0", "--tls-port", f"{self.port}", *_tls(certificates)]
        command = [program, *kind, *port, "--bind", "127.0.0.1", *arguments]
        super().__init__(command, directory, "redis.log")

    def start(self) -> None:
        """Start, and wait until it answers: with its data read, or with a demand for the password."""
        super().start()
        eventually(self._answers, "redis-server answering", START_SECONDS)

    def _answers(self) -> bool:
        if not self.running:
            raise (PortTaken if "Address already in use" in self.output else AssertionError)(self.output)
        try:
            with self._connection() as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _connection(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 1)
        if self._certificates is None:
            return connection
        context = ssl.create_default_context(cafile=self._certificates.authority)
        return context.wrap_socket(connection, server_hostname="127.0.0.1")

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def pause(self) -> None:
        """Let it hang: it answers nothing, and its port still takes connections."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)


def _tls(files: Certificates) -> list[str]:
    """Options of a server that shows a certificate, and asks nobody for one; to others of its kind it speaks TLS."""
    return [
        *("--tls-cert-file", f"{files.certificate}", "--tls-key-file", f"{files.key}"),
        *("--tls-ca-cert-file", f"{files.authority}", "--tls-auth-clients", "no"),
        *("--tls-replication", "yes", "--tls-cluster", "yes"),
    ]
