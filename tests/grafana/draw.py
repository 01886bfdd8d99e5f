"""Draw the dashboards anew: ``python -m tests.grafana.draw``."""

import tempfile
from pathlib import Path

import click

from tests.grafana.boards import opened
from tests.grafana.panels import DASHBOARDS
from tests.grafana.pictures import draw
from tests.grafana.watched import watched

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
# The stage that is looked at: the one that declines.
CHOSEN = {"stage": {"workflow": "code-review", "stage": "analysis"}}


@click.command()
@click.option("--directory", type=click.Path(path_type=Path), default=PICTURES, help="Where to write.")
def main(directory: Path) -> None:
    """Draw each dashboard from the results of its queries."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, watched(Path(temporary)) as prometheus:
        for name in DASHBOARDS:
            draw(opened(prometheus, name, CHOSEN.get(name)), directory / f"{name}.png")
            click.echo(f"{directory / name}.png")


if __name__ == "__main__":
    main()
