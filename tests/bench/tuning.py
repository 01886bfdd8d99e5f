"""What the number of threads and of worker processes does to ingest."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from exporter.web.server import BLOCKING_THREADS
from tests.bench.clients import Client, filled, warm_up
from tests.bench.forms import BATCH
from tests.bench.harness import Figure, Outcome, Picture, Say, Scale, alternate, at_least, figure, ratio
from tests.bench.servers import Variant, redis_that_keeps
from tests.support.exporter_process import ExporterProcess


def by_threads(scale: Scale, say: Say) -> Outcome:
    """Post single ratings to exporters that differ in their number of threads, over few and many connections."""
    threads = sorted({*scale.threads, BLOCKING_THREADS})
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        say("Starting an exporter for each number of threads")
        ports = {
            number: stack.enter_context(
                Variant(Path(name) / f"{number}", filled(f"sqlite:///{name}/{number}.db", scale.full), threads=number)
            ).port
            for number in threads
        }
        figures, curves = [], {}
        for connections in scale.connections:
            words = f"{connections} connections"
            clients = {number: Client(port, 1, scale.seconds / 2, {}, connections) for number, port in ports.items()}
            warm_up(clients.values())
            rates = alternate(
                scale.pairs, {f"{number} threads": client for number, client in clients.items()}, say, words
            )
            figures += _of_threads(words, rates, clients)
            curves[words] = [(float(number), median(rates[f"{number} threads"])) for number in threads]
    picture = Picture("threads", "Single ratings taken over HTTP, SQLite", "threads", "ratings a second", curves)
    return Outcome(sorted(figures, key=lambda each: each.unit != "x"), [picture])


def _of_threads(words: str, rates: Mapping[str, list[float]], clients: Mapping[int, Client]) -> list[Figure]:
    default = f"{BLOCKING_THREADS} threads"
    best = max((name for name in rates if name != default), key=lambda name: median(rates[name]), default=default)
    return [
        ratio(f"{words}: {default} / the best of the others", rates[default], rates[best], at_least(0.9)),
        *(figure(f"{words}, {name}: taken over HTTP", rate, "/s") for name, rate in rates.items()),
        *(
            figure(f"{words}, {number} threads: 99 % of answers within", client.slowest, "s")
            for number, client in clients.items()
        ),
    ]


def by_workers(scale: Scale, say: Say) -> Outcome:
    """Post to exporters that differ in their number of workers, over a file and over Redis."""
    figures: list[Figure] = []
    for kind in ("SQLite", "Redis"):
        with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
            say(f"Starting an exporter for each number of workers, {kind}")
            server = stack.enter_context(redis_that_keeps(Path(name) / "redis"))
            exporters = {}
            for place, workers in enumerate(scale.workers):
                url = f"sqlite:///{name}/{workers}.db" if kind == "SQLite" else f"{server.url[:-1]}{place}"
                exporter = ExporterProcess(
                    Path(name) / f"{workers}", filled(url, scale.full), "--workers", f"{workers}"
                )
                exporters[workers] = stack.enter_context(exporter)
            for size, words in ((1, "single ratings"), (BATCH, f"batches of {BATCH}")):
                clients = {
                    f"{workers} workers": Client(exporter.port, size, scale.seconds / 2, {}, scale.connections[-1])
                    for workers, exporter in exporters.items()
                }
                warm_up(clients.values())
                rates = alternate(scale.pairs, clients, say, f"{kind}, {words}")
                figures += _of_workers(f"{kind}, {words}", rates)
    return Outcome(sorted(figures, key=lambda each: each.unit != "x"))


def _of_workers(words: str, rates: Mapping[str, Sequence[float]]) -> list[Figure]:
    one, *others = rates
    return [
        *(ratio(f"{words}: {many} / 1", rates[many], rates[one]) for many in others),
        *(figure(f"{words}, {name}: taken over HTTP", rate, "/s") for name, rate in rates.items()),
    ]
