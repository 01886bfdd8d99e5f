"""The way to one Redis server: connections, scripts, and what its errors mean.

A command is sent once: a lost reply becomes an error, never a second send.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, parse_url
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from exporter.errors import StoreRefused, StoreUnavailable
from exporter.store import without_password
from exporter.store.redis_keys import shard_key

CONNECT_SECONDS = 2
REPLY_SECONDS = 5

# What an error's class and text tell, whether waiting is of no use, and what to do; the first that fits.
_MEANINGS = tuple(
    (re.compile(pattern), refused, advice)
    for pattern, refused, advice in (
        (
            "Authentication|NOAUTH|WRONGPASS|invalid password",
            True,
            "give its user and password in the URL, percent-encoded: redis://user:password@host",
        ),
        (
            "NoPermission|NOPERM|can't run this command|can't access",
            True,
            "let its user run scripts, and read and write keys that begin with llmfb:",
        ),
        ("nknown (Redis )?command", True, "Redis 6.2 or newer is needed, or Valkey, with no command renamed"),
        ("MovedError|MOVED", True, "a Redis Cluster cannot be used: give a single server"),
        ("DB index", True, "give the number of a database that it has"),
        ("WRONGTYPE", True, "something else keeps its keys there: give another database, redis://host/1"),
        ("its records have", True, "use the version that wrote them, or another store"),
        ("(?i)certificate.verify.failed", True, "name the authority that signed its certificate: ?ssl_ca_certs=FILE"),
        ("ReadOnly|READONLY", False, "it is a read-only replica: give its primary"),
        ("OutOfMemory|OOM", False, "give it more memory (maxmemory)"),
        ("MISCONF", False, "it cannot save to its disk: see its log"),
        ("Loading|LOADING", False, "it is reading its data: wait"),
        ("", False, "see that it runs and that the URL names it"),
    )
)


class Script(NamedTuple):
    """A Lua script and the digest by which the server knows it."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """Read one of the scripts that stand beside this module; what they share is put in front."""
    here = Path(__file__).parent
    text = "".join((here / part).read_text("utf-8") for part in ("shard.lua", f"{name}.lua"))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class RedisServer:
    """One server. Making the object does no I/O; thread-safe."""

    def __init__(self, url: str) -> None:
        """Read ``url``.

        Raises:
            StoreRefused: it cannot be read, or asks for something that redis-py does not know.

        """
        self.shown = without_password(url)
        self._counter = count(1)
        # Differs after every new connection: the server behind it may have restarted and lost its newest writes.
        self.connection = 0
        try:
            options = self._options(url)
            pool = ConnectionPool(**options)
            pool.connection_class(**pool.connection_kwargs)
        except (TypeError, ValueError, RedisError):
            raise StoreRefused(
                f"store URL {self.shown!r} cannot be read: see its port and what follows '?', and percent-encode "
                "a password's special characters"
            ) from None
        self.client = redis.Redis(connection_pool=pool)

    def _options(self, url: str) -> dict[str, Any]:
        over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
        return {
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": REPLY_SECONDS,
            **over_tcp,
            **parse_url(url),  # type: ignore[no-untyped-call] # redis-py's types are incomplete
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "decode_responses": False,
            "redis_connect_func": self._connected,
        }

    def _connected(self, connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call] # redis-py's types are incomplete
        self.connection = next(self._counter)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Turn an error of redis-py inside the block into one of ours, which says that it cannot do ``what``."""
        try:
            yield
        except RedisError as error:
            text = str(error).rpartition(" of pipeline caused error: ")[2].rstrip(".")
            seen = f"{type(error).__name__} {text}"
            refused, advice = next((refused, advice) for known, refused, advice in _MEANINGS if known.search(seen))
            kind = StoreRefused if refused else StoreUnavailable
            raise kind(f"{self.shown}: cannot {what}: {text}; {advice}") from error

    def pipeline(self, commands: Iterable[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        """Send ``commands`` at once and return their replies; ``atomic``: all or none of them are done.

        Raises:
            RedisError: the first error among the replies.

        """
        with self.client.pipeline(transaction=atomic) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py's types are incomplete
            replies = pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def run(self, name: str, calls: Iterable[tuple[int, list[Any]]], *, atomic: bool = True) -> list[Any]:
        """Run a script once for each (shard, arguments) and return the replies; ``atomic``: all or none.

        A server that does not know the script answers all calls alike and has done nothing, so then the
        script is loaded and all are sent again.
        """
        known = script(name)
        commands = [("EVALSHA", known.digest, 1, shard_key(shard, "meta"), *arguments) for shard, arguments in calls]
        try:
            return self.pipeline(commands, atomic=atomic)
        except NoScriptError:
            self.client.script_load(known.text)
            return self.pipeline(commands, atomic=atomic)

    def close(self) -> None:
        """Close every connection."""
        self.client.connection_pool.disconnect()
