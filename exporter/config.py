"""YAML file, environment and flags -> one frozen Config, or every problem at once.

Flag beats environment beats file beats default. What is known of a key - its type, range and default - stands
in the types alone; ``settings`` reads by them. The module may not import Flask, and makes no connection.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, inspect

from exporter import yaml_strict
from exporter.checks import SINGLE_CHECKS, contradictions
from exporter.errors import ConfigError
from exporter.rules import Rules, StageRules, WorkflowOverrides
from exporter.settings import KeyPath, Reader, Setting, bare, dotted, unknown
from exporter.store import SERIES_LIMIT
from exporter.yaml_strict import Scalar

PREFIX = "FEEDBACK_EXPORTER_"
FILE_VARIABLE = f"{PREFIX}CONFIG"

# NAME=value of the variables that set no key: the file's name, and what Kubernetes puts into every container
# beside a service named feedback-exporter.
_NO_KEY = re.compile(rf"{PREFIX}(CONFIG=|SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_\w+=)")
# What cannot change while the exporter runs.
RESTART_KEYS = ("listen", "store", "wait_replicas", "workers", "role")

Listen = Annotated[str, Meta(description="address of the one listener, as HOST:PORT or [IPV6]:PORT")]
StoreUrl = Annotated[
    str,
    Meta(
        description="where ratings are kept: sqlite:///path, sqlite:// (memory), redis://, rediss://, unix://, "
        "redis+sentinel:// or redis+cluster://"
    ),
]
WaitReplicas = Annotated[
    int, Meta(ge=0, le=16, description="replicas of Redis that must have a rating before it is acknowledged")
]
Workers = Annotated[
    int, Meta(ge=1, le=64, description="processes that answer behind the one port; more than 1 needs a shared store")
]
Role = Annotated[
    Literal["all", "ingest", "export"],
    Meta(description="what is served: all, only the taking of ratings, or all but that"),
]
AccessLog = Annotated[bool, Meta(description="log one line for every HTTP request")]
SeriesLimit = Annotated[
    int, Meta(ge=1, le=1_000_000, description="most live series; a rating that would begin one more is rejected")
]
Tiers = Annotated[tuple[str, ...], Meta(min_length=2, max_length=16, description="model tiers, cheapest first")]
DefaultRules = Annotated[StageRules, Meta(description="rules of every stage that sets none of its own")]
Workflows = Annotated[
    dict[str, WorkflowOverrides],
    Meta(description="rules of single workflows, by name: any key of rules, and stages: rules of single stages"),
]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be configured, with its default."""

    listen: Listen = "127.0.0.1:10470"
    store: StoreUrl = "sqlite:///llm-feedback.db"
    wait_replicas: WaitReplicas = 0
    workers: Workers = 1
    role: Role = "all"
    access_log: AccessLog = False
    series_limit: SeriesLimit = SERIES_LIMIT
    tiers: Tiers = Rules().tiers
    rules: DefaultRules = StageRules()
    workflows: Workflows = {}

    @property
    def address(self) -> tuple[str, int]:
        """Host, without brackets, and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def all_rules(self) -> Rules:
        """The rules of every stage."""
        return Rules(tiers=self.tiers, defaults=self.rules, workflows=self.workflows)


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Read the configuration.

    Args:
        path: the YAML file; ``None``: the one that ``FEEDBACK_EXPORTER_CONFIG`` names, if any.
        environ: the environment. A variable set to the empty text counts as not set.
        flags: what the command line says, by top-level key; ``None`` where a flag was not given.

    Raises:
        ConfigError: with every problem of all three, one line each.

    """
    named = environ.get(FILE_VARIABLE)
    file = path or (Path(named) if named else None)
    sources = [_from_file(file), _from_environment(environ), _from_flags(flags)]
    problems = [problem for source in sources for problem in source.problems]
    settings = {key: setting for source in sources for key, setting in source.settings.items()}
    problems += contradictions(
        settings, {path: Setting(field.default, "the default") for path, field in leaves().items()}
    )
    if problems:
        raise ConfigError(problems)
    return msgspec.convert(_nested(settings), Config)


def restart_needed(old: Config, new: Config) -> list[str]:
    """Return the keys that differ and that only a restart changes."""
    return [key for key in RESTART_KEYS if getattr(old, key) != getattr(new, key)]


def variables() -> dict[str, KeyPath]:
    """Every environment variable that sets a key, and the key; workflows are set in the file alone."""
    return {f"{PREFIX}{path[-1].upper()}": path for path in leaves()}


@cache
def leaves() -> dict[KeyPath, inspect.Field]:
    """Every key that holds one value, outside the workflows, with its type and default."""
    return dict(_fields(inspect.type_info(Config), ()))


def _fields(kind: inspect.Type, above: KeyPath) -> Iterator[tuple[KeyPath, inspect.Field]]:
    for field in kind.fields if isinstance(kind, inspect.StructType) else ():
        path, inner = (*above, field.encode_name), bare(field.type)
        if isinstance(inner, inspect.StructType):
            yield from _fields(inner, path)
        elif not isinstance(inner, inspect.DictType):
            yield path, field


def _from_file(path: Path | None) -> Reader:
    reader = Reader(lambda key: f"{path}: {dotted(key)}" if key else str(path), SINGLE_CHECKS)
    try:
        if path is not None:
            reader.read(inspect.type_info(Config), yaml_strict.parse(_content(path), str(path)))
    except ConfigError as error:
        reader.problems += error.problems
    return reader


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        advice = f"; name another file with --config or {FILE_VARIABLE}"
        raise ConfigError([f"{path}: cannot be read: {error.strerror}{advice}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}: line {line}: not UTF-8; save the file in that encoding"]) from None


def _from_environment(environ: Mapping[str, str]) -> Reader:
    known = variables()
    names = {path: variable for variable, path in known.items()}
    every = [FILE_VARIABLE, *known]
    reader = Reader(names.__getitem__, SINGLE_CHECKS)
    for variable in sorted(environ):
        value = environ[variable]
        if variable in known:
            if value:
                _read_text(reader, known[variable], value)
        elif variable.startswith(PREFIX) and not _NO_KEY.match(f"{variable}={value}"):
            words = unknown("variable", variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in every])
            reader.problems.append(f"{variable}: {words}, each after {PREFIX}")
    return reader


def _from_flags(flags: Mapping[str, object]) -> Reader:
    reader = Reader(lambda key: f"--{key[0].replace('_', '-')}", SINGLE_CHECKS)
    for flag, value in flags.items():
        if value is not None:
            _read_text(reader, (flag,), str(value))
    return reader


def _read_text(reader: Reader, path: KeyPath, text: str) -> None:
    """Read a value that came as a text: no quotes say what it is, and commas divide a list."""
    kind = leaves()[path].type
    if isinstance(bare(kind), inspect.VarTupleType):
        reader.read(kind, yaml_strict.Sequence([Scalar(part.strip()) for part in text.split(",")]), path)
    else:
        reader.read(kind, Scalar(text, quoted=False), path)


def _nested(settings: Mapping[KeyPath, Setting]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, setting in settings.items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = setting.value
    return tree
