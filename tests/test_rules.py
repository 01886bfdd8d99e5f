"""The rules in force."""

from typing import get_type_hints

import msgspec
import pytest

from exporter.domain import Ladder
from exporter.rules import WEEK, Rules, StageOverrides, StageRules, WorkflowOverrides

HOUR = 3600


def test_the_defaults() -> None:
    """Out of the box the rules are those of the mission."""
    assert Rules().defaults == StageRules(
        window_seconds=604_800,
        quality_threshold=0.7,
        downgrade_threshold=0.9,
        lower_tier_threshold=0.85,
        min_samples=10,
        full_confidence_samples=20,
        start_tier=None,
    )
    assert Rules().ladder == ("cheap", "capable", "premium")


def test_the_ladder_has_ranks() -> None:
    """The tiers are handed out as a ladder, always the same one."""
    rules = Rules(tiers=("small", "large"))

    assert isinstance(rules.ladder, Ladder)
    assert rules.ladder.above("small") == "large"
    assert rules.ladder is Rules(tiers=("small", "large")).ladder


class TestStage:
    """Which rules hold for a stage."""

    rules = Rules(
        defaults=StageRules(quality_threshold=0.6, min_samples=7),
        workflows={
            "review": WorkflowOverrides(
                quality_threshold=0.5,
                start_tier="premium",
                stages={"analysis": StageOverrides(quality_threshold=0.4, window_seconds=HOUR)},
            ),
            "plain": WorkflowOverrides(stages={"analysis": StageOverrides(start_tier="capable", min_samples=1)}),
        },
    )

    @pytest.mark.parametrize(
        ("workflow", "stage", "expected"),
        [
            ("other", "analysis", StageRules(quality_threshold=0.6, min_samples=7)),
            ("review", "other", StageRules(quality_threshold=0.5, min_samples=7, start_tier="premium")),
            (
                "review",
                "analysis",
                StageRules(quality_threshold=0.4, min_samples=7, start_tier="premium", window_seconds=HOUR),
            ),
            ("plain", "other", StageRules(quality_threshold=0.6, min_samples=7)),
            ("plain", "analysis", StageRules(quality_threshold=0.6, min_samples=1, start_tier="capable")),
        ],
        ids=["a workflow without rules", "a workflow's", "a stage's", "a stage without", "a stage's alone"],
    )
    def test_layers(self, workflow: str, stage: str, expected: StageRules) -> None:
        """A stage's own rule holds, else its workflow's, else the default: each key for itself."""
        assert self.rules.stage(workflow, stage) == expected

    def test_a_value_that_looks_like_nothing_is_a_value(self) -> None:
        """Zero and null override like any other value; only what is left out is inherited."""
        rules = Rules(
            defaults=StageRules(start_tier="premium"),
            workflows={"w": WorkflowOverrides(quality_threshold=0.0, start_tier=None)},
        )

        assert rules.stage("w", "s").quality_threshold == 0.0
        assert rules.stage("w", "s").start_tier is None

    def test_the_start_tier(self) -> None:
        """A stage without a start tier of its own starts at the lowest of the ladder."""
        assert self.rules.start_tier("review", "any") == "premium"
        assert self.rules.start_tier("plain", "analysis") == "capable"
        assert self.rules.start_tier("other", "any") == "cheap"
        assert Rules(tiers=("small", "large")).start_tier("other", "any") == "small"


@pytest.mark.parametrize(
    ("defaults", "workflow", "stage", "longest"),
    [
        ({}, {}, {}, WEEK),
        ({"window_seconds": HOUR}, {}, {}, HOUR),
        ({"window_seconds": HOUR}, {"window_seconds": 2 * HOUR}, {}, 2 * HOUR),
        ({"window_seconds": HOUR}, {"window_seconds": 2 * HOUR}, {"window_seconds": 3 * HOUR}, 3 * HOUR),
        ({"window_seconds": HOUR}, {}, {"window_seconds": 3 * HOUR}, 3 * HOUR),
        ({}, {"window_seconds": HOUR}, {"window_seconds": HOUR}, WEEK),
    ],
    ids=["as shipped", "default", "workflow", "stage of a workflow", "stage alone", "shorter ones"],
)
def test_the_longest_window(
    defaults: dict[str, int], workflow: dict[str, int], stage: dict[str, int], longest: int
) -> None:
    """A store must retain the longest window of any stage, wherever it is set."""
    rules = msgspec.convert(
        {"defaults": defaults, "workflows": {"w": {**workflow, "stages": {"s": stage, "t": {}}}, "v": {}}}, Rules
    )

    assert rules.longest_window == longest


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window_seconds": 3599}, "Expected `int` >= 3600 - at `$.window_seconds`"),
        ({"window_seconds": 90 * 86_400 + 1}, "Expected `int` <= 7776000 - at `$.window_seconds`"),
        ({"quality_threshold": 1.1}, "Expected `float` <= 1.0 - at `$.quality_threshold`"),
        ({"quality_threshold": -0.1}, "Expected `float` >= 0.0 - at `$.quality_threshold`"),
        ({"downgrade_threshold": "0.9"}, "Expected `float`, got `str` - at `$.downgrade_threshold`"),
        ({"lower_tier_threshold": True}, "Expected `float`, got `bool` - at `$.lower_tier_threshold`"),
        ({"min_samples": 0}, "Expected `int` >= 1 - at `$.min_samples`"),
        ({"full_confidence_samples": 0}, "Expected `int` >= 1 - at `$.full_confidence_samples`"),
        ({"start_tier": 1}, "Expected `str | null`, got `int` - at `$.start_tier`"),
        ({"threshold": 1}, "Object contains unknown field `threshold`"),
    ],
)
@pytest.mark.parametrize("kind", [StageRules, StageOverrides, WorkflowOverrides])
def test_what_the_types_refuse(kind: type[msgspec.Struct], given: dict[str, object], message: str) -> None:
    """Ranges and names are the types' own: the defaults and both kinds of overrides refuse alike."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(given, kind)
    assert str(caught.value) == message


def test_overrides_have_every_rule() -> None:
    """Whatever a rule of a stage is, a workflow and a stage can override it."""
    assert StageOverrides.__struct_fields__ == StageRules.__struct_fields__
    assert WorkflowOverrides.__struct_fields__ == (*StageRules.__struct_fields__, "stages")


def test_every_rule_is_described() -> None:
    """Each rule says what it means, for the configuration's documentation."""
    hints = get_type_hints(StageRules, include_extras=True)

    assert all(meta.description for hint in hints.values() for meta in hint.__metadata__)
    assert list(hints) == list(StageRules.__struct_fields__)
