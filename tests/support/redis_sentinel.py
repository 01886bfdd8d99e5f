"""Real sentinels that watch a primary with two replicas, all on 127.0.0.1."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.support.certificates import Certificates
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

SERVICE = "ratings"
DOWN_MILLISECONDS = 500
FAILOVER_MILLISECONDS = 3000


def sentinel_of(
    primary: RedisServer, directory: Path, *lines: str, quorum: int = 1, certificates: Certificates | None = None
) -> RedisServer:
    """Make a sentinel that watches ``primary`` together with others; ``lines`` are added to its configuration."""
    directory.mkdir()
    file = directory / "sentinel.conf"
    monitor = f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {quorum}"
    limits = (("down-after-milliseconds", DOWN_MILLISECONDS), ("failover-timeout", FAILOVER_MILLISECONDS))
    file.write_text("\n".join([monitor, *(f"sentinel {name} {SERVICE} {value}" for name, value in limits), *lines]))
    return RedisServer(directory, sentinel=file, certificates=certificates)


class SentinelService:
    """Three servers and three sentinels; in a ``with`` statement they run inside and are gone after."""

    def __init__(self, directory: Path) -> None:
        """Start nothing yet."""
        self.primary = RedisServer(directory / "0", "--repl-diskless-sync-delay", "0")
        follow = ("--repl-diskless-sync-delay", "0", "--replicaof", f"127.0.0.1 {self.primary.port}")
        self.servers = [self.primary, *(RedisServer(directory / f"{place}", *follow) for place in (1, 2))]
        self.sentinels = [sentinel_of(self.primary, directory / f"sentinel-{place}", quorum=2) for place in range(3)]
        addresses = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{addresses}/{SERVICE}"
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start, and wait until everybody knows everybody."""
        with self._running as running:
            for server in (*self.servers, *self.sentinels):
                running.enter_context(server)
            eventually(self._is_settled, "sentinels that know each other and two replicas", 60)
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self._running.close()

    def _is_settled(self) -> bool:
        states = list(map(self._state, self.sentinels))
        return all((state["slaves"], state["sentinels"]) == (2, 3) for state in states) and bool(self.named())

    def named(self) -> RedisServer | None:
        """Return the server that all sentinels name as the primary; ``None`` while they disagree."""
        addresses = {self._state(sentinel)["address"] for sentinel in self.sentinels}
        named = [server for server in self.servers if addresses == {f"127.0.0.1:{server.port}"}]
        return named[0] if named else None

    @staticmethod
    def _state(sentinel: RedisServer) -> dict[str, Any]:
        """What a sentinel knows of the service."""
        with redis.Redis(port=sentinel.port) as client:
            state: dict[str, Any] = client.info("sentinel")["master0"]
            return state
