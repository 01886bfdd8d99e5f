"""Whatever stands in a file or a variable: a Config or a ConfigError, nothing else; what is valid survives."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.config import Config, leaves, load, variables
from exporter.domain import name
from exporter.errors import ConfigError, InvalidFeedback
from exporter.rules import StageOverrides, StageRules, WorkflowOverrides

KEYS = [*Config.__struct_fields__, *WorkflowOverrides.__struct_fields__]


# A busy machine is no fault; pytest-timeout ends what hangs.
unhurried = settings(deadline=None)


def outcome(content: bytes, environ: Mapping[str, str]) -> Config | None:
    """Load a file of ``content``; ``None`` where it is refused, one line a problem."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "exporter.yml"
        path.write_bytes(content)
        try:
            return load(path, environ, {})
        except ConfigError as error:
            problems = error.problems
    assert problems
    assert all(problem.isprintable() for problem in problems)
    return None


snippets = st.sampled_from(
    [
        *KEYS,
        *(
            ": ",
            ":\n  ",
            "\n",
            "\n- ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "&a ",
            "*a",
            "!t ",
            "<<",
            "? ",
            "| ",
            "> ",
            "'",
            '"',
        ),
        *("#", "%YAML 1.1\n", "---\n", "...\n", "\\", "\\x", "\t", "~", "yes", "1", "0.5", "-", ".nan", "\ufeff"),
    ]
)


@unhurried
@given(st.lists(snippets | st.text(max_size=5), max_size=30).map("".join))
@example('"\\U99999999"')
@example('"\\UFFFFFFFF"')
@example('"\\ud800": "\\udfff"')
@example("%YAML 1." + "9" * 5000 + "\n---\n")
@example("%TAG !e! tag:e,2000:\n---\n!e!x 1")
@example("[" * 5000)
@example("- " * 5000)
@example("? " * 5000)
@example("{" * 3000)
@example("workflows: {" + "a" * 100_000 + ": {}}")
@example("series_limit: 0x_")
@example("series_limit: 0b_")
@example("rules: {start_tier: 2024-13-45}")
@example("=: =")
def test_any_text_is_a_configuration_or_is_refused(text: str) -> None:
    """No text makes another exception, and none hangs."""
    outcome(text.encode("utf-8", "surrogatepass"), {})


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_are_refused(content: bytes) -> None:
    """A file that is no text at all is refused in words."""
    outcome(content, {})


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates()
trees = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=30,
)


@unhurried
@given(st.dictionaries(st.sampled_from(Config.__struct_fields__), trees, max_size=7))
def test_any_tree_is_a_configuration_or_is_refused(tree: dict[str, object]) -> None:
    """Values of every type in every place are taken or refused, never more."""
    outcome(yaml.safe_dump(tree).encode(), {})


@unhurried
@given(
    st.dictionaries(
        st.sampled_from(sorted(variables())), st.text(st.characters(exclude_characters="\0"), max_size=10), max_size=5
    )
)
def test_any_environment_is_a_configuration_or_is_refused(environ: dict[str, str]) -> None:
    """Values of every kind in every variable are taken or refused, never more."""
    outcome(b"", environ)


def is_name(text: str) -> bool:
    """Whether the rules for names allow ``text``."""
    try:
        name(text, "name")
    except InvalidFeedback:
        return False
    return True


names = st.sampled_from(
    ["yes", "2024", "1.10", "2024-01-01", "~", "null", "<<", "a.b", "*", "日本語", "\u2028x"]
) | st.text(min_size=1, max_size=128)
names = names.filter(is_name)
ladders = st.lists(names, min_size=2, max_size=16, unique=True).map(tuple)


@st.composite
def rules(draw: st.DrawFn, tiers: tuple[str, ...]) -> dict[str, Any]:
    """Draw a whole set of rules that go together."""
    quality, *above = sorted(draw(st.lists(st.floats(0, 1), min_size=3, max_size=3, unique=True)))
    lower, downgrade = draw(st.permutations(above))
    return {
        "window_seconds": draw(st.integers(3600, 7_776_000)),
        "quality_threshold": quality,
        "downgrade_threshold": downgrade,
        "lower_tier_threshold": lower,
        "min_samples": draw(st.integers(1, 1_000_000)),
        "full_confidence_samples": draw(st.integers(1, 1_000_000)),
        "start_tier": draw(st.none() | st.sampled_from(tiers)),
    }


@st.composite
def configurations(draw: st.DrawFn) -> Config:
    """Draw a configuration that is valid."""
    tiers = draw(ladders)
    stages = st.dictionaries(names, rules(tiers).map(lambda own: StageOverrides(**own)), max_size=2)
    workflows = st.builds(lambda own, named: WorkflowOverrides(**own, stages=named), rules(tiers), stages)
    return Config(
        listen=draw(st.sampled_from(["0.0.0.0:1", "[::]:65535", "exporter:10470"])),
        store=draw(st.sampled_from(["sqlite://", "sqlite:///a: b#c.db"])),
        access_log=draw(st.booleans()),
        series_limit=draw(st.integers(1, 1_000_000)),
        tiers=tiers,
        rules=StageRules(**draw(rules(tiers))),
        workflows=draw(st.dictionaries(names, workflows, max_size=2)),
    )


@unhurried
@given(configurations())
def test_a_valid_configuration_survives_being_written_and_read(config: Config) -> None:
    """Every valid configuration can be written as YAML, and reads back as itself."""
    assert outcome(yaml.safe_dump(msgspec.to_builtins(config)).encode(), {}) == config


@unhurried
@given(configurations().filter(lambda config: "," not in "".join(config.tiers)))
def test_the_environment_says_what_the_file_can(config: Config) -> None:
    """All keys outside the workflows mean the same in a variable as in the file."""
    tree = msgspec.to_builtins(config)
    flat = {path: tree[path[0]] if len(path) == 1 else tree[path[0]][path[1]] for path in leaves()}
    texts = {path: ",".join(value) if isinstance(value, tuple) else str(value) for path, value in flat.items()}
    environ = {variable: texts[path] for variable, path in variables().items() if flat[path] is not None}
    assert load(None, environ, {}) == msgspec.structs.replace(config, workflows={})


def test_a_large_file_is_read_in_a_moment() -> None:
    """Aliases that would grow without bound are refused before they are followed."""
    bomb = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 50)}]\n" for n in range(1, 50))

    with pytest.raises(ConfigError, match="the anchor &a0 is not allowed; remove it"):
        load_text("a0: &a0 x\n" + bomb)


def load_text(text: str) -> Config:
    """Load a file of ``text``."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "exporter.yml"
        path.write_text(text)
        return load(path, {}, {})
