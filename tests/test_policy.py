"""The policy: statistics + rules -> recommended tier and the sentence that says why."""

import random
from collections.abc import Sequence
from math import nextafter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import Ladder
from exporter.errors import InvalidFeedback
from exporter.policy import TierRecommendation, _figure, current_tier, recommend
from exporter.rules import WEEK, StageRules
from exporter.stats import Live, QualityStats, live
from tests.support import reference
from tests.support.ratings import NOW, record_of, spread
from tests.support.reference import Rating

LADDER = Ladder(("cheap", "capable", "premium"))
RULES = StageRules()


def tier_stats(tier: str, average: float, samples: int) -> QualityStats:
    """Statistics of ``tier`` with the two numbers that the policy reads."""
    return QualityStats(
        workflow_name="code-review",
        stage_name="analysis",
        tier=tier,
        avg_quality=average,
        min_quality=0.0,
        max_quality=1.0,
        sample_count=samples,
        recent_trend=0.0,
        lower_bound=0.0,
        upper_bound=1.0,
        trend_upper_bound=0.0,
        last_timestamp=0.0,
    )


def advise(
    current: str, tiers: dict[str, tuple[float, int]], rules: StageRules = RULES, ladder: Ladder = LADDER
) -> TierRecommendation:
    """Recommend from ``current``, given average and samples by tier."""
    stats = {tier: tier_stats(tier, average, samples) for tier, (average, samples) in tiers.items()}
    return recommend(stats, current, rules, ladder)


class Case(msgspec.Struct, kw_only=True):
    """One row of the table of verdicts."""

    name: str
    current: str = "capable"
    tiers: dict[str, tuple[float, int]]
    recommended: str
    confidence: float
    reason: str


