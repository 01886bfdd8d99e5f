"""What the picture of a store takes of memory, in a process that holds nothing else: ``python -m ... URL NOW``.

One line of JSON: bytes resident, and blocks of memory in use, before anything is read, with the view, with the text as
gzip and plain, and after a window has passed without a rating.
"""

import json
import os
import sys
from contextlib import closing

from exporter.domain import MILLION
from exporter.exposition import Exposition
from exporter.memory import collect_rarely, give_back
from exporter.rules import WEEK, Rules
from exporter.store import open_store
from exporter.view import View
from tests.bench.servers import resident


def main(url: str, now: int) -> dict[str, tuple[int, int]]:
    """Read, render, let the window pass, and return what is held after each step."""
    collect_rarely()  # as ``serve`` does
    held = {}

    def note(what: str) -> None:
        held[what] = resident(os.getpid()), sys.getallocatedblocks()

    with closing(open_store(url)) as store:
        view = View(store, Rules())
        exposition = Exposition(view)
        exposition.deflated()
        note("before")
        view.refresh(now)
        note("view")
        exposition.deflated()
        note("gzip")
        exposition.render()
        note("plain")
        view.refresh(now + 2 * WEEK * MILLION)
        exposition.deflated()
        exposition.render()
        give_back()
        note("after a window")
    return held


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
