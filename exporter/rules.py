"""The rules in force: ladder, windows, thresholds; frozen types that carry their own defaults.

Pure: ``config`` builds these from YAML and environment, everything else only reads them.
Each field's ``Meta`` holds its range and its description; ``config`` and the README's table are made from them.
"""

from functools import cache
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exporter.domain import Ladder, ModelTier

HOUR = 3600
WEEK = 7 * 24 * HOUR

Window = Annotated[
    int, Meta(ge=HOUR, le=90 * 24 * HOUR, description="how long a rating counts, in seconds; read in whole hours")
]
QualityThreshold = Annotated[float, Meta(ge=0, le=1, description="an average below it asks for one tier up")]
DowngradeThreshold = Annotated[float, Meta(ge=0, le=1, description="an average above it lets a stage go one tier down")]
LowerTierThreshold = Annotated[
    float, Meta(ge=0, le=1, description="going down needs the lower tier's own average above it")
]
MinSamples = Annotated[int, Meta(ge=1, le=1_000_000, description="ratings in the window that a recommendation needs")]
FullConfidence = Annotated[
    int, Meta(ge=1, le=1_000_000, description="ratings at which confidence is 1; below, samples / this number")
]
StartTier = Annotated[
    str | None, Meta(description="current tier of a stage without live ratings; none: the lowest of the ladder")
]


class StageRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one stage."""

    window_seconds: Window = WEEK
    quality_threshold: QualityThreshold = 0.7
    downgrade_threshold: DowngradeThreshold = 0.9
    lower_tier_threshold: LowerTierThreshold = 0.85
    min_samples: MinSamples = 10
    full_confidence_samples: FullConfidence = 20
    start_tier: StartTier = None


class StageOverrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules that a stage or a workflow sets for itself; what it leaves out is inherited."""

    window_seconds: Window | UnsetType = UNSET
    quality_threshold: QualityThreshold | UnsetType = UNSET
    downgrade_threshold: DowngradeThreshold | UnsetType = UNSET
    lower_tier_threshold: LowerTierThreshold | UnsetType = UNSET
    min_samples: MinSamples | UnsetType = UNSET
    full_confidence_samples: FullConfidence | UnsetType = UNSET
    start_tier: StartTier | UnsetType = UNSET


class WorkflowOverrides(StageOverrides, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one workflow, and of its stages by name."""

    stages: Annotated[
        dict[str, StageOverrides], Meta(description="rules of single stages, by name; each key as above")
    ] = {}


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules: the ladder, the defaults, and what workflows and stages override."""

    tiers: tuple[str, ...] = tuple(tier.value for tier in ModelTier)
    defaults: StageRules = StageRules()
    workflows: dict[str, WorkflowOverrides] = {}

    @property
    def ladder(self) -> Ladder:
        """The tiers, cheapest first."""
        return _ladder(self.tiers)

    @property
    def longest_window(self) -> int:
        """Seconds of the longest window that any stage has: the least that a store must retain."""
        return max(
            self.defaults.window_seconds,
            *(
                rules.window_seconds or 0
                for workflow in self.workflows.values()
                for rules in (workflow, *workflow.stages.values())
            ),
            0,
        )

    def stage(self, workflow: str, stage: str) -> StageRules:
        """Rules in force for a stage: its own, else its workflow's, else the defaults."""
        overrides = self.workflows.get(workflow)
        if overrides is None:
            return self.defaults
        rules = self.defaults
        for layer in (overrides, overrides.stages.get(stage)):
            if layer is not None:
                rules = msgspec.structs.replace(rules, **_set_fields(layer))
        return rules

    def start_tier(self, workflow: str, stage: str) -> str:
        """Return the tier that a stage without live ratings is taken to use."""
        return self.stage(workflow, stage).start_tier or self.tiers[0]


@cache
def _ladder(tiers: tuple[str, ...]) -> Ladder:
    return Ladder(tiers)


def _set_fields(overrides: StageOverrides) -> dict[str, object]:
    return {
        field: value for field in StageOverrides.__struct_fields__ if (value := getattr(overrides, field)) is not UNSET
    }
