"""The rule files as Prometheus reads them, and the files of promtool's unit tests."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "alerts"
CASES = sorted((FOLDER / "tests").glob("*.yml"))

Document = dict[str, Any]


def read(path: Path) -> Document:
    """Return what a YAML file holds."""
    document: Document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def rules(document: Document) -> list[Document]:
    """Return the rules of all groups of a rule file, in order."""
    return [rule for group in document["groups"] for rule in group["rules"]]


RECORDING_FILE = read(FOLDER / "recording.yml")
ALERTS_FILE = read(FOLDER / "alerts.yml")
RECORDINGS = {rule["record"]: rule["expr"] for rule in rules(RECORDING_FILE)}
ALERTS = {rule["alert"]: rule for rule in rules(ALERTS_FILE)}
GROUPS = [group["name"] for document in (RECORDING_FILE, ALERTS_FILE) for group in document["groups"]]
