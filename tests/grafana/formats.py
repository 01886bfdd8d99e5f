"""Values as Grafana writes them, for the units that the dashboards use."""

from collections.abc import Callable
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86_400
DURATIONS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "min"), (1, "s"), (0.001, "ms"), (0, "µs"))
BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
AGES = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"))


def text(value: float, unit: str, decimals: int | None = None, now: float = 0) -> str:
    """Write a value; ``now`` is what a moment is told against."""
    if unit == "dateTimeFromNow":
        return _age(now - value / 1000)
    return UNITS[unit](value, decimals)


def mapped(value: float, unit: str, defaults: dict[str, Any], now: float) -> tuple[str, str | None]:
    """Text and colour of a value by the mappings of a panel; else the value as it is, and no colour."""
    for mapping in defaults.get("mappings", []):
        found = mapping["options"].get(f"{value:g}")
        if found:
            return found["text"], found["color"]
    return text(value, unit, defaults.get("decimals"), now), None


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:,.0f}".replace(",", " ") if value == round(value) else f"{value:.3g}"


def _percent(value: float, decimals: int | None) -> str:
    return f"{_number(round(value * 100, 9), 1 if decimals is None and value * 100 % 1 else decimals)} %"


def _duration(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0 s"
    size, name = next((size, name) for size, name in DURATIONS if value >= size)
    plural = "s" if name in {"day", "hour"} and value / (size or 1) != 1 else ""
    return f"{_number(round(value / (size or 1e-6), 2), decimals)} {name}{plural}"


def _bytes(value: float, decimals: int | None) -> str:
    power = 0
    while value >= 1024 and power < len(BYTES) - 1:
        value, power = value / 1024, power + 1
    return f"{_number(round(value, 1), decimals)} {BYTES[power]}"


def _age(seconds: float) -> str:
    for size, name in AGES:
        if seconds >= size:
            number = round(seconds / size)
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "a few seconds ago"


UNITS: dict[str, Callable[[float, int | None], str]] = {
    "none": _number,
    "string": _number,
    "short": _number,
    "percentunit": _percent,
    "s": _duration,
    "bytes": _bytes,
    "cps": lambda value, decimals: f"{_number(value, decimals)} c/s",
    "reqps": lambda value, decimals: f"{_number(value, decimals)} req/s",
}
