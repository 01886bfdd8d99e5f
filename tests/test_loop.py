"""FeedbackLoop: the six operations, over every kind of store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from exporter.domain import MILLION, Feedback, ModelTier, SeriesKey
from exporter.errors import InvalidFeedback
from exporter.loop import FeedbackEntry, FeedbackLoop
from exporter.policy import TierRecommendation
from exporter.rules import Rules, WorkflowOverrides
from exporter.stats import QualityStats
from exporter.store.base import Store
from exporter.view import View
from tests.support.ports import free_port
from tests.support.ratings import NOW

HOUR = 3600 * MILLION
DAY = 24 * HOUR
SECOND = MILLION


class Clock:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        """Begin at ``NOW``."""
        self.now = NOW

    def __call__(self) -> int:
        """Tell the time, in microseconds."""
        return self.now


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no store and no configuration but their own."""
    monkeypatch.delenv("FEEDBACK_EXPORTER_STORE", raising=False)
    monkeypatch.delenv("FEEDBACK_EXPORTER_CONFIG", raising=False)


@pytest.fixture
def clock() -> Clock:
    """Return a clock of one's own."""
    return Clock()


@pytest.fixture
def loop(store: Store, clock: Clock) -> FeedbackLoop:
    """Return a loop with the default rules over the empty store."""
    return FeedbackLoop(store, Rules(), clock=clock)


def away(**options: Any) -> FeedbackLoop:  # noqa: ANN401 - any option of the loop
    """Return a loop whose store cannot be reached."""
    return FeedbackLoop(f"redis://user:secret@127.0.0.1:{free_port()}", Rules(), **options)


def record_all(loop: FeedbackLoop, scores: list[float], stage: str = "analysis", tier: str = "cheap") -> None:
    """Record ``scores``, in order, a second apart as the loop's clock tells it."""
    for score in scores:
        loop._clock.now += SECOND  # type: ignore[attr-defined]  # the clock is ours
        loop.record_feedback("code-review", stage, tier, score)


