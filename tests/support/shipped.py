"""The files that this project ships, with no more changed than a test has to."""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shipped(path: str, changes: Mapping[str, str]) -> str:
    """Text of the file at ``path`` below the root, with each key of ``changes``, found exactly once, replaced.

    Raises:
        AssertionError: one of them is not there, or more than once: the file is not what the test takes it for.

    """
    text = (ROOT / path).read_text(encoding="utf-8")
    for old, new in changes.items():
        if text.count(old) != 1:
            raise AssertionError(f"{path} has {old!r} {text.count(old)} times, once is expected")
        text = text.replace(old, new)
    return text
