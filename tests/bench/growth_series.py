"""What storing ratings costs as the number of series in the store grows, of which the ratings touch a few."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from exporter.store import open_store
from exporter.store.base import Store
from tests.bench import streams
from tests.bench.growth import slope
from tests.bench.harness import Outcome, Picture, Say, Scale, alternate, below, figure

# What a group of single ratings holds that come at once.
TOUCHED = 8
GROUPS = 50


def with_series(scale: Scale, say: Say) -> Outcome:
    """Append small groups to SQLite files that differ in their number of series; processor time alone counts."""
    sizes = (scale.series // 100, scale.series // 10, scale.series)
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        say("Filling files with few and many series")
        stores = {
            size: stack.enter_context(
                closing(open_store(streams.populate(Path(name) / f"{size}.db", size, scale.ratings)))
            )
            for size in sizes
        }
        moments = iter(range(streams.NOW, streams.NOW + len(stores) * scale.pairs))
        actions = {f"{size}": partial(_cost, store, moments) for size, store in stores.items()}
        costs = alternate(scale.pairs, actions, say, "Ingest by number of series")
    runs = [{int(size): each[run] for size, each in costs.items()} for run in range(scale.pairs)]
    curve = [(float(size), median(each)) for size, each in costs.items()]
    picture = Picture(
        "series", "Storing 8 ratings in SQLite", "series in the store", "seconds", {"processor time": curve}
    )
    return Outcome(
        [
            figure(
                f"slope: processor time of {TOUCHED} ratings, SQLite", [slope(run) for run in runs], "", below(0.05)
            ),
            *(
                figure(f"{int(size):,} series: {TOUCHED} ratings, processor time", each, "s")
                for size, each in costs.items()
            ),
        ],
        [picture],
    )


def _cost(store: Store, moments: Iterator[int]) -> float:
    batches = streams.batches(list(streams.keys(TOUCHED)), TOUCHED, GROUPS, next(moments))
    began = time.thread_time()
    for batch in batches:
        store.append(batch, batch[0].arrival)
    return (time.thread_time() - began) / GROUPS