class TestRecord:
    """``record_feedback``."""

    def test_entry(self, loop: FeedbackLoop) -> None:
        """What was recorded is found again, every field of it, under the id that was returned."""
        metadata = {"tokens": 412, "cost": 0.25, "tags": ["a", None, True], "näme": {"x": "日本語"}}

        feedback_id = loop.record_feedback("code-review", "analysis", ModelTier.CAPABLE, 0.75, metadata)

        assert loop.get_feedback_history("code-review", "analysis") == [
            FeedbackEntry(
                feedback_id=feedback_id,
                workflow_name="code-review",
                stage_name="analysis",
                tier="capable",
                quality_score=0.75,
                timestamp=datetime(2025, 1, 1, tzinfo=UTC),
                metadata=metadata,
                source=None,
            )
        ]

    def test_ids(self, loop: FeedbackLoop) -> None:
        """Each rating has an id of its own, equal ratings at one moment too."""
        ids = {loop.record_feedback("code-review", "analysis", "cheap", 0.5) for _ in range(50)}

        assert len(ids) == 50
        assert "" not in ids

    def test_no_metadata(self, loop: FeedbackLoop) -> None:
        """Without metadata an entry has an empty dictionary."""
        loop.record_feedback("code-review", "analysis", "cheap", 0.5)

        assert loop.get_feedback_history("code-review", "analysis")[0].metadata == {}

    def test_tier_spellings(self, loop: FeedbackLoop) -> None:
        """A ModelTier and its text name the same series, and come back as a plain text."""
        loop.record_feedback("code-review", "analysis", ModelTier.CHEAP, 0.2)
        loop.record_feedback("code-review", "analysis", "cheap", 0.4)

        stats = loop.get_quality_stats("code-review", "analysis", ModelTier.CHEAP)
        assert stats is not None
        assert stats.sample_count == 2
        assert type(stats.tier) is str

    def test_edges(self, loop: FeedbackLoop) -> None:
        """0, 1 and what rounds to them are scores."""
        record_all(loop, [0, 1, 1.0000000000000002, -1e-9])

        history = loop.get_feedback_history("code-review", "analysis")
        assert [entry.quality_score for entry in history] == [0.0, 1.0, 1.0, 0.0]

    BAD: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("nan", {"quality_score": float("nan")}, "quality_score: nan is not a finite number from 0 to 1"),
        ("infinite", {"quality_score": float("inf")}, "quality_score: inf is not a finite number from 0 to 1"),
        ("too high", {"quality_score": 1.1}, "quality_score: 1.1 is outside 0 to 1"),
        ("too low", {"quality_score": -0.01}, "quality_score: -0.01 is outside 0 to 1"),
        ("text", {"quality_score": "0.5"}, "quality_score: '0.5' is not a number from 0 to 1"),
        ("boolean", {"quality_score": True}, "quality_score: True is not a number from 0 to 1"),
        ("none", {"quality_score": None}, "quality_score: None is not a number from 0 to 1"),
        ("empty workflow", {"workflow_name": ""}, "workflow_name: must not be empty"),
        ("no text", {"workflow_name": 3}, "workflow_name: 3 is not a text"),
        ("white space", {"stage_name": " analysis"}, "stage_name: ' analysis' has white space at an end"),
        ("long stage", {"stage_name": "x" * 129}, "stage_name: has 129 characters, at most 128 are allowed"),
        (
            "control character",
            {"stage_name": "a\nb"},
            r"stage_name: 'a\nb' holds a control character or half a surrogate pair",
        ),
        ("unknown tier", {"tier": "gpt"}, "tier: 'gpt' is none of cheap, capable, premium"),
        ("no tier", {"tier": None}, "tier: None is none of cheap, capable, premium"),
        ("list", {"metadata": [1]}, "metadata: [1] is not a dictionary that JSON carries unchanged"),
        (
            "tuple inside",
            {"metadata": {"a": (1,)}},
            "metadata: {'a': (1,)} is not a dictionary that JSON carries unchanged",
        ),
        ("large", {"metadata": {"a": "x" * 4096}}, "metadata: takes 4104 bytes, at most 4096 are allowed"),
    )

    @pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
    @pytest.mark.parametrize("strict", [False, True])
    def test_bad_value(self, change: dict[str, Any], message: str, *, strict: bool) -> None:
        """A value that is not usable raises a ValueError that says so, strict or not, before the store is asked."""
        usable: dict[str, Any] = {"workflow_name": "w", "stage_name": "s", "tier": "cheap", "quality_score": 0.5}

        with away(strict=strict) as loop, pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is matched below
            loop.record_feedback(**{**usable, **change})

        assert isinstance(caught.value, InvalidFeedback)
        assert str(caught.value) == message


