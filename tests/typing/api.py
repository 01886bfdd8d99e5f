"""The public API as a type checker sees it: mypy (strict) fails where a type changes.

Nothing here is run. Each ignored error is a misuse that must stay one: mypy refuses an ignore that is
not needed.
"""

from datetime import datetime
from typing import Any, assert_type

import exporter
from exporter import FeedbackEntry, FeedbackLoop, ModelTier, QualityStats, TierRecommendation
from exporter.rules import Rules
from exporter.store import open_store

assert_type(exporter.__version__, str)


def opening() -> None:
    """A store is an URL, an object, or left out."""
    assert_type(FeedbackLoop(), FeedbackLoop)
    FeedbackLoop("redis://localhost", strict=True)
    FeedbackLoop(open_store("sqlite://"), Rules(tiers=("small", "large")))
    with FeedbackLoop(store=None, rules=None) as loop:
        assert_type(loop, FeedbackLoop)
    FeedbackLoop(6379)  # type: ignore[arg-type]  # a port is no store
    FeedbackLoop("sqlite://", Rules(), True)  # type: ignore[call-arg]  # noqa: FBT003 - strict goes by its name


def operations(loop: FeedbackLoop) -> None:
    """The six operations, with the arguments by position and by name."""
    assert_type(loop.record_feedback("workflow", "stage", ModelTier.CHEAP, 0.5), str)
    loop.record_feedback(workflow_name="w", stage_name="s", tier="cheap", quality_score=1, metadata={"tokens": 3})
    assert_type(loop.get_quality_stats("workflow", "stage", tier=ModelTier.CAPABLE), QualityStats | None)
    assert_type(loop.recommend_tier("workflow", "stage", current_tier="premium"), TierRecommendation)
    assert_type(loop.get_feedback_history("workflow", "stage", "cheap", limit=5), list[FeedbackEntry])
    assert_type(loop.get_underperforming_stages("workflow", quality_threshold=0.8), list[tuple[str, QualityStats]])
    assert_type(loop.clear_feedback("workflow", stage_name="stage"), int)
    assert_type(loop.clear_feedback("workflow"), int)
    assert_type(loop.close(), None)
    loop.record_feedback("workflow", "stage", "cheap", "good")  # type: ignore[arg-type]  # a score is a number


def records(entry: FeedbackEntry, stats: QualityStats, recommendation: TierRecommendation) -> None:
    """The fields of the record types, which cannot be changed."""
    assert_type(entry.feedback_id, str)
    assert_type(entry.workflow_name, str)
    assert_type(entry.stage_name, str)
    assert_type(entry.tier, str)
    assert_type(entry.quality_score, float)
    assert_type(entry.timestamp, datetime)
    assert_type(entry.metadata, dict[str, Any])
    assert_type(stats.tier, str | None)
    assert_type(stats.avg_quality, float)
    assert_type(stats.min_quality, float)
    assert_type(stats.max_quality, float)
    assert_type(stats.sample_count, int)
    assert_type(stats.recent_trend, float)
    assert_type(recommendation.current_tier, str)
    assert_type(recommendation.recommended_tier, str)
    assert_type(recommendation.confidence, float)
    assert_type(recommendation.reason, str)
    assert_type(recommendation.stats, dict[str, QualityStats])
    stats.avg_quality = 1.0  # type: ignore[misc]  # records are frozen
