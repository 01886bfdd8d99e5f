"""Settings of Redis servers that lose ratings, and what to do. Pure, but for the questions that are to be asked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from exporter.store.redis_node import Command, Reply

# INFO tells most, also where CONFIG is not allowed, as with managed servers; what is not told is not warned of.
QUESTIONS: list[Command] = [("INFO", "persistence"), ("INFO", "memory"), ("CONFIG", "GET", "appendfsync")]
# Servers that are named, before it is said how many more there are.
NAMED = 3


class _Loss(NamedTuple):
    """A setting, the values that are safe, and what the others do."""

    setting: str
    safe: tuple[str, ...]
    words: str


_LOSSES = (
    _Loss("aof_enabled", ("1",), "appendonly is no, a restart loses what came after the last snapshot: set it to yes"),
    _Loss(
        "appendfsync",
        ("always", "everysec"),
        "appendfsync is no, a crash of the machine loses what it had not written: set it to everysec or always",
    ),
    _Loss(
        "maxmemory_policy",
        ("noeviction",),
        "maxmemory-policy is {}, ratings are deleted when memory is full: set it to noeviction",
    ),
)


def losses(answers: Mapping[str, Sequence[Reply]]) -> str | None:
    """Say which settings lose ratings, from each server's answers to ``QUESTIONS``; ``None`` where none is known."""
    found: dict[str, list[str]] = {}
    for server, replies in answers.items():
        for words in _losses(_settings(replies)):
            found.setdefault(words, []).append(server)
    if not found:
        return None
    told = [words if len(answers) == 1 else f"{words} ({_named(servers)})" for words, servers in found.items()]
    return f"acknowledged ratings can be lost: {'; '.join(told)}"


def _losses(settings: Mapping[str, str]) -> Iterable[str]:
    for loss in _LOSSES:
        value = settings.get(loss.setting)
        if value is not None and value not in loss.safe:
            yield loss.words.format(value)


def _settings(replies: Sequence[Reply]) -> dict[str, str]:
    """Put together what a server told; what does not matter is left out."""
    settings: dict[str, str] = {}
    *infos, config = replies
    for info in infos:
        if not isinstance(info, RedisError):
            settings |= dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    if not isinstance(config, RedisError) and config:
        settings["appendfsync"] = config[1].decode()
    if settings.get("aof_enabled") == "0":
        settings.pop("appendfsync", None)
    if settings.get("maxmemory") == "0":
        settings.pop("maxmemory_policy", None)
    return settings


def _named(servers: Sequence[str]) -> str:
    more = len(servers) - NAMED
    return ", ".join(servers[:NAMED]) + (f" and {more} more" if more > 0 else "")
