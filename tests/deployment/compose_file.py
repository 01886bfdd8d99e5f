"""config/compose.yml as data: what it mounts, and what would be wrong with a stack that people run."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "config" / "compose.yml"

Document = dict[str, Any]

PINNED = re.compile(r"[\w.-]+\.[a-z]+/[\w./-]+:v?\d+\.\d+\.\d+(-\w+)?")
USER = re.compile(r"[1-9]\d*:\d+")
# A variable that must be set, with words for whoever has not.
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
STATEFUL = ("redis", "prometheus", "alertmanager", "grafana")


class Mount(NamedTuple):
    """What a service mounts: a file or directory of this tree, or a named volume."""

    source: str
    target: str
    mode: str

    @property
    def path(self) -> Path | None:
        """Where the source is; ``None`` for a named volume."""
        return (COMPOSE.parent / self.source).resolve() if self.source.startswith(".") else None


def load() -> Document:
    """Return the file as it is shipped."""
    document: Document = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return document


SERVICES: dict[str, Document] = load()["services"]


def mounts(service: Document) -> list[Mount]:
    """Return what a service mounts."""
    return [Mount(*(f"{line}:rw".split(":")[:3])) for line in service.get("volumes", [])]


def in_container(service: Document, target: str) -> Path | None:
    """Return the file of this tree that a service sees at a path of its own; ``None`` if it sees none."""
    for mount in mounts(service):
        if mount.path and Path(target).is_relative_to(mount.target):
            path = mount.path / Path(target).relative_to(mount.target)
            return path if path.exists() else None
    return None


def lay_out(service: Document, directory: Path) -> Path:
    """Copy to ``directory`` what a service sees of this tree, at the same paths, and return it."""
    for mount in sorted(mounts(service), key=lambda mount: mount.target):
        place = directory / mount.target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if mount.path is None:
            place.mkdir()
        elif mount.path.is_dir():
            shutil.copytree(mount.path, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(mount.path, place)
    return directory


def problems(compose: Document) -> list[str]:
    """Return what is wrong with a stack, one line a fault."""
    services = compose["services"]
    found = [line for name, service in services.items() for line in _service(name, service, services)]
    found += [f"{value}: neither fixed nor required" for value in _texts(compose) if _is_unsafe(value)]
    named = {mount.source for service in services.values() for mount in mounts(service) if not mount.path}
    found += [f"volume {name}: not both declared and used" for name in sorted(named ^ compose["volumes"].keys())]
    if not compose["networks"]["store"].get("internal"):
        found.append("network store: reaches the world")
    members = [name for name, service in services.items() if "store" in service.get("networks", [])]
    if members != ["exporter", "redis"]:
        found.append(f"network store: has {members}")
    return found


def _service(name: str, service: Document, services: Document) -> Iterator[str]:
    for key, wanted in {
        "restart": "unless-stopped",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }.items():
        if service.get(key) != wanted:
            yield f"{name}: {key} is {service.get(key)}"
    if "max-size" not in service.get("logging", {}).get("options", {}):
        yield f"{name}: its log has no limit"
    if "build" not in service:
        yield from _foreign(name, service)
    if name in STATEFUL and not any(mount.path is None for mount in mounts(service)):
        yield f"{name}: forgets everything"
    yield from (f"{name}: publishes {port}" for port in service.get("ports", []) if not port.startswith("127.0.0.1:"))
    for mount in mounts(service):
        if mount.path and not (mount.path.exists() and mount.mode == "ro"):
            yield f"{name}: {mount.source} is not there, or can be written"
    for other, how in service.get("depends_on", {}).items():
        if other not in services or how != {"condition": "service_healthy"}:
            yield f"{name}: depends on {other} by {how}"


def _foreign(name: str, service: Document) -> Iterator[str]:
    """What an image that others make must be told; that our own says it, its own test holds."""
    if not PINNED.fullmatch(service.get("image", "")):
        yield f"{name}: image {service.get('image')} is not one that stays"
    if not USER.fullmatch(service.get("user", "")):
        yield f"{name}: user {service.get('user')} may be root"
    if service.get("healthcheck", {}).get("test", [""])[0] != "CMD":
        yield f"{name}: nobody knows whether it works"


def _texts(value: object) -> Iterator[str]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _texts(inner if isinstance(inner, dict | list) else f"{key}={inner}")
        case list():
            for inner in value:
                yield from _texts(inner)
        case _:
            yield str(value)


def _is_unsafe(text: str) -> bool:
    """A variable that has a default or may be empty, or a secret that is written down."""
    rest = REQUIRED.sub("", text)
    return "$" in rest or (rest == text and bool(re.search(r"(?i)(password|secret|token)\w*=|://[^/]*@", text)))


def run(*command: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command, and return its exit code and all that it said."""
    return subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
