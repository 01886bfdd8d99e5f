"""How long modules and functions are."""

from statistics import median

from tests.bench.harness import Outcome, at_most, figure
from tests.support import sizes


def of_code() -> Outcome:
    """Compare lines per module and per function of the package with their limits; docstrings of functions left out."""
    modules, functions = list(sizes.modules().values()), list(sizes.functions().values())
    return Outcome(
        [
            figure("lines of a module, median", [median(modules)], "lines", at_most(250)),
            figure("lines of a module, most", [max(modules)], "lines", at_most(400)),
            figure("lines of a function, median", [median(functions)], "lines", at_most(8)),
            figure("lines of a function, most", [max(functions)], "lines", at_most(40)),
        ]
    )
