"""``serve``: the application in worker processes of Granian, from start to signal.

The parent supervises: it replaces a worker that died, and passes SIGHUP on; workers reload in place. A worker whose
parent is gone ends at once, so that a killed exporter leaves nothing that listens.
"""

import errno
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.util import Finalize

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from exporter import memory
from exporter.config import Config
from exporter.errors import ConfigError, ExporterError, StoreRefused, StoreUnavailable
from exporter.sharing import Shared, shared
from exporter.store import open_store, without_password
from exporter.store.base import Store
from exporter.web.app import create_app
from exporter.web.services import Services

log = logging.getLogger("exporter")

# A client that never ends its body holds one thread; the others go on answering.
BLOCKING_THREADS = 256
POLL_SECONDS = 0.5
BIND_SECONDS = 3
# After SIGTERM, requests under way have this long; a client that never ends its request does not hold up the end.
STOP_SECONDS = 5


def serve(load: Callable[[], Config]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: the configuration is not usable.
        StoreRefused: the store will go on refusing.
        ExporterError: the address cannot be listened on.

    """
    config = load()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    host, port = config.address
    _check_address(host, port)
    _check_store(config)
    parent = _Parent(load, config)
    _at_hangup(parent.pass_hangup_on)
    log.info("listening on http://%s, ratings are kept in %s", config.listen, without_password(config.store))
    server = Granian(
        "exporter",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=config.workers,
        # The death of the only one ends the whole, so that a supervisor sees it.
        respawn_failed_workers=config.workers > 1,
        blocking_threads=BLOCKING_THREADS,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,
        websockets=False,
    )
    with shared(config.workers) as common:
        server.serve(target_loader=partial(_load_worker, parent, common), wrap_loader=False)


class _Parent:
    """What the parent knows, and a worker inherits when it is forked."""

    def __init__(self, load: Callable[[], Config], config: Config) -> None:
        """Keep how to load the configuration, and the last one that could be loaded."""
        self.load = load
        self.config = config

    def pass_hangup_on(self) -> None:
        """Let the workers reload in place; they are not replaced. One that is forked later begins with the same."""
        with suppress(ConfigError):
            self.config = self.load()
        for child in multiprocessing.active_children():
            if child.pid:
                os.kill(child.pid, signal.SIGHUP)


def _check_address(host: str, port: int) -> None:
    """Refuse an address where somebody listens: Granian's own sockets would silently share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    give_up = time.monotonic() + BIND_SECONDS
    while True:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > give_up:
                    raise ExporterError(f"cannot listen on {host}:{port}: {error.strerror}") from None
            else:
                return
        time.sleep(POLL_SECONDS)


def _check_store(config: Config) -> None:
    """Prepare the store; one that is away is waited for, one that refuses ends the start."""
    store = _open(config)
    try:
        store.raise_retention(config.all_rules.longest_window)
        _warn(store)
    except StoreUnavailable as error:
        log.warning("waiting for the store: %s", error)
    finally:
        store.close()


def _warn(store: Store) -> None:
    warning = store.warning()
    if warning:
        log.warning("%s", warning)


def _open(config: Config) -> Store:
    return open_store(
        config.store,
        retention=config.all_rules.longest_window,
        series_limit=config.series_limit,
        wait_replicas=config.wait_replicas,
    )


def _load_worker(parent: _Parent, common: Shared) -> Flask:
    """Make the application inside a worker process."""
    memory.collect_rarely()
    store = _open(parent.config)
    # A worker runs no atexit; closed, a SQLite store is one file again, which can be copied.
    Finalize(None, store.close, exitpriority=1)
    services = Services(parent.config, store, parent.load, shared=common)
    _at_hangup(_reload, services)
    _in_background(_end_with_parent)
    _in_background(_await_store, services)
    return create_app(services)


def _in_background(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def _at_hangup(action: Callable[..., None], *arguments: object) -> None:
    """Call ``action`` at every SIGHUP, in a thread of its own.

    The signal is blocked in all other threads and, since they inherit that, in the worker while it starts: one
    that comes meanwhile waits, and ends nothing.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    _in_background(_await_hangups, action, *arguments)


def _await_hangups(action: Callable[..., None], *arguments: object) -> None:
    while True:
        signal.sigwait({signal.SIGHUP})
        action(*arguments)


def _reload(services: Services) -> None:
    # Services.reload has logged what is wrong, and the old configuration stays.
    with suppress(ExporterError):
        services.reload()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _await_store(services: Services) -> None:
    """Raise the store's retention as soon as it can be reached; end the process if it refuses."""
    waited = False
    while True:
        try:
            services.store.raise_retention(services.rules.longest_window)
        except StoreUnavailable:
            waited = True
            time.sleep(POLL_SECONDS)
        except StoreRefused as error:
            log.critical("%s", error)
            os._exit(1)
        else:
            break
    if waited:
        log.info("the store is reached")
        _warn(services.store)
