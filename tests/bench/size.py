"""How long modules and functions are."""

from statistics import median

from tests.bench.harness import Figure, lines
from tests.support import sizes


def of_code() -> list[Figure]:
    """Compare lines per module and per function of the package with their limits; docstrings of functions left out."""
    modules, functions = list(sizes.modules().values()), list(sizes.functions().values())
    return [
        lines("module, median", median(modules), 250),
        lines("module, most", max(modules), 400),
        lines("function, median", median(functions), 8),
        lines("function, most", max(functions), 40),
    ]
