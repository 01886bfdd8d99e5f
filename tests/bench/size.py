"""How long modules and functions are."""

from statistics import median

from tests.bench.harness import Figure, at_most
from tests.support import sizes


def of_code() -> list[Figure]:
    """Compare lines per module and per function of the package with their limits; docstrings of functions left out."""
    modules, functions = list(sizes.modules().values()), list(sizes.functions().values())
    return [
        at_most("lines of a module, median", median(modules), 250, "lines"),
        at_most("lines of a module, most", max(modules), 400, "lines"),
        at_most("lines of a function, median", median(functions), 8, "lines"),
        at_most("lines of a function, most", max(functions), 40, "lines"),
    ]