class TestStats:
    """``get_quality_stats``."""

    def test_one_tier(self, loop: FeedbackLoop) -> None:
        """The statistics of a tier are those of its ratings alone."""
        record_all(loop, [0.9, 0.8, 0.5, 0.4])
        record_all(loop, [0.1], tier="premium")

        stats = loop.get_quality_stats("code-review", "analysis", "cheap")
        assert isinstance(stats, QualityStats)
        assert msgspec.structs.asdict(stats) == {
            "workflow_name": "code-review",
            "stage_name": "analysis",
            "tier": "cheap",
            "avg_quality": pytest.approx(0.65),
            "min_quality": 0.4,
            "max_quality": 0.9,
            "sample_count": 4,
            "recent_trend": pytest.approx((0.45 - 0.85) / 0.85),
            "lower_bound": pytest.approx(0.41647, abs=1e-5),
            "upper_bound": pytest.approx(0.88353, abs=1e-5),
            "trend_upper_bound": pytest.approx(0.15642, abs=1e-5),
            "last_timestamp": NOW / MILLION + 4,
        }

    def test_all_tiers(self, loop: FeedbackLoop) -> None:
        """Without a tier the statistics run over all tiers of the stage, in order of time."""
        for score in (0.2, 0.4, 0.6, 0.8):
            record_all(loop, [score], tier="cheap")
            record_all(loop, [score + 0.1], tier="premium")

        stats = loop.get_quality_stats("code-review", "analysis")

        assert stats is not None
        assert (stats.tier, stats.sample_count) == (None, 8)
        assert (stats.min_quality, stats.max_quality) == (0.2, 0.9)
        assert stats.avg_quality == pytest.approx(0.55)
        assert stats.recent_trend == pytest.approx((0.75 - 0.35) / 0.35)

    def test_nothing(self, loop: FeedbackLoop) -> None:
        """A stage, or a tier of one, without ratings has no statistics."""
        record_all(loop, [0.5])

        assert loop.get_quality_stats("code-review", "analysis", "premium") is None
        assert loop.get_quality_stats("code-review", "other") is None
        assert loop.get_quality_stats("other", "analysis") is None

    def test_window(self, loop: FeedbackLoop, clock: Clock) -> None:
        """A rating counts while its hour is in the window of its stage, and not a moment longer."""
        loop.record_feedback("code-review", "analysis", "cheap", 0.5)

        clock.now = NOW + 7 * DAY + HOUR - 1
        assert loop.get_quality_stats("code-review", "analysis") is not None
        clock.now += 1
        assert loop.get_quality_stats("code-review", "analysis") is None
        assert loop.get_feedback_history("code-review", "analysis") == []

    def test_same_as_the_view(self, loop: FeedbackLoop, store: Store, clock: Clock) -> None:
        """The loop shows the numbers that the server shows."""
        record_all(loop, [0.3, 0.9, 0.6] * 5)
        record_all(loop, [0.8] * 5, tier="capable")
        view = View(store, loop.rules)
        view.refresh(clock.now)
        stage = view.stage("code-review", "analysis")

        assert loop.get_quality_stats("code-review", "analysis") == stage.all_tiers
        assert loop.get_quality_stats("code-review", "analysis", "capable") == stage.stats["capable"]
        assert loop.recommend_tier("code-review", "analysis") == stage.recommendation

    def test_bad_value(self, loop: FeedbackLoop) -> None:
        """Names and tiers that are not usable are refused by name."""
        with pytest.raises(InvalidFeedback, match=r"\Astage_name: must not be empty\Z"):
            loop.get_quality_stats("code-review", "")
        with pytest.raises(InvalidFeedback, match=r"\Atier: 'gpt' is none of cheap, capable, premium\Z"):
            loop.get_quality_stats("code-review", "analysis", "gpt")


class TestRecommend:
    """``recommend_tier``."""

    def test_no_rating(self, loop: FeedbackLoop) -> None:
        """Without ratings the lowest tier is kept, with confidence 0."""
        assert loop.recommend_tier("code-review", "analysis") == TierRecommendation(
            current_tier="cheap",
            recommended_tier="cheap",
            confidence=0.0,
            reason="Stay on cheap: it has 0 ratings in the window, a recommendation needs 10.",
            stats={},
        )

    def test_upgrade(self, loop: FeedbackLoop) -> None:
        """A tier that averages too low is left for the next one, and the reason names the numbers."""
        record_all(loop, [0.5] * 15)

        recommendation = loop.recommend_tier("code-review", "analysis")

        assert (recommendation.current_tier, recommendation.recommended_tier) == ("cheap", "capable")
        assert recommendation.confidence == 0.75
        assert recommendation.reason == "Move up to capable: cheap averages 0.5 over 15 ratings, below 0.7."
        assert list(recommendation.stats) == ["cheap"]

    @pytest.mark.parametrize("tier", ["premium", ModelTier.PREMIUM])
    def test_current_tier(self, loop: FeedbackLoop, tier: str) -> None:
        """Whoever names the tier in use is answered from there, whatever the traffic shows."""
        record_all(loop, [0.88] * 20, tier="capable")
        record_all(loop, [0.95] * 10, tier="premium")

        recommendation = loop.recommend_tier("code-review", "analysis", tier)

        assert (recommendation.current_tier, recommendation.recommended_tier) == ("premium", "capable")
        assert type(recommendation.current_tier) is str
        assert list(recommendation.stats) == ["capable", "premium"]

    def test_unknown_tier(self, loop: FeedbackLoop) -> None:
        """A current tier that the ladder lacks is refused under the name of the argument."""
        with pytest.raises(InvalidFeedback, match=r"\Acurrent_tier: 'gpt' is none of cheap, capable, premium\Z"):
            loop.recommend_tier("code-review", "analysis", "gpt")


