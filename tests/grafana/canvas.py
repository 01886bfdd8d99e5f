"""A figure measured in pixels from its upper left corner, and the colours of Grafana."""

from typing import Any, Literal, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

# Pixels of the file for one of the picture, so that it is sharp on any screen.
SCALE = 1.5
BACKGROUND, PANEL, BORDER, GRID = "#111217", "#181b1f", "#2b2e34", "#2b2e34"
TEXT, FAINT = "#d5d6de", "#9a9ba8"
NAMED = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "light-blue": "#8ab8ff",
    "purple": "#b877d9",
    "transparent": PANEL,
}
# What series get in their order, where nothing says otherwise.
PALETTE = ("#73bf69", "#fade2a", "#8ab8ff", "#ff9830", "#f2495c", "#5794f2", "#b877d9", "#56a64b", "#e0b400", "#3274d9")
TITLE = 22
# Fonts are measured in points, pictures in pixels.
POINT = 72 / 100


class Ink(NamedTuple):
    """How a text is written; its size is in pixels."""

    colour: str = TEXT
    size: float = 10
    weight: str = "normal"
    align: Literal["left", "center", "right"] = "left"


class Area(NamedTuple):
    """A rectangle in pixels; y counts downwards."""

    x: float
    y: float
    width: float
    height: float

    def shrunk(self, by: float) -> "Area":
        """Return it, smaller on each side."""
        return Area(self.x + by, self.y + by, self.width - 2 * by, self.height - 2 * by)

    def inside(self, left: float, bottom: float) -> "Area":
        """Return what is left for a plot beside and above its labels."""
        return Area(self.x + left, self.y + 4, self.width - left - 6, self.height - bottom - 4)

    @property
    def inner(self) -> "Area":
        """What is left of a panel below its title."""
        return Area(self.x + 8, self.y + TITLE, self.width - 16, self.height - TITLE - 6)


class Canvas:
    """A figure to draw on."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        """Take a figure of so many pixels."""
        self.figure, self.width, self.height = figure, width, height
        self._renderer = RendererAgg(width, height, 100)  # type: ignore[no-untyped-call]  # matplotlib has no types here

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel is in the figure."""
        return x / self.width, 1 - y / self.height

    def add(self, artist: Artist) -> None:
        """Add an artist that is placed in the figure."""
        self.figure.add_artist(artist)

    def write(self, x: float, y: float, text: str, ink: Ink) -> None:
        """Write a line of text, centred on ``y``."""
        self.figure.text(
            *self.point(x, y),
            _literal(text),
            fontsize=ink.size * POINT,
            color=ink.colour,
            weight=ink.weight,
            ha=ink.align,
            va="center_baseline",
        )

    def length(self, text: str, ink: Ink) -> float:
        """How many pixels a text takes."""
        font = FontProperties(size=ink.size * POINT, weight=ink.weight)
        measure = self._renderer.get_text_width_height_descent
        return float(measure(text, font, ismath=False)[0])  # type: ignore[no-untyped-call]  # matplotlib has no types here

    def cut(self, text: str, width: float, ink: Ink) -> str:
        """Return a text that fits into ``width``, cut where it is too long."""
        if self.length(text, ink) <= width:
            return text
        while text and self.length(f"{text}…", ink) > width:
            text = text[:-1]
        return f"{text}…"

    def axes(self, area: Area, **more: Any) -> Axes:  # noqa: ANN401 - what matplotlib takes
        """Return axes that fill an area; their labels stand around it."""
        left, bottom = self.point(area.x, area.y + area.height)
        axes = self.figure.add_axes((left, bottom, area.width / self.width, area.height / self.height), **more)
        axes.set_facecolor("none")
        axes.tick_params(colors=FAINT, labelsize=9 * POINT, length=0, pad=3)
        axes.spines[:].set_visible(False)
        return axes


def _literal(text: str) -> str:
    """Keep matplotlib from reading formulas into names."""
    return text.replace("$", r"\$")


def colour(name: str) -> str:
    """A colour of Grafana's by its name."""
    return NAMED.get(name, name)


def by_threshold(value: float, thresholds: dict[str, Any]) -> str:
    """The colour of the highest step that a value reaches."""
    reached = [step["color"] for step in thresholds["steps"] if step["value"] is None or value >= step["value"]]
    return colour(reached[-1])