CASES = [
    Case(
        name="no data at all",
        tiers={},
        recommended="capable",
        confidence=0,
        reason="Stay on capable: it has 0 ratings in the window, a recommendation needs 10.",
    ),
    Case(
        name="no data on the current tier",
        tiers={"cheap": (0.99, 500), "premium": (0.1, 500)},
        recommended="capable",
        confidence=0,
        reason="Stay on capable: it has 0 ratings in the window, a recommendation needs 10.",
    ),
    Case(
        name="one rating",
        tiers={"capable": (0.0, 1)},
        recommended="capable",
        confidence=0,
        reason="Stay on capable: it has 1 rating in the window, a recommendation needs 10.",
    ),
    Case(
        name="one sample too few, however bad",
        tiers={"capable": (0.0, 9)},
        recommended="capable",
        confidence=0,
        reason="Stay on capable: it has 9 ratings in the window, a recommendation needs 10.",
    ),
    Case(
        name="bad, samples just enough",
        tiers={"capable": (0.5, 10)},
        recommended="premium",
        confidence=0.5,
        reason="Move up to premium: capable averages 0.5 over 10 ratings, below 0.7.",
    ),
    Case(
        name="bad at the bottom",
        current="cheap",
        tiers={"cheap": (0.65432, 15)},
        recommended="capable",
        confidence=0.75,
        reason="Move up to capable: cheap averages 0.654 over 15 ratings, below 0.7.",
    ),
    Case(
        name="bad, the higher tier known to be worse: the rules do not ask",
        tiers={"capable": (0.6, 20), "premium": (0.1, 20)},
        recommended="premium",
        confidence=1,
        reason="Move up to premium: capable averages 0.6 over 20 ratings, below 0.7.",
    ),
    Case(
        name="bad at the top",
        current="premium",
        tiers={"premium": (0.6, 40)},
        recommended="premium",
        confidence=1,
        reason=("Stay on premium: premium averages 0.6 over 40 ratings, below 0.7, but there is no higher tier."),
    ),
    Case(
        name="good enough",
        tiers={"capable": (0.8, 12), "cheap": (0.99, 99)},
        recommended="capable",
        confidence=0.6,
        reason="Stay on capable: capable averages 0.8 over 12 ratings, between 0.7 and 0.9.",
    ),
    Case(
        name="exactly on the quality threshold",
        tiers={"capable": (0.7, 20)},
        recommended="capable",
        confidence=1,
        reason="Stay on capable: capable averages 0.7 over 20 ratings, between 0.7 and 0.9.",
    ),
    Case(
        name="a hair below the quality threshold",
        tiers={"capable": (nextafter(0.7, 0), 20)},
        recommended="premium",
        confidence=1,
        reason="Move up to premium: capable averages 0.6999999999999998 over 20 ratings, below 0.7.",
    ),
    Case(
        name="a millionth of one of many scores below the quality threshold",
        tiers={"capable": (0.69999995, 20)},
        recommended="premium",
        confidence=1,
        reason="Move up to premium: capable averages 0.69999995 over 20 ratings, below 0.7.",
    ),
    Case(
        name="exactly on the downgrade threshold",
        tiers={"capable": (0.9, 20), "cheap": (0.99, 20)},
        recommended="capable",
        confidence=1,
        reason="Stay on capable: capable averages 0.9 over 20 ratings, between 0.7 and 0.9.",
    ),
    Case(
        name="just below the downgrade threshold",
        tiers={"capable": (0.89999, 20), "cheap": (0.99, 20)},
        recommended="capable",
        confidence=1,
        reason="Stay on capable: capable averages 0.89999 over 20 ratings, between 0.7 and 0.9.",
    ),
    Case(
        name="excellent, and the lower tier good",
        tiers={"capable": (0.95, 19), "cheap": (0.88, 10)},
        recommended="cheap",
        confidence=0.95,
        reason=(
            "Move down to cheap: capable averages 0.95 over 19 ratings, above 0.9, "
            "and cheap averages 0.88 over 10 ratings, above 0.85."
        ),
    ),
    Case(
        name="a hair above both thresholds",
        tiers={"capable": (0.90004, 20), "cheap": (0.8500001, 20)},
        recommended="cheap",
        confidence=1,
        reason=(
            "Move down to cheap: capable averages 0.90004 over 20 ratings, above 0.9, "
            "and cheap averages 0.8500001 over 20 ratings, above 0.85."
        ),
    ),
    Case(
        name="excellent, the lower tier exactly on its threshold",
        tiers={"capable": (1.0, 20), "cheap": (0.85, 20)},
        recommended="capable",
        confidence=1,
        reason=(
            "Stay on capable: capable averages 1 over 20 ratings, above 0.9, "
            "but cheap averages 0.85 over 20 ratings, not above 0.85."
        ),
    ),
    Case(
        name="excellent, the lower tier bad",
        tiers={"capable": (0.95, 20), "cheap": (0.2, 10)},
        recommended="capable",
        confidence=1,
        reason=(
            "Stay on capable: capable averages 0.95 over 20 ratings, above 0.9, "
            "but cheap averages 0.2 over 10 ratings, not above 0.85."
        ),
    ),
    Case(
        name="excellent, too few samples of the lower tier",
        tiers={"capable": (0.95, 20), "cheap": (1.0, 9)},
        recommended="capable",
        confidence=1,
        reason=(
            "Stay on capable: capable averages 0.95 over 20 ratings, above 0.9, "
            "but cheap has 9 ratings in the window, going down needs 10."
        ),
    ),
    Case(
        name="excellent, one rating of the lower tier",
        tiers={"capable": (0.95, 20), "cheap": (1.0, 1)},
        recommended="capable",
        confidence=1,
        reason=(
            "Stay on capable: capable averages 0.95 over 20 ratings, above 0.9, "
            "but cheap has 1 rating in the window, going down needs 10."
        ),
    ),
    Case(
        name="excellent, no rating of the lower tier",
        tiers={"capable": (0.95, 20), "premium": (1.0, 20)},
        recommended="capable",
        confidence=1,
        reason=(
            "Stay on capable: capable averages 0.95 over 20 ratings, above 0.9, "
            "but cheap has 0 ratings in the window, going down needs 10."
        ),
    ),
    Case(
        name="excellent at the bottom",
        current="cheap",
        tiers={"cheap": (0.95, 20)},
        recommended="cheap",
        confidence=1,
        reason="Stay on cheap: cheap averages 0.95 over 20 ratings, above 0.9, and there is no lower tier.",
    ),
    Case(
        name="from the top, only the next tier down is asked",
        current="premium",
        tiers={"premium": (0.95, 20), "capable": (0.86, 20), "cheap": (0.1, 20)},
        recommended="capable",
        confidence=1,
        reason=(
            "Move down to capable: premium averages 0.95 over 20 ratings, above 0.9, "
            "and capable averages 0.86 over 20 ratings, above 0.85."
        ),
    ),
    Case(
        name="millions of ratings",
        tiers={"capable": (0.0, 5_000_000)},
        recommended="premium",
        confidence=1,
        reason="Move up to premium: capable averages 0 over 5000000 ratings, below 0.7.",
    ),
]


