"""Write ``alerts/recording.yml`` and ``alerts/alerts.yml``."""

from pathlib import Path

import click
import yaml

from alerts import exporter, quality, recording
from alerts.links import GRAFANA, RUNBOOK, Links

HERE = Path(__file__).parent
HEADER = "# Made by `make generate` from alerts/*.py: change those, not this.\n"


class _Dumper(yaml.SafeDumper):
    """Keeps the order of keys, and writes a text of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def documents(links: Links) -> dict[str, str]:
    """Return the text of each rule file, by name."""
    alert_groups = [
        {"name": "llm-feedback-quality-alerts", "rules": [alert.entry(links) for alert in quality.ALERTS]},
        {"name": "llm-feedback-exporter-alerts", "rules": [alert.entry(links) for alert in exporter.ALERTS]},
    ]
    return {
        "recording.yml": _document(recording.groups()),
        "alerts.yml": _document(alert_groups),
    }


def _document(groups: object) -> str:
    return HEADER + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


@click.command()
@click.option("--runbook", default=RUNBOOK, show_default=True, help="URL of the runbook.")
@click.option("--grafana", default=GRAFANA, show_default=True, help="URL of Grafana, without a slash at its end.")
@click.option("--directory", type=click.Path(path_type=Path), default=HERE, help="Where to write; here by default.")
def main(runbook: str, grafana: str, directory: Path) -> None:
    """Write recording.yml and alerts.yml."""
    for name, text in documents(Links(runbook, grafana)).items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
