"""The file that is shipped shows every key, with its default."""

import re
from pathlib import Path

import yaml

from exporter.config import Config, leaves, load
from exporter.rules import StageOverrides, WorkflowOverrides

SHIPPED = Path(__file__).parents[2] / "config" / "exporter.yml"


def test_the_shipped_file_equals_the_defaults() -> None:
    """Starting with the shipped file is the same as starting with none."""
    assert load(SHIPPED, {}, {}) == Config()


def test_every_key_stands_in_the_shipped_file() -> None:
    """No key of the types is left out, and each stands uncommented."""
    tree = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))

    assert {(key,) for key in tree} == {(field,) for field in Config.__struct_fields__}
    assert {("rules", key) for key in tree["rules"]} == {path for path in leaves() if len(path) == 2}


def test_every_store_url_that_the_shipped_file_shows_can_be_used() -> None:
    """The forms of a store URL in its comments are ones that a store takes."""
    urls = re.findall(r"(?:sqlite|rediss?|unix)://[^\s;]*", SHIPPED.read_text(encoding="utf-8"))

    assert len({url.partition("://")[0] for url in urls}) == 4
    for url in urls:
        assert load(None, {"FEEDBACK_EXPORTER_STORE": url}, {}).store == url


def test_the_example_of_overrides_can_be_used_once_uncommented(tmp_path: Path) -> None:
    """Taking the # from the lines under workflows gives overrides that load."""
    before, workflows, example = SHIPPED.read_text(encoding="utf-8").partition("\nworkflows:\n")
    path = tmp_path / "exporter.yml"
    path.write_text(before + workflows + re.sub(r"(?m)^#", "", example), encoding="utf-8")

    assert load(path, {}, {}).workflows == {
        "code-review": WorkflowOverrides(
            min_samples=30,
            stages={
                "analysis": StageOverrides(quality_threshold=0.8, start_tier="capable"),
                "summary": StageOverrides(window_seconds=86_400),
            },
        )
    }
