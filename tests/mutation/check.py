"""Mutation testing of fold, stats and policy: ``python -m tests.mutation.check``.

In a copy of the package, mutmut changes one thing at a time and runs the tests of these three modules. A
mutant that no test notices must stand in ``survivors.toml`` with a reason; one that stands there must still
survive. What is mutated and how the tests are run is said in ``pyproject.toml``, under ``tool.mutmut``.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")
COPIED = (
    "pyproject.toml",
    "exporter",
    "tests/mutation",
    "tests/support/ratings.py",
    "tests/support/reference.py",
    "tests/test_fold.py",
    "tests/test_policy.py",
    "tests/test_stats.py",
)
# A mutant that ends in an endless loop is noticed, too.
NOTICED = {"killed", "timeout"}

_RESULT = re.compile(r"^ +(?P<mutant>\S+): (?P<status>.+)$", re.MULTILINE)
_FUNCTION = re.compile(r"(?P<module>.+)\.x_(?P<name>.+)__mutmut_\d+")


class Mutant(NamedTuple):
    """What was changed, and where."""

    function: str
    was: str
    becomes: str

    def __str__(self) -> str:
        """Show it as it stands in ``survivors.toml``, without the reason."""
        return "[[survivor]]\n" + "\n".join(f"{field} = '''{text}'''" for field, text in self._asdict().items())


def main() -> int:
    """Run, compare, and report; 0 when the survivors are those that are listed."""
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=folder, check=True)
        found = survivors(Path(folder))
    problems = compare(listed(SURVIVORS.read_text(encoding="utf-8")), found)
    sys.stdout.write("\n\n".join([*problems, f"{len(found)} survivors, {len(problems)} problems\n"]))
    return 1 if problems else 0


def copy(folder: Path) -> None:
    """Copy what mutation testing needs into ``folder``."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


def survivors(folder: Path) -> list[Mutant]:
    """Read from the run in ``folder`` which mutants no test noticed."""
    results = [(match["mutant"], match["status"]) for match in _RESULT.finditer(_mutmut(folder, "results"))]
    return [mutant_of(name, _mutmut(folder, "show", name)) for name, status in results if status not in NOTICED]


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def mutant_of(name: str, shown: str) -> Mutant:
    """Read a mutant from its name and the difference that mutmut shows."""
    parts = _FUNCTION.fullmatch(name)
    function = f"{parts['module']}.{parts['name']}" if parts else name
    lines = [line for line in shown.splitlines() if not line.startswith(("---", "+++"))]
    was, becomes = ("\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Mutant(function, was, becomes)


def listed(text: str) -> dict[Mutant, str]:
    """Read the text of ``survivors.toml``: the reason of each mutant."""
    return {
        Mutant(entry["function"], entry["was"], entry["becomes"]): entry["reason"]
        for entry in tomllib.loads(text).get("survivor", [])
    }


def compare(known: dict[Mutant, str], found: Iterable[Mutant]) -> list[str]:
    """Name what survives without a reason, and what is listed but does not survive."""
    found = set(found)
    return [
        *(f"No test notices this, and no reason is given:\n{mutant}" for mutant in sorted(found - known.keys())),
        *(f"This is listed, but does not survive:\n{mutant}" for mutant in sorted(known.keys() - found)),
        *(f"This is listed without a reason:\n{mutant}" for mutant, reason in known.items() if not reason.strip()),
    ]


if __name__ == "__main__":
    sys.exit(main())
