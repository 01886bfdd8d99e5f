"""The FeedbackLoop that this project answers to: installed from PyPI into an environment of its own, and measured."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PACKAGE = "attune-ai==16.4.0"
PROGRAM = Path(__file__).with_name("original_program.py")


class NotInstalled(Exception):
    """The original could not be installed or run; the text says what to do."""


class Original:
    """A process that holds the original's loops; in a ``with`` statement they are full inside."""

    def __init__(self, python: Path, sizes: Sequence[int]) -> None:
        """Start nothing yet; ``python`` is of the environment, ``sizes`` are ratings a stage."""
        self._command = [str(python), str(PROGRAM), *map(str, sizes)]

    def __enter__(self) -> Self:
        """Start, and wait until the loops are full.

        Raises:
            NotInstalled: it does not run.

        """
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._read()
        except NotInstalled:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def measure(self) -> dict[int, float]:
        """Seconds of statistics and recommendation once, by ratings a stage."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[int, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NotInstalled(f"{' '.join(self._command)} ended without an answer; delete its environment")
        return {int(size): float(taken) for size, taken in json.loads(line).items()}


def installed(environment: Path) -> Path:
    """Install the original where it is not yet, and return the environment's Python.

    Raises:
        NotInstalled: that fails.

    """
    python, mark = environment / "bin" / "python", environment / PACKAGE
    if not mark.exists():
        for words in (
            ["venv", "--clear", "--python", sys.executable, str(environment)],
            ["pip", "install", "--python", str(python), PACKAGE],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "uv", "--quiet", *words], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise NotInstalled(
                    f"the bench runs {PACKAGE} from PyPI, which cannot be installed: {done.stderr.strip()}; "
                    "see that PyPI can be reached, or leave it out with --without-original"
                )
        mark.touch()
    return python
