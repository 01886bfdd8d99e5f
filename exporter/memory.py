"""How a process that shows many series deals with its memory."""

import ctypes
import gc


def collect_rarely() -> None:
    """Look for garbage in cycles less often: the view is large and has none, and each look walks through it.

    Without this, a tenth of the time of a scrape after which everything changed goes there.
    """
    gc.set_threshold(100_000, 50, 100)


def give_back() -> None:
    """Give free memory back to the system, after much was freed: takes milliseconds.

    The C library keeps what was freed between pieces in use, and the records of series lie between everything. Where
    it is not glibc there is no such call, and nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
