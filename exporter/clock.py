"""Time and chance: the two things that the rest of the package takes as arguments."""

import time
import uuid


def now_microseconds() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def new_feedback_id() -> str:
    """Make an id that no other rating has."""
    return uuid.uuid4().hex
