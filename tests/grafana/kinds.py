"""Each kind of panel, drawn from its results."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from tests.grafana.boards import Shown
from tests.grafana.canvas import FAINT, GRID, PANEL, Area, Canvas, Ink, by_threshold, colour
from tests.grafana.formats import mapped, text
from tests.grafana.lines import LEGEND, TIMES, legend, over_time, timeseries
from tests.grafana.panels import Row, Series, table

LEFT, LINE = 44, 19
HEADING = Ink(colour("light-blue"), weight="bold")


class Cell(NamedTuple):
    """What stands in a cell."""

    words: str
    ink: Ink


def stat(canvas: Canvas, area: Area, shown: Shown, _marks: Sequence[float]) -> None:
    """Numbers, above each other if there are several, with what they did before behind."""
    if shown.panel["options"]["graphMode"] == "area":
        _spark(canvas, area, shown)
    height = area.height / max(len(shown.series), 1)
    for number, series in enumerate(shown.series):
        words, shade = _words(shown, series)
        middle = area.y + (number + 0.45) * height
        if len(shown.series) == 1:
            size = min(26.0, 10 * (area.width - 4) / canvas.length(words, Ink(weight="bold")))
            canvas.write(area.x + area.width / 2, middle, words, Ink(shade, size, "bold", "center"))
        else:
            ink = Ink(shade, 15 if len(words) < 8 else 9, "bold", "right")
            room = area.width - canvas.length(words, ink) - 10
            canvas.write(area.x, middle, canvas.cut(series.name, room, Ink()), Ink())
            canvas.write(area.x + area.width, middle, words, ink)


def _words(shown: Shown, series: Series) -> tuple[str, str]:
    """What a number is written as, and its colour."""
    value, defaults = series.points[-1][1], shown.panel["fieldConfig"]["defaults"]
    words, own = mapped(value, defaults["unit"], defaults, shown.time.end)
    if shown.panel["options"]["textMode"] == "name":
        words = series.name
    return words, colour(own) if own else by_threshold(value, defaults["thresholds"])


def _spark(canvas: Canvas, area: Area, shown: Shown) -> None:
    axes = canvas.axes(Area(area.x - 8, area.y + area.height * 0.55, area.width + 16, area.height * 0.45 + 6))
    axes.set_axis_off()
    for series in shown.series:
        times, values = np.array(series.points).T
        shade = by_threshold(values[-1], shown.panel["fieldConfig"]["defaults"]["thresholds"])
        axes.plot(times, values, color=shade, linewidth=0.8, alpha=0.8)
        axes.fill_between(times, values, values.min() - np.ptp(values) * 0.2, color=shade, alpha=0.15, linewidth=0)
    axes.margins(0)


def rows(canvas: Canvas, area: Area, shown: Shown, _marks: Sequence[float]) -> None:
    """Draw a table, its columns as wide as what stands in them asks."""
    made = table(shown.panel, shown.series)
    ordered = _sorted(made.rows, shown)
    cells = {
        field: [Cell(heading, HEADING), *(_cell(row, field, shown) for row in ordered)]
        for field, heading in made.headings.items()
    }
    wanted = {field: max(canvas.length(*cell) for cell in column) + 14 for field, column in cells.items()}
    x = area.x
    for field, column in cells.items():
        width = wanted[field] * area.width / sum(wanted.values())
        for number, (words, ink) in enumerate(column[: int(area.height / LINE)]):
            canvas.write(x, area.y + LINE * (number + 0.5), canvas.cut(words, width - 6, ink), ink)
        x += width


def _sorted(made: list[Row], shown: Shown) -> list[Row]:
    for column in shown.panel["options"].get("sortBy", []):
        field = next(
            override["matcher"]["options"]
            for override in shown.panel["fieldConfig"]["overrides"]
            for each in override["properties"]
            if each == {"id": "displayName", "value": column["displayName"]}
        )
        made = sorted(made, key=lambda row: row[field], reverse=column.get("desc", False))
    return made


def _style(config: dict[str, Any], field: str) -> dict[str, Any]:
    style = dict(config["defaults"])
    for override in config["overrides"]:
        if override["matcher"]["options"] == field:
            style |= {each["id"]: each.get("value") for each in override["properties"]}
    return style


def _cell(row: Row, field: str, shown: Shown) -> Cell:
    value, style = row.get(field, ""), _style(shown.panel["fieldConfig"], field)
    if not isinstance(value, float):
        return Cell(str(value), Ink(colour("light-blue")) if "links" in style else Ink())
    ink = Ink(by_threshold(value, style["thresholds"])) if "custom.cellOptions" in style else Ink()
    return Cell(text(value, style["unit"], style.get("decimals"), shown.time.end), ink)


def heatmap(canvas: Canvas, area: Area, shown: Shown, marks: Sequence[float]) -> None:
    """Buckets above each other, the darker the fuller: what each holds beyond the one below."""
    ordered = sorted(shown.series, key=lambda series: float(series.name))
    axes = _timed(canvas, area.inside(LEFT, TIMES), shown, marks)
    times = np.array(ordered[0].points)[:, 0]
    held = np.diff(np.array([[value for _, value in series.points] for series in ordered]), axis=0, prepend=0)
    shades = LinearSegmentedColormap.from_list("blues", [PANEL, "#1f60c4", "#8ab8ff", "#e0ecff"])
    edges = np.append(times, times[-1] + shown.time.step) - shown.time.step
    axes.pcolormesh(edges, np.arange(len(ordered) + 1), held.clip(0), cmap=shades, edgecolors=PANEL, linewidth=0.4)
    axes.set_yticks(np.arange(len(ordered)) + 1, [series.name for series in ordered])
    axes.set_ylim(0, len(ordered))


def states(canvas: Canvas, area: Area, shown: Shown, marks: Sequence[float]) -> None:
    """A bar a series, in the colour of its state."""
    defaults = shown.panel["fieldConfig"]["defaults"]
    left = 10 + max(canvas.length(series.name, Ink(size=9)) for series in shown.series)
    axes = _timed(canvas, area.inside(left, TIMES + LEGEND), shown, marks)
    used: dict[str, str] = {}
    for number, series in enumerate(reversed(shown.series)):
        for value in sorted({value for _, value in series.points}):
            words, own = mapped(value, "none", defaults, 0)
            used[words] = own or "blue"
            spans = [(moment, shown.time.step) for moment, each in series.points if each == value]
            axes.broken_barh(spans, (number + 0.12, 0.76), color=colour(used[words]), alpha=0.75, linewidth=0)
    axes.set_yticks(np.arange(len(shown.series)) + 0.5, [series.name for series in reversed(shown.series)])
    axes.set_ylim(0, len(shown.series))
    axes.grid(visible=False, axis="y")
    legend(canvas, area, [(words, colour(shade)) for words, shade in used.items() if shade != "transparent"])


def _timed(canvas: Canvas, inner: Area, shown: Shown, marks: Sequence[float]) -> Axes:
    axes = canvas.axes(inner)
    axes.grid(color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    over_time(axes, shown.time, marks)
    axes.tick_params(axis="y", colors=FAINT)
    return axes


KINDS: dict[str, Callable[[Canvas, Area, Shown, Sequence[float]], None]] = {
    "timeseries": timeseries,
    "stat": stat,
    "state-timeline": states,
    "heatmap": heatmap,
    "table": rows,
}
