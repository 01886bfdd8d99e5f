"""Lines, bars and areas over time, with axes, thresholds, annotations and a legend."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tests.grafana.boards import Shown
from tests.grafana.canvas import FAINT, GRID, PALETTE, Area, Canvas, Ink, by_threshold, colour
from tests.grafana.formats import text
from tests.grafana.panels import Series
from tests.grafana.substitution import Period

DAY = 86_400
# Pixels below a plot.
TIMES, LEGEND = 15, 17
TICKS = (3 * 3600, DAY, 7 * DAY)
SPACE = 46
NAME = Ink(FAINT)


class Style(NamedTuple):
    """How a series is drawn."""

    colour: str
    width: float
    opacity: float
    dash: tuple[float, ...]
    fills_to: str | None


def timeseries(canvas: Canvas, area: Area, shown: Shown, marks: Sequence[float]) -> None:
    """Draw lines, or areas on each other."""
    config = shown.panel["fieldConfig"]
    defaults, custom = config["defaults"], config["defaults"]["custom"]
    unit, decimals = defaults["unit"], defaults.get("decimals")
    axes = canvas.axes(area.inside(SPACE, TIMES + LEGEND))
    axes.grid(color=GRID, linewidth=0.5)
    styles = {series.name: _style(shown, series, number) for number, series in enumerate(shown.series)}
    if custom.get("stacking", {}).get("mode") == "normal":
        _stacked(axes, shown, styles)
    else:
        for series in shown.series:
            _line(axes, shown, series, styles, points=custom["showPoints"] == "always")
    over_time(axes, shown.time, marks)
    _limits(axes, defaults)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(lambda value, _: text(round(value, 9), unit, decimals))
    if "thresholdsStyle" in custom:
        _thresholds(axes, defaults["thresholds"])
    # If there is no room for all, those that show something.
    ordered = sorted(shown.series, key=lambda series: all(value == 0 for _, value in series.points))
    legend(canvas, area, [(series.name, styles[series.name].colour) for series in ordered])


def _style(shown: Shown, series: Series, number: int) -> Style:
    config = shown.panel["fieldConfig"]
    style: dict[str, Any] = {f"custom.{key}": value for key, value in config["defaults"]["custom"].items()}
    for override in config["overrides"]:
        wanted = series.ref if override["matcher"]["id"] == "byFrameRefID" else series.name
        if override["matcher"]["options"] == wanted:
            style |= {each["id"]: each.get("value") for each in override["properties"]}
    fixed = style.get("color", {}).get("fixedColor")
    return Style(
        colour(fixed) if fixed else PALETTE[number % len(PALETTE)],
        style["custom.lineWidth"],
        style["custom.fillOpacity"] / 100,
        tuple(style.get("custom.lineStyle", {}).get("dash", ())),
        style.get("custom.fillBelowTo"),
    )


def _line(axes: Axes, shown: Shown, series: Series, styles: Mapping[str, Style], *, points: bool) -> None:
    style, (times, values) = styles[series.name], _gapped(series, shown.time.step)
    axes.plot(
        times,
        values,
        color=style.colour,
        linewidth=style.width,
        linestyle=(0, tuple(length / 2 for length in style.dash)) if style.dash else "solid",
        marker="o" if points else None,
        markersize=4,
    )
    lower = next((each for each in shown.series if each.name == style.fills_to), None)
    if lower is not None:
        bottom = dict(lower.points)
        axes.fill_between(
            times, [bottom.get(time, np.nan) for time in times], values, color=style.colour, alpha=style.opacity, lw=0
        )


def _stacked(axes: Axes, shown: Shown, styles: Mapping[str, Style]) -> None:
    times = np.arange(shown.time.aligned["start"], shown.time.aligned["end"] + 1, shown.time.step)
    below = np.zeros(len(times))
    for order, series in enumerate(shown.series):
        known = dict(series.points)
        above = below + np.array([known.get(float(time), 0) for time in times])
        style = styles[series.name]
        axes.fill_between(times, below, above, color=style.colour, alpha=style.opacity, linewidth=0)
        # The lowest in front, so that none hides those below it.
        axes.plot(times, above, color=style.colour, linewidth=style.width * 0.5, zorder=3 - order / 100)
        below = above


def _gapped(series: Series, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and values, with a hole where points are missing."""
    times, values = np.array(series.points).T
    holes = np.flatnonzero(np.diff(times) > 1.5 * step) + 1
    return np.insert(times, holes, times[holes - 1] + step), np.insert(values, holes, np.nan)


def _limits(axes: Axes, defaults: dict[str, Any]) -> None:
    low, high = axes.get_ylim()
    room = (high - low) * 0.03
    axes.set_ylim(defaults.get("min", low), defaults.get("max", high) + room)


def _thresholds(axes: Axes, thresholds: dict[str, Any]) -> None:
    """Draw limits as dashed lines, and tint what lies between them."""
    low, high = axes.get_ylim()
    edges = [low, *(step["value"] for step in thresholds["steps"][1:]), high]
    for begin, end, step in zip(edges, edges[1:], thresholds["steps"], strict=False):
        axes.axhspan(max(begin, low), max(min(end, high), low), color=colour(step["color"]), alpha=0.07, linewidth=0)
    for edge in edges[1:-1]:
        if low < edge < high:
            axes.axhline(edge, color=by_threshold(edge, thresholds), linewidth=0.8, linestyle=(0, (4, 4)))
    axes.set_ylim(low, high)


def over_time(axes: Axes, time: Period, marks: Sequence[float]) -> None:
    """Give axes the time of a panel, and draw when alerts fired."""
    axes.set_xlim(time.begin, time.end)
    every = next(tick for tick in TICKS if time.length / tick < 13)
    ticks = np.arange(time.begin // every * every + every, time.end, every)
    form = "%H:%M" if every < DAY else "%d %b"
    axes.set_xticks(ticks, [f"{datetime.fromtimestamp(int(tick), UTC):{form}}" for tick in ticks])
    for mark in marks:
        axes.axvline(mark, color=colour("red"), linewidth=0.7, linestyle=(0, (3, 3)), alpha=0.8)


def legend(canvas: Canvas, area: Area, entries: Sequence[tuple[str, str]]) -> None:
    """Name series below a plot, as many as there is room for."""
    x, y = area.x + 2, area.y + area.height - 5
    for number, (name, shade) in enumerate(entries):
        width = 15 + canvas.length(name, NAME) + 12
        if x + width > area.x + area.width - (20 if number < len(entries) - 1 else 0):
            canvas.write(x, y, f"+{len(entries) - number}", NAME)
            return
        canvas.write(x, y - 1, "▬", Ink(shade))
        canvas.write(x + 15, y, name, NAME)
        x += width
