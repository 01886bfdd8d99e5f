"""What the exporter says of itself: ingest, store, refresh, requests, reload, process; and the document's end.

Each ``Telemetry`` has a registry of its own. Series, series limit and the view's time are not kept here but
read from the view and the store at each rendering, so they cannot disagree with them.
"""

import platform
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, PlatformCollector

from exporter import names, text
from exporter.domain import MILLION
from exporter.sharing import Shared
from exporter.store.base import Store
from exporter.version import VERSION
from exporter.view import View

# Upper edges of the duration histograms, in seconds: from an idle request to one that gives up.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Telemetry:
    """Counts and times what this process does. Thread-safe; durations in seconds, moments in microseconds."""

    def __init__(self, view: View, store: Store, now: int, shared: Shared | None = None) -> None:
        """Begin at ``now``, when the configuration was loaded: all counters 0, the store taken to be up.

        ``shared`` is what other workers of this exporter know; ``None`` where there are none.
        """
        self._registry = CollectorRegistry()
        self._shared = shared or Shared()
        self._gauge(names.BUILD_INFO).labels(VERSION, platform.python_version()).set(1)
        self._gauge(names.STORE_UP).set_function(lambda: self.store_up)
        self._gauge(names.EXPORTER_SERIES).set_function(lambda: view.series_count)
        self._gauge(names.SERIES_LIMIT).set_function(lambda: store.series_limit)
        self._gauge(names.VIEW_TIMESTAMP).set_function(lambda: (view.updated_at or 0) / MILLION)
        self._gauge(names.RELOAD_SUCCESSFUL).set_function(lambda: self._shared.reload_ok.value)
        self._gauge(names.RELOAD_SUCCESS_TIMESTAMP).set_function(lambda: self._shared.reloaded_at.value)
        PlatformCollector(registry=self._registry)
        # Gauges are this worker's, made before this; what follows is the sum of all workers.
        self._counted = self._shared.collect_in(self._registry)
        self._accepted = self._counter(names.RATINGS_ACCEPTED)
        self._duplicates = self._counter(names.RATINGS_DUPLICATE)
        self._rejected = self._counter(names.RATINGS_REJECTED)
        for reason in names.REJECT_REASONS:
            self._rejected.labels(reason)
        self._refreshes = self._histogram(names.REFRESH_DURATION)
        self._requests = self._histogram(names.HTTP_REQUEST_DURATION)
        if not self._shared.reloaded_at.value:
            self.reloaded(now, successful=True)

    def _counter(self, metric: names.Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self._counted)

    def _gauge(self, metric: names.Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self._registry)

    def _histogram(self, metric: names.Metric) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, registry=self._counted, buckets=DURATIONS)

    def rated(self, accepted: int, duplicates: int, rejected: Mapping[str, int]) -> None:
        """Count the verdicts on a batch; ``rejected`` counts by member of ``names.REJECT_REASONS``."""
        self._accepted.inc(accepted)
        self._duplicates.inc(duplicates)
        for reason, count in rejected.items():
            self._rejected.labels(reason).inc(count)

    @property
    def store_up(self) -> bool:
        """Whether the last read and the last write succeeded."""
        return bool(self._shared.read_ok.value and self._shared.write_ok.value)

    @property
    def write_ok(self) -> bool:
        """Whether the last write succeeded; while not, somebody should try the store again."""
        return bool(self._shared.write_ok.value)

    def write_succeeded(self) -> None:
        """Note that the store took the last write."""
        self._shared.write_ok.value = True

    def write_failed(self) -> None:
        """Note that the last write failed by the store's fault."""
        self._shared.write_ok.value = False

    def read_succeeded(self, seconds: float) -> None:
        """Note that the view was brought up to date, and how long that took."""
        self._shared.read_ok.value = True
        self._refreshes.observe(seconds)

    def read_failed(self) -> None:
        """Note that the last read failed by the store's fault."""
        self._shared.read_ok.value = False

    def answered(self, handler: str, code: int, seconds: float) -> None:
        """Note a request; ``handler`` is its route, never its raw path."""
        self._requests.labels(handler, code).observe(seconds)

    def reloaded(self, now: int, *, successful: bool) -> None:
        """Note a reload of the configuration."""
        self._shared.reload_ok.value = successful
        if successful:
            self._shared.reloaded_at.value = now / MILLION

    def render(self, *, openmetrics: bool, wanted: frozenset[str] | None = None) -> bytes:
        """Render these families as the last part of a document; OpenMetrics thus ends with ``# EOF``.

        ``wanted`` chooses families as in ``Exposition.render``.
        """
        lines = [text.family(family, openmetrics=openmetrics) for family in self._families(wanted)]
        return "".join([*lines, "# EOF\n" if openmetrics else ""]).encode()

    def _families(self, wanted: frozenset[str] | None) -> Iterator[Metric]:
        """Wanted families without ``_created``.

        That sample doubles the counters for no query of ours, and prometheus-client can leave it out only for
        the whole process.
        """
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if sample.name != f"{family.name}_created"]
            if wanted is None or family.name in wanted or any(sample.name in wanted for sample in family.samples):
                yield family
