"""What every command shares: its store and rules, how it answers, and how it fails.

What goes wrong ends in words on standard error, one ``Error:`` line a fault, without a traceback: exit
code 1 when the store or the machine is at fault, 2 when what was given is.
"""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import RenderableType

from exporter import tables
from exporter.clock import now_microseconds
from exporter.config import load
from exporter.domain import shown
from exporter.errors import ConfigError, ExporterError, InvalidFeedback
from exporter.loop import FeedbackLoop
from exporter.rules import Rules
from exporter.store import open_store
from exporter.store.base import Store
from exporter.view import View

NO_RATINGS = "No ratings in the window."


class Failure(click.ClickException):
    """Ends the program with one ``Error:`` line a fault."""

    exit_code = 1

    def show(self, file: Any = None) -> None:  # noqa: ANN401, ARG002 - the base class's signature
        """Print the faults on standard error."""
        for line in self.message.splitlines():
            click.echo(f"Error: {line}", err=True)


class Misuse(Failure):
    """What was given is at fault."""

    exit_code = 2


class Commands(click.Group):
    """The group of all commands: the one place where our errors become words and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - the base class's signature
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (InvalidFeedback, ConfigError) as error:
            raise Misuse(str(error)) from None
        except ExporterError as error:
            raise Failure(str(error)) from None


class Session(NamedTuple):
    """What a command works with: the store, the rules, the time (microseconds), and how to answer."""

    store: Store
    rules: Rules
    now: int
    as_json: bool

    @property
    def loop(self) -> FeedbackLoop:
        """The store as applications use it."""
        return FeedbackLoop(self.store, self.rules, strict=True, clock=lambda: self.now)

    @property
    def view(self) -> View:
        """All that the store holds."""
        view = View(self.store, self.rules)
        view.refresh(self.now)
        return view

    def answer(self, value: object, text: RenderableType) -> None:
        """Show ``value`` to machines, as JSON, or ``text`` to people."""
        if self.as_json:
            tables.show_json(value)
        else:
            tables.show(text)


config_option = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Configuration. [env: FEEDBACK_EXPORTER_CONFIG]"
)
store_option = click.option(
    "--store", metavar="URL", help="sqlite:///path, redis://host, ... [env: FEEDBACK_EXPORTER_STORE]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def on_store(*, creates: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a ``Session``; unless it ``creates`` the store, a missing file is an error, not an empty one."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @config_option
        @store_option
        @json_option
        @wraps(command)
        def run(config: Path | None, store: str | None, *, as_json: bool, **arguments: object) -> None:
            settings = load(config, os.environ, {"store": store})
            _check_file(settings.store, creates=creates)
            rules = settings.all_rules
            opened = open_store(
                settings.store,
                retention=rules.longest_window,
                series_limit=settings.series_limit,
                wait_replicas=settings.wait_replicas,
            )
            try:
                command(Session(opened, rules, now_microseconds(), as_json), **arguments)
            finally:
                opened.close()

        return run

    return decorate


def _check_file(url: str, *, creates: bool) -> None:
    """Refuse a store that no other process sees, and, for what only reads, a file that is not there."""
    if url in {"sqlite://", "sqlite:///:memory:"}:
        raise Misuse(f"{url} lives in the memory of one process; name a store that outlives it with --store")
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and not creates and not Path(path).exists():
        raise Failure(
            f"there is no store {shown(path)} yet: record a rating, start serve, or name another with --store"
        )
