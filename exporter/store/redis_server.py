"""The ways to one Redis server: by its address, or by sentinels that know which of several is the primary."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from redis import Redis
from redis.connection import ConnectionPool, SSLConnection
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError
from redis.sentinel import Sentinel, SentinelConnectionPool

from exporter.errors import StoreRefused
from exporter.store.redis_keys import SHARDS
from exporter.store.redis_node import Command, Node, Reply, exchange
from exporter.store.redis_url import connection_options, hosts, pool_of, reading
from exporter.store.redis_way import Arguments, Call, Way, do, flat, script

SENTINEL_PORT = 26_379


class RedisServer(Way):
    """One server: what is written by one call of ``run`` is written whole or not at all."""

    def __init__(self, url: str, wait_replicas: int = 0) -> None:
        """Read ``url``.

        Raises:
            StoreRefused: it cannot be read, or asks for something that redis-py does not know.

        """
        super().__init__(url, wait_replicas)
        with reading(url):
            self._pool = self._make_pool(url)
        self._node = Node(self.shown, self._pool)

    def _make_pool(self, url: str) -> ConnectionPool:
        return pool_of(connection_options(url))

    def ask(self, commands: Iterable[Command], *, replicated: bool = False) -> list[Reply]:
        """See ``Way``."""
        return self._do([Call([command]) for command in commands], replicated=replicated)

    def run(self, name: str, calls: Iterable[Arguments], *, writes: bool, replicated: bool = False) -> list[Reply]:
        """See ``Way``.

        A server that does not know the script answers all calls alike and has done nothing, so then the
        script is loaded and all are sent again.
        """
        known = script(name)
        commands = [known.command(*call) for call in calls]
        together = [Call(commands)] if writes else [Call([command]) for command in commands]
        try:
            return self._do(together, replicated=replicated)
        except NoScriptError:
            self.ask([("SCRIPT", "LOAD", known.text)])
            return self._do(together, replicated=replicated)

    def _do(self, calls: Sequence[Call], *, replicated: bool) -> list[Reply]:
        (done,) = do([(self._node, calls)], self.wait_replicas if replicated else 0)
        if any(isinstance(outcome, ReadOnlyError) for outcome in done.outcomes):
            # A primary that is one no more; its name, or its sentinels, may lead to another by now.
            self._node.close_idle()
        return flat(done.outcomes)

    def serials(self) -> tuple[int, ...]:
        """See ``Way``."""
        return (self._node.serial,) * SHARDS

    def survey(self, commands: Sequence[Command]) -> dict[str, list[Reply]]:
        """See ``Way``."""
        ((_, replies),) = exchange([(self._node, commands)])
        return {self.shown: replies}

    def close(self) -> None:
        """See ``Way``."""
        self._node.close()


class SentinelServer(RedisServer):
    """The primary of a service that sentinels watch: a new connection is made to whom they name."""

    _pool: SentinelConnectionPool

    def _make_pool(self, url: str) -> SentinelConnectionPool:
        """Read ``redis+sentinel://user:password@host:port,host:port/service/db``; the password is the servers'."""
        addresses, options, path = hosts(url, SENTINEL_PORT)
        if not path:
            raise StoreRefused(
                f"store URL {self.shown!r} names no service: {url.partition(':')[0]}://HOST:PORT/SERVICE"
            )
        service, *database = path
        own = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
        sentinels = Sentinel([])  # type: ignore[no-untyped-call] # redis-py's types are incomplete
        sentinels.sentinels = [
            Redis(connection_pool=pool_of({**options, **own, "host": host, "port": port})) for host, port in addresses
        ]
        secure = options.pop("connection_class", None) is SSLConnection
        options["db"] = int("".join(database) or 0)
        return SentinelConnectionPool(service, sentinels, ssl=secure, **options)  # type: ignore[no-untyped-call] # redis-py's types are incomplete

    def look(self) -> None:
        """Ask the sentinels: a primary that hung and was replaced would go on answering readers for a while."""
        with suppress(RedisError):
            self._pool.get_master_address()  # type: ignore[no-untyped-call] # redis-py's types are incomplete
