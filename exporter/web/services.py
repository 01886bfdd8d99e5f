"""What every handler works with: configuration, store, view and telemetry, wired once per process."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from exporter import memory
from exporter.clock import now_microseconds
from exporter.config import RESTART_KEYS, Config, restart_needed
from exporter.deflate import deflate, gzip_stream
from exporter.domain import SeriesKey, shown
from exporter.errors import ConfigError, StoreError
from exporter.exposition import Exposition
from exporter.rules import Rules
from exporter.sharing import Shared
from exporter.store.base import Store
from exporter.store.group_commit import GroupCommit
from exporter.telemetry import Telemetry
from exporter.view import View

log = logging.getLogger("exporter")


class Services:
    """One process's parts, and the few operations that touch several of them. Thread-safe."""

    def __init__(
        self,
        config: Config,
        store: Store,
        load: Callable[[], Config],
        clock: Callable[[], int] = now_microseconds,
        shared: Shared | None = None,
    ) -> None:
        """Wire the parts.

        Args:
            config: the configuration in force.
            store: where ratings are kept.
            load: reads the configuration anew.
            clock: gives microseconds.
            shared: what other workers of this exporter know; ``None`` where there are none.

        """
        self.config = config
        self.store = store
        self.appender = GroupCommit(store)
        self.clock = clock
        self.view = View(store, config.all_rules)
        self._shared = shared or Shared()
        self.telemetry = Telemetry(self.view, store, clock(), self._shared)
        self._load = load
        self._exposition = Exposition(self.view)
        self._reload_lock = threading.Lock()
        self._probing = threading.Lock()
        self._used = False
        self._limit_noted: int | None = None
        self._series_shown = 0

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        return self.view.rules

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note how a write to the store goes."""
        was_up = self.telemetry.store_up
        try:
            yield
        except StoreError as error:
            self.telemetry.write_failed()
            self._log_loss(error, was_up=was_up)
            raise
        self.telemetry.write_succeeded()
        self._log_return(was_up=was_up)

    def _log_loss(self, error: StoreError, *, was_up: bool) -> None:
        """Log one line when the store goes; that it never came is the server's to log."""
        if was_up and self._used:
            log.error("the store cannot be used: %s", error)

    def _log_return(self, *, was_up: bool) -> None:
        """Log one line when the store comes back; its first coming is the server's to log."""
        if not was_up and self._used and self.telemetry.store_up:
            log.info("the store can be used again")
        self._used = True

    @property
    def shows_quality(self) -> bool:
        """Whether this exporter shows what ratings mean, and not only takes them."""
        return self.config.role != "ingest"

    def note_refused(self, key: SeriesKey) -> None:
        """Say once in the log that the series limit is reached, and again when another limit is."""
        limit = self.store.series_limit
        if self._limit_noted != limit:
            self._limit_noted = limit
            series = shown("/".join(key))
            log.warning(
                "series_limit %d is reached: a rating that would begin %s was rejected; raise it", limit, series
            )

    def refresh(self) -> None:
        """Bring the view up to date and note how that went; where there is no view, see that ratings can be stored.

        Raises:
            StoreError: the store could not be read; the view is then the last known one.

        """
        if not self.shows_quality:
            with self.writing():
                self.store.ping()
            return
        was_up, started = self.telemetry.store_up, time.perf_counter()
        try:
            self.view.refresh(self.clock())
        except StoreError as error:
            self.telemetry.read_failed()
            self._log_loss(error, was_up=was_up)
            raise
        self.telemetry.read_succeeded(time.perf_counter() - started)
        self._log_return(was_up=was_up)

    def probe(self) -> None:
        """After a write that failed, see whether the store can be written again: no rating may come for long.

        Takes as long as a write may; one caller at a time waits for it.
        """
        if not self.telemetry.write_ok and self._probing.acquire(blocking=False):
            try:
                with suppress(StoreError), self.writing():
                    self.store.ping()
            finally:
                self._probing.release()

    def metrics(self, *, openmetrics: bool, names: frozenset[str] | None, compressed: bool) -> list[bytes]:
        """Render ``/metrics`` from the view as it is, ``compressed`` as gzip, in parts that are not copied together."""
        own = self.telemetry.render(openmetrics=openmetrics, wanted=names)
        if compressed:
            parts = gzip_stream([self._exposition.deflated(names), deflate(own)])
        else:
            parts = [self._exposition.render(names), own]
        self._note_series()
        return parts

    def _note_series(self) -> None:
        """Let the system have the memory of the series that are no longer shown."""
        before, self._series_shown = self._series_shown, self.view.series_count
        if self._series_shown < before:
            memory.give_back()

    def reload_all(self) -> None:
        """Reload, and let the other workers of this exporter do the same.

        Raises:
            ConfigError, StoreError: as ``reload``; the others were then not asked.

        """
        self.reload()
        if self._shared.parent:
            os.kill(self._shared.parent, signal.SIGHUP)

    def reload(self) -> None:
        """Read the configuration anew and swap it whole, or keep the old one.

        Raises:
            ConfigError: the new configuration is not usable.
            StoreError: the store could not be told of a longer retention.

        """
        with self._reload_lock:
            try:
                config = self._load()
                self.store.raise_retention(config.all_rules.longest_window)
            except (ConfigError, StoreError) as error:
                self.telemetry.reloaded(self.clock(), successful=False)
                log.error("configuration not reloaded, the old one stays: %s", error)  # noqa: TRY400 - no traceback: the words say it all
                raise
            for key in restart_needed(self.config, config):
                log.warning("configuration reloaded, but %s changes only with a restart", key)
            # What cannot change while running is shown as it is.
            self.config = msgspec.structs.replace(config, **{key: getattr(self.config, key) for key in RESTART_KEYS})
            self.store.series_limit = config.series_limit
            self.view.set_rules(config.all_rules)
            self.telemetry.reloaded(self.clock(), successful=True)
            log.info("configuration reloaded")
