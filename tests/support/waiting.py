"""Waiting for what another process does: polling with a limit, never sleeping on luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.02


def eventually(check: Callable[[], T], what: str, limit: float = 20) -> T:
    """Return the first true value of ``check``, asked again and again for ``limit`` seconds.

    Raises:
        AssertionError: there was none; the text says ``what`` was waited for, and what was seen last.

    """
    give_up = time.monotonic() + limit
    while not (seen := check()):
        if time.monotonic() > give_up:
            raise AssertionError(f"{what}: not within {limit} s, last seen {seen!r}")
        time.sleep(PAUSE_SECONDS)
    return seen
