"""Growth curves, both axes in logarithms: a line that rises is a cost that grows."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from tests.bench.harness import Picture


def draw(pictures: Iterable[Picture], directory: Path) -> list[Path]:
    """Draw each picture into a PNG file that is named for it."""
    directory.mkdir(parents=True, exist_ok=True)
    return [_draw(picture, directory / f"bench-{picture.name}.png") for picture in pictures]


def _draw(picture: Picture, path: Path) -> Path:
    canvas = Canvas(figsize=(7, 4.5), layout="constrained")
    axes = canvas.add_subplot(xlabel=picture.across, ylabel=picture.up, title=picture.title, xscale="log", yscale="log")
    for name, points in picture.curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.grid(visible=True, which="major", alpha=0.4)
    axes.legend()
    canvas.savefig(path, dpi=120)
    return path
