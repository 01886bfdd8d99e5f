"""What the errors of Redis mean: whether waiting may mend them, and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError

from exporter.errors import StoreRefused, StoreUnavailable

# What an error's class and text tell, whether waiting is of no use, and what to do; the first that fits.
_MEANINGS = tuple(
    (re.compile(pattern), refused, advice)
    for pattern, refused, advice in (
        (
            "MasterNotFound.*(Authentication|invalid username)",
            True,
            "give the sentinels' own password in the URL: ?sentinel_password=...",
        ),
        ("MasterNotFound", False, "see that its sentinels run and that the URL names them and the service as they do"),
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
        ("cluster support disabled", True, "it is a single server: give redis:// instead of redis+cluster://"),
        ("nknown (Redis )?command", True, "Redis 6.2 or newer is needed, or Valkey, with no command renamed"),
        ("MovedError|MOVED", True, "it belongs to a Redis Cluster: give redis+cluster:// instead of redis://"),
        ("DB index", True, "give the number of a database that it has"),
        ("WRONGTYPE", True, "something else keeps its keys there: give another database, redis://host/1"),
        ("its records have", True, "use the version that wrote them, or another store"),
        ("(?i)certificate.verify.failed", True, "name the authority that signed its certificate: ?ssl_ca_certs=FILE"),
        ("TooFewReplicas", False, "see that its replicas run and follow it, or lower wait_replicas"),
        ("StillMoving", False, "the Cluster is moving the slot: ask again, or see that its resharding goes on"),
        (
            "ClusterDown",
            False,
            "some slots of the Cluster have no primary: wait for its failover, or see CLUSTER NODES",
        ),
        ("ReadOnly|READONLY", False, "it is a read-only replica: give its primary"),
        ("OutOfMemory|OOM", False, "give it more memory (maxmemory)"),
        ("MISCONF", False, "it cannot save to its disk: see its log"),
        ("Loading|LOADING", False, "it is reading its data: wait"),
        ("", False, "see that it runs and that the URL names it"),
    )
)


class TooFewReplicas(RedisError):
    """Written, but not acknowledged by as many replicas as were asked for."""


class StillMoving(RedisError):
    """Nothing done, since the slot has been on its way for too long."""


@contextmanager
def doing(shown_url: str, what: str) -> Iterator[None]:
    """Turn an error of redis-py inside the block into one of ours, which says that the store cannot do ``what``.

    Raises:
        StoreUnavailable: waiting may mend it.
        StoreRefused: waiting cannot.

    """
    try:
        yield
    except RedisError as error:
        text = str(error).rstrip(".")
        seen = f"{type(error).__name__} {text}"
        refused, advice = next((refused, advice) for known, refused, advice in _MEANINGS if known.search(seen))
        if isinstance(error, MasterNotFoundError):
            # What follows is how redis-py sees each sentinel.
            text = text.partition(" : ")[0]
        raise (StoreRefused if refused else StoreUnavailable)(
            f"{shown_url}: cannot {what}: {text}; {advice}"
        ) from error
