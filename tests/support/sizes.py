"""Lines per module and per function of the package; ``python -m tests.support.sizes`` prints them."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[2] / "exporter"


def modules() -> dict[str, int]:
    """Lines of each module, by its path below the package."""
    return {str(path.relative_to(PACKAGE)): _lines(path) for path in sorted(PACKAGE.rglob("*.py"))}


def functions() -> dict[str, int]:
    """Lines of each function and method from its ``def`` to its end, docstring left out, by ``path:line name``."""
    return {
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}": _length(node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in _functions(path)
    }


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return length
    docstring = node.body[0]
    return length - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def _summary(what: str, sizes: dict[str, int]) -> str:
    longest = max(sizes, key=lambda name: sizes[name])
    return f"{len(sizes)} {what}: median {median(sizes.values()):g} lines, most {sizes[longest]} ({longest})\n"


if __name__ == "__main__":
    sys.stdout.write(_summary("modules", modules()) + _summary("functions", functions()))
