"""Dashboards drawn as Grafana lays them out, from the results of their queries."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from tests.grafana.boards import Board, Shown
from tests.grafana.canvas import BACKGROUND, BORDER, FAINT, PANEL, SCALE, Area, Canvas, Ink
from tests.grafana.kinds import KINDS

WIDTH = 1000
COLUMNS = 24
# Of a row of the grid.
ROW = 23
MARGIN, HEADER = 4, 32
COLOURS = 128
# Rows that are drawn; those that are left out show what every exporter has.
LEFT_OUT = {"exporter": {"Process"}, "stage": {"Traffic"}}


class Placed(NamedTuple):
    """A panel or the heading of a row, and where it is, in the dashboard's grid."""

    title: str
    shown: Shown | None
    x: float
    y: float
    width: float
    height: float


def draw(board: Board, path: Path) -> None:
    """Write the picture of a dashboard."""
    placed = list(_placed(board))
    height = round(HEADER + max(each.y + each.height for each in placed) * ROW + 2 * MARGIN)
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100 * SCALE, facecolor=BACKGROUND)
    canvas = Canvas(figure, WIDTH, height)
    _header(canvas, board)
    marks = [moment for annotation in board.annotations for series in annotation.series for moment, _ in series.points]
    for each in placed:
        area = _area(each)
        if each.shown is None:
            canvas.write(area.x + 4, area.y + area.height / 2, each.title, Ink(size=13, weight="bold"))
        else:
            _frame(canvas, area, each.shown.title)
            KINDS[each.shown.panel["type"]](canvas, area.inner, each.shown, marks)
    drawn = FigureCanvasAgg(figure)
    drawn.draw()  # type: ignore[no-untyped-call]  # matplotlib has no types here
    # A palette holds what there is of colours, in a third of the bytes.
    pixels = np.asarray(drawn.buffer_rgba())[:, :, :3]  # type: ignore[no-untyped-call]  # matplotlib has no types here
    Image.fromarray(pixels).quantize(COLOURS).save(path, optimize=True)


def _header(canvas: Canvas, board: Board) -> None:
    """Write the title, what is chosen, and the range of time."""
    y = HEADER / 2 + 2
    canvas.write(10, y, board.dashboard["title"], Ink(size=14, weight="bold"))
    chosen = [
        f"{each['label']}: {'All' if variable.is_all else variable.value}"
        for each in board.dashboard["templating"]["list"][1:]
        if (variable := board.variables[each["name"]]) and not each.get("hide")
    ]
    days = board.dashboard["time"]["from"].removeprefix("now-").removesuffix("d")
    chosen.append(f"Last {days} days" if days != "1" else "Last day")
    canvas.write(WIDTH - 10, y, "      ".join(chosen), Ink(FAINT, align="right"))


def _placed(board: Board) -> Iterator[Placed]:
    """Panels in their order, moved up where rows are left out, and side by side where they are repeated."""
    left_out, drawn, above = False, iter(board.panels), 0
    shown = next(drawn, None)
    for panel in board.dashboard["panels"]:
        place = panel["gridPos"]
        if panel["type"] == "row":
            left_out = panel["title"] in LEFT_OUT.get(board.name, ())
        repeated = []
        while shown is not None and shown.panel is panel:
            repeated.append(shown)
            shown = next(drawn, None)
        if left_out:
            above += place["h"] if place["x"] + place["w"] == COLUMNS else 0
        elif panel["type"] == "row":
            yield Placed(panel["title"], None, 0, place["y"] - above, COLUMNS, place["h"])
        for number, each in enumerate([] if left_out else repeated):
            width = place["w"] / len(repeated)
            yield Placed("", each, place["x"] + number * width, place["y"] - above, width, place["h"])


def _area(placed: Placed) -> Area:
    column = (WIDTH - 2 * MARGIN) / COLUMNS
    return Area(MARGIN + placed.x * column, HEADER + placed.y * ROW, placed.width * column, placed.height * ROW).shrunk(
        MARGIN / 2
    )


def _frame(canvas: Canvas, area: Area, title: str) -> None:
    canvas.add(
        FancyBboxPatch(
            canvas.point(area.x, area.y + area.height),
            area.width / canvas.width,
            area.height / canvas.height,
            boxstyle="square,pad=0",
            transform=canvas.figure.transFigure,
            facecolor=PANEL,
            edgecolor=BORDER,
            linewidth=0.7,
            zorder=-1,
        )
    )
    ink = Ink(size=10.5, weight="bold")
    fitting = ink._replace(size=min(ink.size, ink.size * (area.width - 16) / canvas.length(title, ink)))
    canvas.write(area.x + 8, area.y + 13, title, fitting)
