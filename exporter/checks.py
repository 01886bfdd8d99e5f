"""What values must satisfy beyond their types and ranges: each by itself, and some together."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from operator import le, lt
from typing import NamedTuple

from exporter.errors import ConfigError, StoreRefused
from exporter.settings import KeyPath, Setting, shown_text
from exporter.store import open_store

Settings = Mapping[KeyPath, Setting]

_LISTEN = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HIGHEST_PORT = 65_535
# The stores that one process has to itself.
_IN_MEMORY = {"sqlite://", "sqlite:///:memory:"}


def _check_listen(text: str) -> None:
    parts = _LISTEN.fullmatch(text)
    if not parts or not 1 <= int(parts["port"]) <= _HIGHEST_PORT or not _is_host(parts["ipv6"], parts["host"]):
        raise ConfigError([f"{shown_text(text)} is not HOST:PORT or [IPV6]:PORT with a port from 1 to {_HIGHEST_PORT}"])


def _is_host(ipv6: str | None, host: str) -> bool:
    try:
        if ipv6 is not None:
            ipaddress.IPv6Address(ipv6)
        elif not host.strip("0123456789."):
            ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _check_store(url: str) -> None:
    try:
        open_store(url).close()
    except StoreRefused as error:
        raise ConfigError([str(error)]) from None


SINGLE_CHECKS: dict[KeyPath, Callable[[str], None]] = {("listen",): _check_listen, ("store",): _check_store}


class _Order(NamedTuple):
    """Two thresholds that must stand in an order, or a stage would be sent up and down at once."""

    low: str
    high: str
    holds: Callable[[float, float], bool]
    low_fault: str
    high_fault: str


_ORDERS = (
    _Order("quality_threshold", "downgrade_threshold", lt, "not below", "not above"),
    _Order("quality_threshold", "lower_tier_threshold", le, "above", "below"),
)


def contradictions(settings: Settings, defaults: Settings) -> Iterator[str]:
    """Find values that are usable alone but not together; what is not usable alone is passed over.

    Args:
        settings: what is set.
        defaults: what holds, outside the workflows, where nothing is.

    """
    in_force = {**defaults, **settings}
    yield from _alone_in_memory(in_force)
    yield from _without_replicas(in_force)
    tiers = in_force["tiers",].value
    for path, (tier, where) in settings.items():
        if path[-1] == "start_tier" and isinstance(tier, str) and isinstance(tiers, tuple) and tier not in tiers:
            yield f"{where}: {shown_text(tier)} is none of the tiers {', '.join(tiers)}"
    for level in dict.fromkeys(path[:-1] for path in settings if len(path) > 1):
        for order in _ORDERS:
            yield from _disorder(settings, in_force, level, order)


def _alone_in_memory(in_force: Settings) -> Iterator[str]:
    workers, store = in_force["workers",], in_force["store",]
    if isinstance(workers.value, int) and workers.value > 1 and store.value in _IN_MEMORY:
        yield (
            f"{workers.where}: {workers.value} workers cannot share {store.value} ({store.where}), which is one "
            "process's own; give sqlite:///path or redis://, or 1 worker"
        )


def _without_replicas(in_force: Settings) -> Iterator[str]:
    wait, store = in_force["wait_replicas",], in_force["store",]
    if isinstance(wait.value, int) and wait.value and isinstance(store.value, str):
        try:
            open_store(store.value, wait_replicas=wait.value).close()
        except StoreRefused as error:
            yield f"{wait.where}: {error}"


def _disorder(settings: Settings, in_force: Settings, level: KeyPath, order: _Order) -> Iterator[str]:
    low, high = (_of_level(in_force, level, key) for key in (order.low, order.high))
    if not isinstance(low.value, float) or not isinstance(high.value, float) or order.holds(low.value, high.value):
        return
    if (*level, order.low) in settings:
        yield f"{low.where}: {low.value} is {order.low_fault} {order.high}, {high.value} ({high.where})"
    elif (*level, order.high) in settings:
        yield f"{high.where}: {high.value} is {order.high_fault} {order.low}, {low.value} ({low.where})"


def _of_level(in_force: Settings, level: KeyPath, key: str) -> Setting:
    """Value of a rule at a level: its own, else its workflow's, else that of all stages."""
    return next(in_force[*layer, key] for layer in (level, level[:2], ("rules",)) if (*layer, key) in in_force)