class TestHistory:
    """``get_feedback_history``."""

    def test_order(self, loop: FeedbackLoop) -> None:
        """The newest rating comes first, whatever its tier."""
        record_all(loop, [0.1])
        record_all(loop, [0.2], tier="premium")
        record_all(loop, [0.3])

        assert [entry.quality_score for entry in loop.get_feedback_history("code-review", "analysis")] == [
            0.3,
            0.2,
            0.1,
        ]

    def test_tier_and_limit(self, loop: FeedbackLoop) -> None:
        """A tier and a limit narrow the history to the newest of that tier."""
        record_all(loop, [0.1, 0.2, 0.3])
        record_all(loop, [0.4], tier="premium")

        history = loop.get_feedback_history("code-review", "analysis", ModelTier.CHEAP, limit=2)

        assert [entry.quality_score for entry in history] == [0.3, 0.2]

    def test_default_limit(self, loop: FeedbackLoop) -> None:
        """At most 100 ratings are returned unless more are asked for."""
        record_all(loop, [0.5] * 101)

        assert len(loop.get_feedback_history("code-review", "analysis")) == 100
        assert len(loop.get_feedback_history("code-review", "analysis", limit=1000)) == 101

    def test_only_live(self, loop: FeedbackLoop, clock: Clock) -> None:
        """A rating whose hour has left the window is not shown, though the store still has it."""
        record_all(loop, [0.1])
        clock.now = NOW + 7 * DAY
        record_all(loop, [0.2])
        assert len(loop.get_feedback_history("code-review", "analysis")) == 2

        clock.now = NOW + 7 * DAY + HOUR
        assert [entry.quality_score for entry in loop.get_feedback_history("code-review", "analysis")] == [0.2]

    def test_what_others_recorded(self, loop: FeedbackLoop, store: Store) -> None:
        """Ratings that came another way are shown with their own id, time, source and metadata."""
        earlier = NOW - 90 * SECOND
        key = SeriesKey("code-review", "analysis", "cheap")
        store.append([Feedback(key, "mine", 250_000, earlier, NOW, "judge", b'{"a": 1.0}')], NOW)

        assert loop.get_feedback_history("code-review", "analysis") == [
            FeedbackEntry(
                feedback_id="mine",
                workflow_name="code-review",
                stage_name="analysis",
                tier="cheap",
                quality_score=0.25,
                timestamp=datetime(2025, 1, 1, tzinfo=UTC) - timedelta(seconds=90),
                metadata={"a": 1.0},
                source="judge",
            )
        ]

    @pytest.mark.parametrize(("limit", "given"), [(0, "0"), (-1, "-1"), (True, "True"), ("5", "'5'"), (1.5, "1.5")])
    def test_bad_limit(self, loop: FeedbackLoop, limit: Any, given: str) -> None:  # noqa: ANN401 - any wrong type
        """A limit that is no whole number of 1 or more is refused."""
        with pytest.raises(InvalidFeedback) as caught:
            loop.get_feedback_history("code-review", "analysis", limit=limit)

        assert str(caught.value) == f"limit: {given} is not a whole number of 1 or more"


