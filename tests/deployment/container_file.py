"""config/Containerfile as data: its stages and instructions, and what would be wrong with the image."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "config" / "Containerfile"
IGNORED = ROOT / "config" / "Containerfile.dockerignore"

PINNED = re.compile(r"[\w.-]+\.[a-z]+/[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)?")
BUILD_TOOLS = re.compile(r"\b(python3-pip|python3-venv|pip|setuptools|build-essential|gcc|curl|wget|git)\b")


class Instruction(NamedTuple):
    """One instruction, on one line."""

    name: str
    value: str


class Stage(NamedTuple):
    """What follows a FROM."""

    base: str
    instructions: list[Instruction]

    def values(self, name: str) -> list[str]:
        """Return the values of every instruction of a name, in order."""
        return [instruction.value for instruction in self.instructions if instruction.name == name]

    def last(self, name: str) -> str:
        """Return the value that holds in the end, the empty text where there is none."""
        return ["", *self.values(name)][-1]


def read(text: str) -> list[Stage]:
    """Return the stages."""
    lines = "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        name, value = line.split(maxsplit=1)
        if name == "FROM":
            stages.append(Stage(value.split(" AS ")[0], []))
        else:
            stages[-1].instructions.append(Instruction(name, value))
    return stages


def load() -> list[Stage]:
    """Return the stages of the file as it is shipped."""
    return read(CONTAINERFILE.read_text(encoding="utf-8"))


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    pairs = [pair.partition("=") for value in load()[-1].values("ENV") for pair in value.split()]
    return {name: value for name, _, value in pairs}


def copied(stages: list[Stage]) -> set[str]:
    """Return what is copied from this tree."""
    lines = [value for stage in stages for value in stage.values("COPY") if not value.startswith("--from=")]
    return {source for line in lines for source in line.split()[:-1]}


def words(command: str) -> list[str]:
    """Return a command of exec form, which alone hands signals to the program; none for another form."""
    try:
        parts = json.loads(command[command.index("[") :])
    except ValueError:
        return []
    return [str(part) for part in parts]


def problems(stages: list[Stage]) -> Iterator[str]:
    """Yield what is wrong with the image, one line a fault."""
    last = stages[-1]
    yield from (f"FROM {stage.base}: is not one that stays" for stage in stages if not PINNED.fullmatch(stage.base))
    yield from (f"COPY {source}: is not there" for source in sorted(copied(stages)) if not (ROOT / source).exists())
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", last.last("USER")):
        yield f"USER {last.last('USER')}: is not a number, or is root"
    for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        if not words(last.last(name)):
            yield f"{name}: is not in exec form"
    for value in last.values("RUN"):
        yield from (f"RUN: the image has {tool}" for tool in BUILD_TOOLS.findall(value))
    installs = [value for stage in stages for value in stage.values("RUN") if "requirements" in value]
    if not installs or not all("--require-hashes" in value and "--no-deps" in value for value in installs):
        yield "RUN: what is installed is not what the lock holds"
