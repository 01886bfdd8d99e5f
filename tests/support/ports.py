"""Ports for the servers that tests start, all on 127.0.0.1."""

import random
import socket

# Below what Linux gives to outgoing connections (from 32768): a client that knocks while its server is
# away can otherwise be given the server's own port, and meet itself there.
LOWEST, HIGHEST = 15_000, 32_000

_random = random.SystemRandom()


def free_port() -> int:
    """Return a port on which nobody listens."""
    while True:
        port = _random.randint(LOWEST, HIGHEST)
        if not is_taken(port):
            return port


def is_taken(port: int) -> bool:
    """Tell whether ``port`` cannot be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return True
        return False