class TestUnderperforming:
    """``get_underperforming_stages``."""

    def test_order(self, loop: FeedbackLoop) -> None:
        """What averages below the threshold is listed, the worst first, ties by name."""
        record_all(loop, [0.6], stage="b")
        record_all(loop, [0.5], stage="c", tier="premium")
        record_all(loop, [0.6], stage="a/x", tier="capable")
        record_all(loop, [0.7], stage="on it")
        record_all(loop, [0.9], stage="good")
        loop.record_feedback("other", "bad", "cheap", 0.1)

        found = loop.get_underperforming_stages("code-review")

        assert [name for name, _ in found] == ["c/premium", "a/x/capable", "b/cheap"]
        assert [(stats.stage_name, stats.tier) for _, stats in found] == [
            ("c", "premium"),
            ("a/x", "capable"),
            ("b", "cheap"),
        ]
        assert found[0][1] == loop.get_quality_stats("code-review", "c", "premium")

    def test_threshold(self, loop: FeedbackLoop) -> None:
        """The threshold is the caller's to choose."""
        record_all(loop, [0.6], stage="a")
        record_all(loop, [0.8], stage="b")

        assert [name for name, _ in loop.get_underperforming_stages("code-review", 0.5)] == []
        assert [name for name, _ in loop.get_underperforming_stages("code-review", quality_threshold=1)] == [
            "a/cheap",
            "b/cheap",
        ]

    def test_sees_the_latest(self, loop: FeedbackLoop, clock: Clock) -> None:
        """Each call sees what was recorded, cleared, or left the window before it."""
        assert loop.get_underperforming_stages("code-review") == []
        record_all(loop, [0.1], stage="a")
        record_all(loop, [0.2], stage="b")
        assert len(loop.get_underperforming_stages("code-review")) == 2
        loop.clear_feedback("code-review", "a")
        assert len(loop.get_underperforming_stages("code-review")) == 1
        clock.now += 8 * DAY
        assert loop.get_underperforming_stages("code-review") == []

    def test_bad_threshold(self, loop: FeedbackLoop) -> None:
        """A threshold that is no score is refused under its name."""
        with pytest.raises(InvalidFeedback, match=r"\Aquality_threshold: 70 is outside 0 to 1\Z"):
            loop.get_underperforming_stages("code-review", 70)


class TestClear:
    """``clear_feedback``."""

    def test_stage(self, loop: FeedbackLoop) -> None:
        """Clearing a stage removes all its tiers and nothing else."""
        record_all(loop, [0.5, 0.6])
        record_all(loop, [0.7], tier="premium")
        record_all(loop, [0.8], stage="other")

        assert loop.clear_feedback("code-review", "analysis") == 3
        assert loop.get_quality_stats("code-review", "analysis") is None
        assert loop.get_feedback_history("code-review", "analysis") == []
        assert loop.get_quality_stats("code-review", "other") is not None
        assert loop.clear_feedback("code-review", "analysis") == 0

    def test_workflow(self, loop: FeedbackLoop) -> None:
        """Clearing a workflow removes its stages; a name is a name, not a pattern."""
        loop.record_feedback("*", "analysis", "cheap", 0.5)
        record_all(loop, [0.5])
        record_all(loop, [0.6], stage="other")

        assert loop.clear_feedback("*") == 1
        assert loop.clear_feedback("code-review") == 2

    def test_counts_live_ratings(self, store: Store, clock: Clock) -> None:
        """What has left the window of its own stage is deleted but not counted."""
        rules = Rules(workflows={"short": WorkflowOverrides(window_seconds=3600)})
        loop = FeedbackLoop(store, rules, clock=clock)
        for workflow in ("short", "long"):
            loop.record_feedback(workflow, "analysis", "cheap", 0.5)
        clock.now += DAY
        loop.record_feedback("short", "analysis", "cheap", 0.5)

        assert loop.clear_feedback("short") == 1
        assert loop.clear_feedback("long") == 1

    def test_bad_name(self, loop: FeedbackLoop) -> None:
        """An empty stage is refused; it does not clear the whole workflow."""
        with pytest.raises(InvalidFeedback, match=r"\Astage_name: must not be empty\Z"):
            loop.clear_feedback("code-review", "")
