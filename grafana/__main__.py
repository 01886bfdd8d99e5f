"""Write ``grafana/dashboards/*.json``."""

import json
from pathlib import Path
from typing import Any

import click
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import exporter, overview, stage

DASHBOARDS = Path(__file__).parent / "dashboards"


def documents() -> dict[str, str]:
    """Return the text of each dashboard, by name of file."""
    boards = {"overview.json": overview.main(), "stage.json": stage.main(), "exporter.json": exporter.main()}
    return {name: _text(_document(board)) for name, board in boards.items()}


def _document(board: Dashboard) -> dict[str, Any]:
    """Complete what the SDK makes: numbers of panels, no number of its own, links in sight."""
    document: dict[str, Any] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    # Null: Grafana gives it a number; the uid is what it is known by.
    document["id"] = None
    for number, panel in enumerate(document["panels"], start=1):
        panel["id"] = number
    # The SDK puts these behind a button.
    for shown in (*document["links"], *document["annotations"]["list"]):
        del shown["placement"]
    _leave_out_the_unknown(document)
    return document


def _leave_out_the_unknown(document: dict[str, Any]) -> None:
    """Drop what the SDK always writes and the types of Grafana 13 do not have."""
    for variable in document["templating"]["list"]:
        for name in ("auto", "auto_count", "auto_min"):
            del variable[name]
    for panel in document["panels"]:
        if panel["type"] == "table":
            del panel["options"]["footer"]


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


@click.command()
@click.option("--directory", type=click.Path(path_type=Path), default=DASHBOARDS, help="Where to write.")
def main(directory: Path) -> None:
    """Write the dashboards as JSON, for Grafana to load from files."""
    for name, text in documents().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
