"""What Grafana makes of a query before Prometheus sees it: variables, intervals, steps and times.

As its Prometheus data source does it (packages/grafana-prometheus and pkg/promlib of Grafana 13, and the formats of
its scenes library), for what these dashboards use; anything else is an error here, so that nobody trusts it unseen.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

Value = str | list[str]
Format = Callable[[str, Value], str]

ALL = "$__all"
# $name, [[name]] and ${name:format}, as a user writes them; ${__data.fields.name} has a path.
REFERENCE = re.compile(
    r"\$(?P<plain>\w+)|\[\[(?P<old>\w+)\]\]|\$\{(?P<name>\w+)(?:\.(?P<path>[^:}]+))?(?::(?P<format>[^}]+))?\}"
)
SCRAPE_SECONDS = 15
# Intervals are rounded: up to the first number, in seconds, the second is taken.
ROUNDED = (
    (1.5, 1),
    (3.5, 2),
    (7.5, 5),
    (12.5, 10),
    (17.5, 15),
    (25, 20),
    (45, 30),
    (90, 60),
    (210, 120),
    (450, 300),
    (750, 600),
    (1050, 900),
    (1500, 1200),
    (2700, 1800),
    (5400, 3600),
    (9000, 7200),
    (16_200, 10_800),
    (32_400, 21_600),
    (86_400, 43_200),
    (604_800, 86_400),
    (1_814_400, 604_800),
    (3_628_800, 2_592_000),
)
YEAR = 31_536_000
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Variable(NamedTuple):
    """A variable of a dashboard with what is chosen: a text, or a list where several may be; ``ALL`` is all."""

    multi: bool
    include_all: bool
    all_value: str | None
    options: list[str]
    chosen: Value

    @property
    def value(self) -> Value:
        """What a format is given: all values for ``ALL``."""
        return self.options if self.is_all else self.chosen

    @property
    def is_all(self) -> bool:
        """Whether all are chosen, rather than each."""
        return self.chosen in (ALL, [ALL])


Variables = Mapping[str, Variable]


def query(text: str, variables: Variables, *, quotes: bool) -> str:
    """Put variables into PromQL; ``quotes`` is Grafana's toggle prometheusSpecialCharsInLabelValues, off by default.

    Left are numbers, for the groups of PromQL, and what begins with two underscores: ``intervals`` puts that in.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match["plain"] or match["old"] or match["name"]
        if name.startswith("__") or name.isdigit():
            return match[0]
        variable = variables[name]
        if variable.is_all and variable.all_value is not None:
            return variable.all_value
        if match["format"]:
            return FORMATS[match["format"]](name, variable.value)
        return _for_prometheus(variable, quotes=quotes)

    return REFERENCE.sub(replaced, text)


def link(url: str, variables: Variables, row: Mapping[str, Any], time_range: str) -> str:
    """Put variables and the fields of a row into the address that a cell leads to."""

    def replaced(match: re.Match[str]) -> str:
        name, form = match["plain"] or match["name"], match["format"]
        if name == "__url_time_range":
            return time_range
        if name == "__data":
            field = match["path"].removeprefix("fields.")
            return FORMATS[form](field, str(row.get(field, "")))
        return FORMATS[form](name, variables[name].value)

    return REFERENCE.sub(replaced, url)


def _for_prometheus(variable: Variable, *, quotes: bool) -> str:
    """What ``$name`` becomes: for a regular expression between double quotes, if the variable may be several."""
    if not variable.multi and not variable.include_all:
        return _plain(str(variable.value), quotes=quotes)
    values = [variable.value] if isinstance(variable.value, str) else variable.value
    escaped = [_regular(value, quotes=quotes) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _plain(value: str, *, quotes: bool) -> str:
    value = value.replace("\\", r"\\")
    return value.replace('"', r"\"") if quotes else value.replace("'", r"\\'")


def _regular(value: str, *, quotes: bool) -> str:
    value = value.replace("\\", r"\\\\")
    if quotes:
        value = value.replace('"', r"\\\"")
    return re.sub(r"[$^*{}\[\]'+?.()|]" if quotes else r"[$^*{}\[\]+?.()|]", lambda match: rf"\\{match[0]}", value)


def _percent_encoded(_name: str, value: Value) -> str:
    return quote(value if isinstance(value, str) else f"{{{','.join(value)}}}", safe="-_.~")


def _query_parameters(name: str, value: Value) -> str:
    values = [value] if isinstance(value, str) else value
    return "&".join(f"var-{name}={quote(each, safe='-_.~')}" for each in values)


def _raw(_name: str, value: Value) -> str:
    return value if isinstance(value, str) else ",".join(value)


FORMATS: dict[str, Format] = {"raw": _raw, "percentencode": _percent_encoded, "queryparam": _query_parameters}


class Period(NamedTuple):
    """A range of time and the step in which it is asked for, in seconds."""

    begin: int
    end: int
    step: int

    @property
    def length(self) -> int:
        """Seconds from begin to end."""
        return self.end - self.begin

    @property
    def aligned(self) -> dict[str, int]:
        """Parameters of a range query; begin and end are cut down to a multiple of the step."""
        begin, end = (moment // self.step * self.step for moment in (self.begin, self.end))
        return {"start": begin, "end": end, "step": self.step}


def period(now: int, begin: str, points: int, least: str | None = None) -> Period:
    """Return the period from ``begin`` ("now-7d", or "7d") to ``now`` in at most about so many points."""
    length = seconds(begin.removeprefix("now-"))
    shortest = seconds(least) if least else SCRAPE_SECONDS
    return Period(now - length, now, max(_rounded(length / points), shortest))


def intervals(text: str, time: Period) -> str:
    """Put in what is only known when the query is run: range, interval, and the interval for ``rate``."""
    rate = max(time.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
    for name, value in {
        "__interval_ms": f"{time.step * 1000}",
        "__interval": f"{time.step}s",
        "__range_ms": f"{time.length * 1000}",
        "__range_s": f"{time.length}",
        "__range": f"{time.length}s",
        "__rate_interval": f"{rate}s",
    }.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return text


def seconds(text: str) -> int:
    """Seconds of a duration of one unit, such as 7d."""
    return int(text[:-1]) * UNITS[text[-1]]


def _rounded(interval: float) -> int:
    return next((rounded for limit, rounded in ROUNDED if interval <= limit), YEAR)