class TestVerdicts:
    """Every verdict, with its sentence to the letter."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_verdict(self, case: Case) -> None:
        """The rules of the mission, applied once, say this tier, this surely, and why."""
        found = advise(case.current, case.tiers)

        assert found.reason == case.reason
        assert (found.current_tier, found.recommended_tier) == (case.current, case.recommended)
        assert found.confidence == case.confidence

    def test_the_statistics_it_rests_on_come_with_it(self) -> None:
        """A recommendation carries the statistics of all tiers that have any, in a mapping of its own."""
        stats = {"cheap": tier_stats("cheap", 0.5, 10), "premium": tier_stats("premium", 0.9, 1)}
        found = recommend(stats, "cheap", RULES, LADDER)

        assert found.stats == stats
        assert found.stats is not stats

    @pytest.mark.parametrize("samples", range(10, 22))
    def test_confidence_grows_to_one_at_twenty_samples(self, samples: int) -> None:
        """Confidence is samples / 20, at most 1."""
        assert advise("cheap", {"cheap": (0.8, samples)}).confidence == min(samples / 20, 1)

    def test_every_number_of_the_rules_counts(self) -> None:
        """Other thresholds, minimum and full confidence give other verdicts and sentences."""
        rules = StageRules(
            quality_threshold=0.5,
            downgrade_threshold=0.6,
            lower_tier_threshold=0.4,
            min_samples=3,
            full_confidence_samples=12,
        )
        tiers = {"cheap": (0.45, 3), "capable": (0.65, 3), "premium": (0.55, 2)}

        assert advise("cheap", tiers, rules).reason == (
            "Move up to capable: cheap averages 0.45 over 3 ratings, below 0.5."
        )
        assert advise("capable", tiers, rules).reason == (
            "Move down to cheap: capable averages 0.65 over 3 ratings, above 0.6, "
            "and cheap averages 0.45 over 3 ratings, above 0.4."
        )
        assert advise("premium", tiers, rules).reason == (
            "Stay on premium: it has 2 ratings in the window, a recommendation needs 3."
        )
        assert advise("capable", tiers, rules).confidence == 0.25

    def test_one_sample_may_be_enough(self) -> None:
        """With a minimum of one, one rating moves a stage."""
        found = advise("cheap", {"cheap": (0.5, 1)}, StageRules(min_samples=1))

        assert found.reason == "Move up to capable: cheap averages 0.5 over 1 rating, below 0.7."
        assert found.confidence == 0.05

    def test_a_threshold_of_one_reads_as_one(self) -> None:
        """Whole thresholds are written without a decimal point."""
        rules = StageRules(quality_threshold=1.0, downgrade_threshold=1.0)

        assert advise("cheap", {"cheap": (0.99999, 20)}, rules).reason == (
            "Move up to capable: cheap averages 0.99999 over 20 ratings, below 1."
        )

    def test_a_tier_that_is_none_of_the_ladder_s(self) -> None:
        """Asked about a tier that the ladder does not hold, the policy says so."""
        with pytest.raises(InvalidFeedback) as caught:
            advise("mini", {"mini": (0.1, 20)})

        assert str(caught.value) == "tier: 'mini' is none of cheap, capable, premium"


class TestLadders:
    """Ladders of two tiers and more."""

    @pytest.mark.parametrize("height", range(2, 6))
    def test_bad_quality_climbs_to_the_top_and_stays(self, height: int) -> None:
        """Tier after tier is left, one step at a time; the top stays."""
        ladder = Ladder(tuple(f"tier-{rank}" for rank in range(height)))
        tiers = dict.fromkeys(ladder, (0.2, 20))
        steps = [advise(tier, tiers, ladder=ladder).recommended_tier for tier in ladder]

        assert steps == [*ladder[1:], ladder[-1]]

    @pytest.mark.parametrize("height", range(2, 6))
    def test_excellent_quality_goes_down_to_the_bottom_and_stays(self, height: int) -> None:
        """Tier after tier is left, one step at a time; the bottom stays."""
        ladder = Ladder(tuple(f"tier-{rank}" for rank in range(height)))
        tiers = dict.fromkeys(ladder, (0.95, 20))
        steps = [advise(tier, tiers, ladder=ladder).recommended_tier for tier in ladder]

        assert steps == [ladder[0], *ladder[:-1]]

    @given(
        st.dictionaries(
            st.sampled_from(LADDER),
            st.tuples(st.sampled_from([0, 0.69, 0.7, 0.8, 0.85, 0.86, 0.9, 0.91, 1]), st.sampled_from([1, 9, 10, 99])),
        ),
        st.sampled_from(LADDER),
    )
    def test_any_statistics(self, tiers: dict[str, tuple[float, int]], current: str) -> None:
        """Tier and confidence are those of the rules written out straight, and the sentence names them."""
        found = advise(current, tiers)
        plain: dict[str, dict[str, float]] = {
            tier: {"avg_quality": average, "sample_count": samples} for tier, (average, samples) in tiers.items()
        }

        assert found.recommended_tier == reference.recommended_tier(plain, current, LADDER)
        assert found.confidence == reference.confidence(plain, current)
        assert abs(LADDER.rank(found.recommended_tier) - LADDER.rank(current)) <= 1
        assert found.reason.startswith(("Stay on ", "Move up to ", "Move down to "))
        assert found.reason.split(":")[0].endswith(f" {found.recommended_tier}")


class TestFigure:
    """How an average is written beside a threshold."""

    @pytest.mark.parametrize(
        ("average", "thresholds", "text"),
        [
            (0.7, [0.7], "0.7"),
            (0.654321, [0.7], "0.654"),
            (0.69951, [0.7], "0.6995"),
            (0.6999999, [0.7], "0.6999999"),
            (0.70001, [0.7], "0.70001"),
            (0.9, [0.7, 0.9], "0.9"),
            (0.8996, [0.7, 0.9], "0.8996"),
            (0.69996, [0.7, 0.9], "0.69996"),
            (0.70005, [0.70001], "0.70005"),
            (0.70005, [0.7001], "0.7"),
            (1 / 3, [0.5], "0.333"),
            (1 / 3, [1 / 3], "0.3333333333333333"),
            (0.0, [0.7], "0"),
            (1.0, [0.7], "1"),
        ],
    )
    def test_figure(self, average: float, thresholds: list[float], text: str) -> None:
        """Three digits, or as many as it takes to stand on the right side of every threshold."""
        assert _figure(average, thresholds) == text

    @given(
        st.floats(0, 1),
        st.sampled_from([0.0, 0.5, 0.7, 0.85, 0.9, 0.123456, 1.0]),
        st.sampled_from([None, 0, -1, 1, -10, 1000]),
    )
    def test_a_figure_never_contradicts_its_sentence(self, average: float, threshold: float, ulps: int | None) -> None:
        """What is below a threshold reads as below it, what is above as above, what is on it as the threshold."""
        if ulps is not None:
            average = min(1.0, max(0.0, threshold + ulps * 2**-53))
        figure = float(_figure(average, [threshold]))

        assert (figure < threshold, figure > threshold) == (average < threshold, average > threshold)
        assert figure == pytest.approx(average, rel=0.005)


def stage_tier(ratings: Sequence[Rating], start_tier: str = "cheap", now: int = NOW) -> str:
    """Find the current tier of a stage with ``ratings``, by way of a record for each tier."""
    parts: dict[str, Live] = {}
    for tier in sorted({rating.tier for rating in ratings}):
        part = live(record_of((rating for rating in ratings if rating.tier == tier), now), now, WEEK)
        if part:
            parts[tier] = part
    return current_tier(parts, start_tier)


class TestCurrentTier:
    """Which tier the traffic shows a stage to use."""

    @pytest.mark.parametrize("start_tier", ["cheap", "premium"])
    def test_without_ratings_it_is_the_start_tier(self, start_tier: str) -> None:
        """A stage that nobody rated stands where the rules put it."""
        assert current_tier({}, start_tier) == start_tier

    def test_one_rating_is_enough(self) -> None:
        """The only tier with a live rating is the current one, whatever the start tier is."""
        assert stage_tier(spread([0.5], tier="capable"), "cheap") == "capable"

    def test_the_majority_counts_not_the_newest(self) -> None:
        """One newer rating of another tier does not move a stage."""
        ratings = [*spread([0.5] * 3, end=NOW - 10, tier="premium"), *spread([0.5], tier="cheap")]

        assert stage_tier(ratings) == "premium"

    @pytest.mark.parametrize(
        "order", [("cheap", "premium"), ("premium", "cheap"), ("capable", "cheap"), ("cheap", "capable")]
    )
    def test_a_tie_goes_to_the_newest(self, order: tuple[str, str]) -> None:
        """Of tiers with equally many ratings, the one rated last is the current one."""
        ratings = [rating._replace(tier=tier) for rating, tier in zip(spread([0.5] * 6), order * 3, strict=True)]

        assert stage_tier(ratings) == order[1]

    def test_a_tie_goes_to_the_newest_among_the_tied(self) -> None:
        """A newer rating of a tier with fewer ratings does not decide a tie of two others."""
        tiers = ["premium", "premium", "cheap", "cheap", "capable"]
        ratings = [rating._replace(tier=tier) for rating, tier in zip(spread([0.5] * 5), tiers, strict=True)]

        assert stage_tier(ratings) == "cheap"

    def test_of_equal_timestamps_the_later_arrival_is_the_newest(self) -> None:
        """Ties of timestamp are ordered by arrival, not by the tier's name."""
        ratings = [Rating(NOW, 2, 500_000, "cheap"), Rating(NOW, 1, 500_000, "premium")]

        assert stage_tier(ratings) == "cheap"
        assert stage_tier([ratings[0]._replace(arrival=0), ratings[1]]) == "premium"

    def test_only_the_newest_rating_of_a_tier_decides_a_tie(self) -> None:
        """That an older rating arrived late is of no account."""
        ratings = [
            Rating(NOW - 1, 9, 500_000, "cheap"),
            Rating(NOW, 2, 500_000, "cheap"),
            Rating(NOW - 1, 1, 500_000, "premium"),
            Rating(NOW, 3, 500_000, "premium"),
        ]

        assert stage_tier(ratings) == "premium"

    def test_of_ratings_at_the_hundredth_moment_the_last_to_arrive_count(self) -> None:
        """Where the hundredth place is shared by equal timestamps, arrival decides; what is older does not count."""
        newer = spread([0.5] * 99)
        moment = newer[0].timestamp - 1
        older = [Rating(moment - 1, 0, 500_000, "cheap"), Rating(moment - 1, NOW, 500_000, "capable")]
        capable, cheap = Rating(moment, 1, 500_000, "capable"), Rating(moment, 2, 500_000, "cheap")

        def found(tiers: list[str], *shared: Rating) -> str:
            """Current tier where the 99 newest ratings are of ``tiers``, and ``shared`` compete for one place."""
            return stage_tier(
                [*older, *shared, *(rating._replace(tier=tier) for rating, tier in zip(newer, tiers, strict=True))]
            )

        # With the cheap one in that place there are 50 of each, and the newest decides; else 51 are capable.
        assert found(["capable"] * 50 + ["cheap"] * 49, capable, cheap) == "cheap"
        assert found(["capable"] * 50 + ["cheap"] * 49, cheap, capable._replace(arrival=3)) == "capable"
        assert found(["cheap"] * 49 + ["capable"] * 50, capable, cheap) == "capable"

    def test_only_the_newest_hundred_of_all_tiers_count(self) -> None:
        """Of 99 older and 51 newer ratings, the newer are the majority of the newest hundred."""
        ratings = spread([0.5] * 150)
        moved = [rating._replace(tier="cheap" if place < 99 else "capable") for place, rating in enumerate(ratings)]

        assert stage_tier(moved) == "capable"
        assert stage_tier([rating._replace(tier="premium") for rating in moved[:50]] + moved[50:]) == "capable"
        # 50 of each among the newest hundred: a tie, which goes to the newest.
        assert stage_tier(moved[:149]) == "capable"
        assert stage_tier(moved[:148]) == "cheap"

    def test_dead_ratings_do_not_count(self) -> None:
        """Ratings that have left the window say nothing about where a stage stands."""
        ratings = [*spread([0.5] * 50, end=NOW - WEEK * 1_000_000 - 1), *spread([0.5], tier="premium")]

        assert stage_tier(ratings) == "premium"

    @pytest.mark.parametrize("seed", range(30))
    def test_random_traffic(self, seed: int) -> None:
        """The current tier is that of the straight count over all live ratings of the stage."""
        rng = random.Random(seed)
        count = rng.choice([2, 4, 50, 150, 400])
        ratings = [rating._replace(tier=rng.choice(LADDER[: rng.choice([2, 3])])) for rating in spread([0.5] * count)]

        assert stage_tier(ratings) == reference.current_tier(ratings, "cheap")
