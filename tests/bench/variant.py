"""``serve`` with something changed that no setting changes: ``python -m ... THREADS GROUPED serve ...``."""

import sys

from exporter import cli
from exporter.store.base import Store
from exporter.web import server, services


def ungrouped(store: Store) -> Store:
    """Put nothing between requests and store: each is a transaction of its own."""
    return store


if __name__ == "__main__":
    threads, grouped, *sys.argv[1:] = sys.argv[1:]
    server.BLOCKING_THREADS = int(threads)
    if grouped != "grouped":
        vars(services)["GroupCommit"] = ungrouped
    cli.main()
