"""The pictures of the dashboards: drawn from real results, and there for each."""

import struct
from pathlib import Path

import pytest

from tests.grafana.boards import opened
from tests.grafana.draw import CHOSEN, PICTURES
from tests.grafana.formats import mapped, text
from tests.grafana.kinds import KINDS
from tests.grafana.panels import DASHBOARDS, load, panels
from tests.grafana.pictures import WIDTH, draw
from tests.grafana.watched import Watched

MOST_BYTES = 200_000


def _size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG, in pixels."""
    begin = picture.read_bytes()[:24]
    assert begin[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", begin[16:])
    return width, height


@pytest.mark.parametrize("name", DASHBOARDS)
def test_drawing(watched: Watched, tmp_path: Path, name: str) -> None:
    """A dashboard with real results becomes a picture that a README can show, without a warning."""
    picture = tmp_path / f"{name}.png"

    draw(opened(watched, name, CHOSEN.get(name)), picture)

    width, height = _size(picture)
    assert width > WIDTH
    assert width / 2 < height < width * 2
    assert 20_000 < picture.stat().st_size < MOST_BYTES


def test_shipped() -> None:
    """There is a picture of each dashboard, small enough for a README, and of nothing else."""
    pictures = {path.name: path.stat().st_size for path in PICTURES.iterdir()}

    assert pictures.keys() == {f"{name}.png" for name in DASHBOARDS}
    assert max(pictures.values()) < MOST_BYTES


@pytest.mark.parametrize("name", DASHBOARDS)
def test_kinds(name: str) -> None:
    """Every kind of panel can be drawn."""
    assert {panel["type"] for panel in panels(load(name))} <= KINDS.keys()


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "written"),
    [
        (0.8234, "none", 3, "0.823"),
        (10_000, "none", None, "10 000"),
        (0.041666, "cps", None, "0.0417 c/s"),
        (-0.3946, "percentunit", 1, "-39.5 %"),
        (1.0, "percentunit", None, "100 %"),
        (0.0025, "s", None, "2.5 ms"),
        (90, "s", None, "1.5 min"),
        (86_400, "s", None, "1 day"),
        (39_321_600, "bytes", None, "37.5 MiB"),
        (1_000_000, "dateTimeFromNow", None, "3 hours ago"),
        (11_799_000, "dateTimeFromNow", None, "a few seconds ago"),
    ],
)
def test_values(value: float, unit: str, decimals: int | None, written: str) -> None:
    """A value is written as its unit asks; moments are told against now."""
    assert text(value, unit, decimals, now=11_800) == written


def test_mappings() -> None:
    """A mapped value is written as its text, in its colour; another as a number."""
    defaults = {"mappings": [{"options": {"1": {"text": "up", "color": "green"}}}]}

    assert mapped(1.0, "none", defaults, 0) == ("up", "green")
    assert mapped(2.0, "none", defaults, 0) == ("2", None)
