"""The dashboards are what Grafana's own types say: TypeScript checks them against ``@grafana/schema``."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.grafana.panels import DASHBOARDS, Dashboard, Panel, load, panels

TYPES = Path(__file__).parent / "types"
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

# Where @grafana/schema keeps the types of each kind of panel.
PANEL_TYPES = re.compile(r"\./(?P<module>dist/esm/raw/composable/(?P<kind>\w+)/panelcfg/x/\w+\.gen)")
ERROR = re.compile(r"^(?P<file>\w+)\.ts\(\d+,\d+\): error ", re.MULTILINE)

GOOD: Dashboard = {
    "title": "Example",
    "schemaVersion": 42,
    "graphTooltip": 1,
    "panels": [
        {
            "id": 1,
            "type": "timeseries",
            "title": "Quality",
            "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
            "options": {
                "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
            "fieldConfig": {
                "defaults": {"unit": "percentunit", "color": {"mode": "thresholds"}, "custom": {"lineWidth": 2}},
                "overrides": [
                    {
                        "matcher": {"id": "byName", "options": "bound"},
                        "properties": [{"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}}],
                    }
                ],
            },
        }
    ],
    "templating": {"list": [{"name": "job", "type": "query", "refresh": 2}]},
}
# A place in GOOD, and what must not stand there.
BAD: dict[str, tuple[list[str | int], object]] = {
    "misspelt_field": (["titel"], "Example"),
    "misspelt_field_of_a_panel": (["panels", 0, "gridPosition"], {}),
    "text_for_a_number": (["panels", 0, "gridPos", "w"], "12"),
    "no_such_colour_mode": (["panels", 0, "fieldConfig", "defaults", "color", "mode"], "threshold"),
    "no_such_tooltip": (["graphTooltip"], 3),
    "no_such_kind_of_variable": (["templating", "list", 0, "type"], "querry"),
    "misspelt_option": (["panels", 0, "options", "legends"], {}),
    "no_such_value_of_an_option": (["panels", 0, "options", "tooltip", "mode"], "all"),
    "misspelt_style": (["panels", 0, "fieldConfig", "defaults", "custom", "lineWith"], 2),
    "no_such_style_of_an_override": (
        ["panels", 0, "fieldConfig", "overrides", 0, "properties", 0, "value", "fill"],
        "dashed",
    ),
    "misspelt_override": (["panels", 0, "fieldConfig", "overrides", 0, "properties", 0, "id"], "custom.lineStile"),
}


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory in which TypeScript and the types are installed as locked."""
    directory = tmp_path_factory.mktemp("types") / "types"
    shutil.copytree(TYPES, directory, ignore=shutil.ignore_patterns("node_modules"))
    said = _run(directory, BIN / "npm", "ci", "--ignore-scripts", "--prefer-offline")
    assert said.returncode == 0, said.stdout
    yield directory
    shutil.rmtree(directory)


def _run(directory: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )


def _check(types: Path, dashboards: dict[str, Dashboard]) -> subprocess.CompletedProcess[str]:
    """Write each dashboard into a file of its name, and check all at once."""
    for old in set(types.glob("*.ts")) - {types / "plain.ts"}:
        old.unlink()
    schema = types / "node_modules" / "@grafana" / "schema"
    for name, dashboard in dashboards.items():
        (types / f"{name}.ts").write_text("\n".join(_statements(dashboard, schema)), encoding="utf-8")
    return _run(types, types / "node_modules" / ".bin" / "tsc", "--noEmit", "--strict", "--pretty", "false", "-p", ".")


def _statements(dashboard: Dashboard, schema: Path) -> Iterator[str]:
    yield 'import type { FieldConfig } from "@grafana/schema";'
    yield 'import type { Plain, PrometheusDashboard } from "./plain";'
    modules = _panel_types(schema)
    for kind in sorted({_kind(panel) for panel in panels(dashboard)}):
        yield f'import type * as {kind} from "@grafana/schema/{modules[kind]}";'
    yield _satisfies(dashboard, "PrometheusDashboard")
    for panel in panels(dashboard):
        yield from _panel_statements(panel, styled=_has_styles(schema, _kind(panel)))


def _kind(panel: Panel) -> str:
    """Kind of a panel as the types are called."""
    return str(panel["type"]).replace("-", "")


def _panel_types(schema: Path) -> dict[str, str]:
    """Where the types of each kind of panel are imported from."""
    exported = json.loads((schema / "package.json").read_text(encoding="utf-8"))["exports"]
    found = filter(None, map(PANEL_TYPES.fullmatch, exported))
    return {match["kind"]: match["module"] for match in found}


def _has_styles(schema: Path, kind: str) -> bool:
    """Tell whether a kind of panel has settings of its own for a field; some have none."""
    text = (schema / f"dist/types/raw/composable/{kind}/panelcfg/x/types.gen.d.ts").read_text(encoding="utf-8")
    return "interface FieldConfig" in text


def _panel_statements(panel: Panel, *, styled: bool) -> Iterator[str]:
    """Statements on what ``Dashboard`` leaves open: options, styles, and what overrides set."""
    kind, fields = _kind(panel), panel.get("fieldConfig", {"defaults": {}, "overrides": []})
    own = f"Partial<{kind}.FieldConfig>" if styled else "Record<string, never>"
    yield _satisfies(panel["options"], f"Partial<{kind}.Options>")
    yield _satisfies(fields["defaults"].get("custom", {}), own)
    for override in fields["overrides"]:
        for each in override["properties"]:
            *styles, name = each["id"].split(".", 1)
            yield _satisfies(_nested(name, each["value"]), own if styles else "FieldConfig")


def _nested(path: str, value: object) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    return {name: _nested(rest, value) if rest else value}


def _satisfies(value: object, kind: str) -> str:
    return f"({json.dumps(value, indent=2)}) satisfies Plain<{kind}>;"


def _broken(place: list[str | int], value: object) -> Dashboard:
    dashboard = deepcopy(GOOD)
    at: Any = dashboard
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return dashboard


def test_the_dashboards_have_the_types_of_grafana(types: Path) -> None:
    """Each dashboard satisfies ``Dashboard``, and its panels the types of their kind."""
    said = _check(types, {name: load(name) for name in DASHBOARDS})

    assert len(list(types.glob("*.ts"))) == len(DASHBOARDS) + 1
    assert said.returncode == 0, said.stdout


def test_each_fault_is_seen(types: Path) -> None:
    """A misspelt field and a value of a wrong type are refused, wherever they stand; else the same is taken."""
    said = _check(types, {"good": GOOD, **{name: _broken(*fault) for name, fault in BAD.items()}})

    assert Counter(match["file"] for match in ERROR.finditer(said.stdout)).keys() == BAD.keys(), said.stdout


def test_the_lock_names_no_registry() -> None:
    """The lock holds a hash of every package and no address, so that it serves whatever registry is used."""
    lock = json.loads((TYPES / "package-lock.json").read_text(encoding="utf-8"))
    installed = {path: package for path, package in lock["packages"].items() if path}

    assert installed
    assert {path for path, package in installed.items() if "integrity" not in package or "resolved" in package} == set()
