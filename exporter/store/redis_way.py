"""What every way to Redis has in common: scripts, commands that are done together, and waiting for replicas."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from hashlib import sha1
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from exporter.store import without_password
from exporter.store.redis_errors import TooFewReplicas, doing
from exporter.store.redis_keys import shard_key
from exporter.store.redis_node import Command, Node, Reply, Talk, exchange

WAIT_SECONDS: float = 1

# A shard, and what a script is given for it.
Arguments = tuple[int, list[Any]]


class Script(NamedTuple):
    """A Lua script and the digest by which a server knows it."""

    text: str
    digest: str

    def command(self, shard: int, arguments: Iterable[Any]) -> Command:
        """Return the command that runs it.

        It names a key that exists, and one that never does. While a Cluster moves a slot, key by key, that
        makes it refuse the call: a script, which touches keys that it does not name, never meets half a shard.
        """
        return ("EVALSHA", self.digest, 2, shard_key(shard, "meta"), shard_key(shard, "never"), *arguments)


@cache
def script(name: str) -> Script:
    """Read one of the scripts that stand beside this module; what they share is put in front."""
    here = Path(__file__).parent
    text = "".join((here / part).read_text("utf-8") for part in ("shard.lua", f"{name}.lua"))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


# The replies to commands that were done together, or why they were not.
Outcome = list[Reply] | RedisError


class Call(NamedTuple):
    """Commands that are done together or not at all; ``asking`` for a slot that is on its way to the node."""

    commands: Sequence[Command]
    asking: bool = False

    def sent(self) -> Iterator[Command]:
        """Every command that is sent for it."""
        if self.asking:
            yield ("ASKING",)
        if len(self.commands) > 1:
            yield from (("MULTI",), *self.commands, ("EXEC",))
        else:
            yield from self.commands

    def outcome(self, replies: Iterator[Reply]) -> Outcome:
        """Take the replies to what was sent, and return those to its commands, or the first error."""
        taken = list(islice(replies, sum(1 for _ in self.sent())))[self.asking :]
        if len(self.commands) > 1 and isinstance(taken[-1], list):
            taken = [*taken[:-1], *taken[-1]]
        error = next((reply for reply in taken if isinstance(reply, RedisError)), None)
        return error or taken[-len(self.commands) :]


class Done(NamedTuple):
    """What came of calls that were sent to one node: for each its replies, or its error."""

    talk: Talk
    outcomes: list[Outcome]


def do(parts: Iterable[tuple[Node, Sequence[Call]]], replicas: int) -> list[Done]:
    """Send calls to each node, and wait on the same connection until ``replicas`` have what they wrote."""
    parts = list(parts)
    wait: list[Command] = [("WAIT", replicas, int(WAIT_SECONDS * 1000))] if replicas else []
    said = [(node, [*chain.from_iterable(call.sent() for call in calls), *wait]) for node, calls in parts]
    done = []
    for (_, calls), (talk, replies) in zip(parts, exchange(said), strict=True):
        rest = iter(replies)
        outcomes = [call.outcome(rest) for call in calls]
        missing = _missing(next(rest), replicas) if wait else None
        done.append(Done(talk, [missing if missing and isinstance(one, list) else one for one in outcomes]))
    return done


def flat(outcomes: Iterable[Outcome]) -> list[Reply]:
    """Return the replies to all commands.

    Raises:
        RedisError: the first error.

    """
    replies: list[Reply] = []
    for outcome in outcomes:
        if isinstance(outcome, RedisError):
            raise outcome
        replies += outcome
    return replies


def _missing(reply: Reply, replicas: int) -> RedisError | None:
    """Error of what was written, but not to enough replicas."""
    if isinstance(reply, RedisError):
        return reply
    if reply >= replicas:
        return None
    return TooFewReplicas(f"{reply} of {replicas} replicas acknowledged it within {WAIT_SECONDS} s")


class Way(ABC):
    """A way to a Redis server or many. Making the object does no I/O; thread-safe.

    Every method that does may raise ``RedisError``; ``doing`` turns that into an error of ours.
    """

    def __init__(self, url: str, wait_replicas: int) -> None:
        """Keep how to show the URL, and how many replicas must have what was written where that is asked for."""
        self.shown = without_password(url)
        self.wait_replicas = wait_replicas

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Turn an error of redis-py inside the block into one of ours, which says that it cannot do ``what``."""
        return doing(self.shown, what)

    @abstractmethod
    def ask(self, commands: Iterable[Command], *, replicated: bool = False) -> list[Reply]:
        """Do commands, each by itself, and return their replies; ``replicated``: replicas have them too."""

    @abstractmethod
    def run(self, name: str, calls: Iterable[Arguments], *, writes: bool, replicated: bool = False) -> list[Reply]:
        """Run a script for each of ``calls`` and return the replies; what ``writes`` is atomic, at least by shard."""

    @abstractmethod
    def serials(self) -> tuple[int, ...]:
        """For every shard, what differs as soon as another server may answer for it, or one that restarted."""

    @abstractmethod
    def survey(self, commands: Sequence[Command]) -> dict[str, list[Reply]]:
        """Ask every server that takes writes, by its name; an error is a reply like others."""

    def look(self) -> None:  # noqa: B027 - most ways have nothing to look for
        """Before reading: look whether the newest writes are elsewhere by now."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""
