"""Lines of Prometheus text 0.0.4 and OpenMetrics 1.0: what both write alike, and families of prometheus-client.

What ``generate_latest`` writes, for less: a series is put into words once.
"""

from functools import lru_cache

from prometheus_client import Metric
from prometheus_client.utils import floatToGoString

# Stand for something else in the text of ``exposition``; no name contains them.
CUT, LABELS = "\0", "\1"

_ESCAPES = str.maketrans(
    {"\\": r"\\", '"': r"\"", "\n": r"\n"} | dict.fromkeys((CUT, LABELS), "\N{REPLACEMENT CHARACTER}")
)


def escape(value: str) -> str:
    """Escape a label value. Names hold no control character, but the text does not rest on that."""
    return value.translate(_ESCAPES)


def header(name: str, kind: str, meaning: str) -> str:
    """Write the two lines that begin a family; ``meaning`` has neither backslash nor line break."""
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n"


def family(collected: Metric, *, openmetrics: bool) -> str:
    """Write a counter, gauge or histogram as prometheus-client collects it."""
    suffix = "_total" if collected.type == "counter" and not openmetrics else ""
    lines = [
        f"{_series(sample.name, tuple(sample.labels.items()))} {floatToGoString(sample.value)}\n"  # type: ignore[no-untyped-call]  # prometheus-client has no types here
        for sample in collected.samples
    ]
    return header(collected.name + suffix, collected.type, collected.documentation) + "".join(lines)


@lru_cache(maxsize=10_000)  # a few hundred are in use
def _series(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return name
    pairs = [f'{label}="{escape(value)}"' for label, value in sorted(labels)]
    return f"{name}{{{','.join(pairs)}}}"
