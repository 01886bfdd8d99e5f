"""Ratings taken over HTTP into a SQLite file: against bare loops that write the same rows, and an empty Flask route."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import streams
from tests.bench.bare_sqlite import BareSQLite
from tests.bench.clients import Client, filled, warm_up
from tests.bench.forms import BATCH, SERIES
from tests.bench.harness import Figure, Outcome, Say, Scale, alternate, at_least, figure, ratio
from tests.bench.servers import EmptyRoute, Variant, resident

SINGLE = "single ratings"
BATCHES = f"batches of {BATCH}"
# A commit takes so much less than a batch that more of them make one measurement.
COMMITS_A_BATCH = 10

Rates = dict[str, list[float]]


def over_sqlite(scale: Scale, say: Say) -> Outcome:
    """Post to ``serve``, with and without group commit, and to the empty route; and write the same rows."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        loops = {size: stack.enter_context(_bare_loop(directory, size, scale, say)) for size in (1, BATCH)}
        say("Starting servers")
        grouped, ungrouped, empty = _servers(directory, scale.full, stack)
        clients = {
            "single": Client(grouped.port, 1, scale.seconds, {"the exporter": grouped}),
            "batch": Client(grouped.port, BATCH, scale.seconds, {"the exporter": grouped}),
            "ungrouped": Client(ungrouped.port, 1, scale.seconds, {}),
            "empty": Client(empty.port, 1, scale.seconds, {"the empty route": empty}),
        }
        warm_up(clients.values())
        before = resident(grouped.worker)
        rates = alternate(
            scale.pairs, {**clients, "bare single": loops[1], "bare batch": loops[BATCH]}, say, "Ingest, SQLite"
        )
        gained = resident(grouped.worker) - before
    per_rating = gained / (clients["single"].posted + clients["batch"].posted)
    memory = figure("memory that the exporter gained a rating", [per_rating], "B")
    return Outcome([*_ratios(rates), *_costs(rates, clients), memory])


def _servers(directory: Path, full: int, stack: ExitStack) -> tuple[Variant, Variant, EmptyRoute]:
    with_groups, without = (
        stack.enter_context(
            Variant(directory / name, filled(f"sqlite:///{directory}/{name}.db", full), grouped=grouped)
        )
        for name, grouped in (("grouped", True), ("ungrouped", False))
    )
    return with_groups, without, stack.enter_context(EmptyRoute(directory / "empty"))


@contextmanager
def _bare_loop(directory: Path, size: int, scale: Scale, say: Say) -> Iterator[Callable[[], float]]:
    """Give what writes some more batches of ``size`` and returns the ratings a second."""
    say(f"Preparing rows, {size} a batch")
    own = directory / f"bare-{size}"
    own.mkdir()
    loop = BareSQLite(own, SERIES, scale.full)
    number = scale.batches if size > 1 else scale.batches * COMMITS_A_BATCH
    loop.prepare(streams.batches(list(streams.keys(SERIES)), size, number * scale.pairs, streams.NOW), streams.NOW)
    with loop.opened() as db:
        yield lambda: number * size / loop.write(db, number)
    loop.check_equal()


def _ratios(rates: Rates) -> list[Figure]:
    single, batch = rates["single"], rates["batch"]
    return [
        ratio(f"{BATCHES}: over HTTP / bare loop, same rows", batch, rates["bare batch"], at_least(0.5)),
        ratio(f"{SINGLE}: over HTTP / empty Flask route", single, rates["empty"], at_least(0.3)),
        ratio(f"{SINGLE}: group commit / one commit a request", single, rates["ungrouped"], at_least(1.3)),
        ratio(f"{SINGLE}: over HTTP / bare loop, one commit a rating", single, rates["bare single"]),
    ]


def _costs(rates: Rates, clients: dict[str, Client]) -> list[Figure]:
    return [
        *clients["single"].figures(SINGLE, rates["single"]),
        *clients["batch"].figures(BATCHES, rates["batch"]),
        figure(f"{SINGLE}: bare loop, a rating", [1 / rate for rate in rates["bare single"]], "s"),
        figure(f"{BATCHES}: bare loop, a rating", [1 / rate for rate in rates["bare batch"]], "s"),
        *clients["empty"].figures("empty Flask route", rates["empty"]),
    ]
