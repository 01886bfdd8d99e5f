"""What a record means: averages, bounds and trends of the live window."""

import random
from collections.abc import Iterable
from math import isfinite, nextafter, sqrt

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.domain import MILLION
from exporter.fold import HOUR_BUCKET, SCORE, Bucket, Record, fold, square
from exporter.rules import HOUR as HOUR_SECONDS
from exporter.rules import WEEK
from exporter.stats import (
    Halves,
    Live,
    QualityStats,
    arrival_at,
    halves,
    live,
    merge,
    quality_stats,
    timestamp_at,
    timestamps,
    trend_of,
)
from exporter.stats import scores as newest_scores
from tests.support import reference
from tests.support.ratings import HOUR, NOW, feedback, record_of, spread
from tests.support.reference import Rating

THIS_HOUR = NOW // HOUR
TIERS = ("cheap", "capable", "premium")


def stats_of(ratings: Iterable[Rating], now: int = NOW, window: int = WEEK) -> QualityStats:
    """Statistics of ``ratings`` by way of a record."""
    part = live(record_of(ratings, now), now, window)
    assert part is not None
    return quality_stats("code-review", "analysis", "cheap", part)


def numbers(stats: QualityStats) -> dict[str, float]:
    """Return the numbers of ``stats`` by field."""
    fields = msgspec.structs.asdict(stats)
    return {field: fields[field] for field in fields if field not in {"workflow_name", "stage_name", "tier"}}


def straight(ratings: Iterable[Rating], now: int, window: int) -> object:
    """Return the same by the straight computation, exact to the last digits of the square roots."""
    alive = reference.live(ratings, now, window)
    return pytest.approx(reference.statistics(alive), rel=1e-12, abs=1e-12) if alive else None


class TestLive:
    """Which part of a record is live."""

    def test_nothing_is_live_in_an_empty_record(self) -> None:
        """A record without hours has no live part."""
        assert live(Record(), NOW, WEEK) is None

    def test_sums_of_all_live_hours(self) -> None:
        """Samples, sums, lowest, highest, newest scores and oldest hour come from all live hours together."""
        ratings = [*spread([0.9, 0.1], end=NOW - HOUR), *spread([0.5], end=NOW + HOUR)]
        record = record_of(ratings)

        assert live(record, NOW, WEEK) == Live(
            samples=3,
            sum=1_500_000,
            squares=1_070_000,
            min=100_000,
            max=900_000,
            newest=record.newest,
            first_hour=THIS_HOUR - 2,
        )

    @pytest.mark.parametrize(
        ("now", "samples", "first_hour"),
        [
            (NOW + HOUR - 1, 6, -1),
            (NOW + HOUR, 3, 0),
            (NOW + 2 * HOUR - 1, 3, 0),
            (NOW + 2 * HOUR, 1, 2),
            (NOW + 4 * HOUR - 1, 1, 2),
            (NOW + 4 * HOUR, 0, None),
        ],
    )
    def test_an_hour_dies_whole(self, now: int, samples: int, first_hour: int | None) -> None:
        """An hour counts until the microsecond at which its end has left the window, then nothing of it does."""
        ratings = [
            *spread([0.1, 0.1, 0.1], end=NOW),
            *spread([0.2], end=NOW + 1, step=1),
            *spread([0.2], end=NOW + HOUR, step=1),
            *spread([0.3], end=NOW + 2 * HOUR + 1, step=1),
        ]
        part = live(record_of(ratings), now, HOUR_SECONDS)

        assert (part.samples if part else 0) == samples
        assert (part.first_hour - THIS_HOUR if part else None) == first_hour
        assert len(part.newest if part else b"") == samples * SCORE.size
        if part and samples < 6:
            assert part.min == (300_000 if samples == 1 else 200_000)

    def test_a_window_need_not_be_whole_hours(self) -> None:
        """With a window of 90 minutes, an hour dies 90 minutes after its end."""
        record = record_of(spread([0.5]))

        assert live(record, NOW + 5_400 * MILLION - 1, 5_400) is not None
        assert live(record, NOW + 5_400 * MILLION, 5_400) is None

    def test_a_longer_retention_does_not_widen_the_window(self) -> None:
        """Hours that the record still holds, but that have left the window, do not count."""
        record = record_of([*spread([0.1], end=NOW - 2 * HOUR), *spread([0.9])], retention=WEEK)
        part = live(record, NOW, HOUR_SECONDS)

        assert part is not None
        assert (part.samples, part.sum, part.max) == (1, 900_000, 900_000)

    def test_the_newest_scores_in_parts(self) -> None:
        """Timestamps, arrivals and scores are read apart; a place counts from the oldest, or back from the newest."""
        newest = record_of([Rating(NOW - 8, 1, 2), Rating(NOW, 3, 4)]).newest

        assert timestamps(newest) == (NOW - 8, NOW)
        assert newest_scores(newest) == (2, 4)
        assert [timestamp_at(newest, place) for place in (0, 1, -1, -2)] == [NOW - 8, NOW, NOW, NOW - 8]
        assert [arrival_at(newest, place) for place in (0, 1, -1, -2)] == [1, 3, 3, 1]

    def test_numbers_are_read_without_a_sign(self) -> None:
        """Every bit of a packed number counts as its size."""
        hour = HOUR_BUCKET.pack(2**32 - 1, 2**32 - 2, 2**64 - 1, 2**64 - 2, 2**32 - 3, 2**32 - 4)
        newest = SCORE.pack(2**64 - 1, 2**64 - 2, 2**32 - 1)

        assert live(Record(hour, newest), 0, WEEK) == Live(
            2**32 - 2, 2**64 - 1, 2**64 - 2, 2**32 - 3, 2**32 - 4, newest, 2**32 - 1
        )
        assert timestamps(newest) == (timestamp_at(newest, 0),) == (2**64 - 1,)
        assert (arrival_at(newest, 0), newest_scores(newest)) == (2**64 - 2, (2**32 - 1,))


class TestQualityStats:
    """Statistics of one series, by hand-checked numbers."""

    def test_every_field(self) -> None:
        """Names come through as given, and each number is that of its definition."""
        part = live(record_of(spread([0.4, 0.5, 0.6, 0.7, 0.8], end=NOW + 5 * MILLION)), NOW, WEEK)
        assert part is not None

        stats = quality_stats("wörk", "stage", "cheap", part)
        error = (0.725 / 15 / 5) ** 0.5  # squared deviations 0.1, and ten times 0.0625, over 5 + 10
        trend_error = (0.63 / 12 / 2 + 0.645 / 13 / 3) ** 0.5  # those of 0.7, 0.8 and of 0.4, 0.5, 0.6

        assert (stats.workflow_name, stats.stage_name, stats.tier) == ("wörk", "stage", "cheap")
        assert quality_stats("wörk", "stage", None, part).tier is None
        assert numbers(stats) == pytest.approx(
            {
                "avg_quality": 0.6,
                "min_quality": 0.4,
                "max_quality": 0.8,
                "sample_count": 5,
                "recent_trend": 0.5,
                "lower_bound": 0.6 - 1.96 * error,
                "upper_bound": 0.6 + 1.96 * error,
                "trend_upper_bound": (0.25 + 2.326 * trend_error) / 0.5,
                "last_timestamp": NOW / MILLION + 4,
            },
            rel=1e-12,
        )

    def test_an_average_is_divided_once(self) -> None:
        """Ten scores of 0.7 average 0.7 to the last bit, so that thresholds cut where they say."""
        assert stats_of(spread([0.7] * 10)).avg_quality == 0.7
        assert stats_of(spread([0.9] * 30)).avg_quality == 0.9
        assert stats_of(spread([0.1, 0.2, 0.3])).avg_quality == 0.2

    def test_one_score(self) -> None:
        """A single score has no spread of its own: its interval is that of the ten pseudo-scores, to the last bit."""
        stats = stats_of(spread([0.5]))
        margin = 1.96 * sqrt(0.625 / 11)

        assert (stats.lower_bound, stats.upper_bound) == (0.5 - margin, 0.5 + margin)

    def test_three_equal_scores_do_not_look_certain(self) -> None:
        """Ten pseudo-scores of sd 0.25 keep the interval of few scores wide; it is cut at 1."""
        stats = stats_of(spread([1.0] * 3))

        assert stats.lower_bound == pytest.approx(1 - 1.96 * (0.625 / 13 / 3) ** 0.5)
        assert stats.upper_bound == 1.0

    def test_the_interval_is_cut_at_zero(self) -> None:
        """The lower bound of bad scores is 0, never negative."""
        stats = stats_of(spread([0.0] * 3))

        assert stats.lower_bound == 0.0
        assert stats.upper_bound == pytest.approx(1.96 * (0.625 / 13 / 3) ** 0.5)

    def test_more_scores_narrow_the_interval(self) -> None:
        """The same mixture of scores gives a narrower interval when there is more of it."""
        few, many = (stats_of(spread([0.4, 0.8] * pairs)) for pairs in (5, 50))

        assert few.avg_quality == many.avg_quality == 0.6
        assert few.lower_bound < many.lower_bound < 0.6 < many.upper_bound < few.upper_bound

    def test_five_million_equal_scores_have_finite_bounds(self) -> None:
        """Nothing cancels or overflows in millions of equal scores: the bounds close in on the average."""
        score, count = 123_457, 5_000_000
        hour = Bucket(THIS_HOUR, count, count * score, count * square(score), score, score)
        record = record_of([Rating(NOW, 0, score)] * 100)._replace(hours=HOUR_BUCKET.pack(*hour))
        part = live(record, NOW, WEEK)
        assert part is not None
        stats = quality_stats("w", "s", "t", part)

        assert (stats.sample_count, stats.avg_quality, stats.recent_trend) == (count, 0.123457, 0.0)
        assert 0.12345 < stats.lower_bound < 0.123457 < stats.upper_bound < 0.12346
        assert stats.upper_bound - stats.lower_bound < 1e-5

    @pytest.mark.parametrize("score", [0, 1, 333_333, 999_999, MILLION])
    @pytest.mark.parametrize("hours", [1, 168, 2160])
    def test_as_many_ratings_as_a_record_can_count(self, score: int, hours: int) -> None:
        """Even with 4,294,967,295 ratings an hour for 90 days, average and bounds are exact and finite."""
        count = 2**32 - 1
        buckets = [
            Bucket(THIS_HOUR - hours + 1 + hour, count, count * score, count * square(score), score, score)
            for hour in range(hours)
        ]
        record = record_of([Rating(NOW, 0, score)])._replace(
            hours=b"".join(HOUR_BUCKET.pack(*bucket) for bucket in buckets)
        )
        part = live(record, NOW, hours * HOUR_SECONDS)
        assert part is not None
        stats = quality_stats("w", "s", "t", part)

        assert stats.sample_count == count * hours
        assert stats.avg_quality == stats.min_quality == stats.max_quality == score / MILLION
        assert stats.lower_bound <= stats.avg_quality <= stats.upper_bound
        assert stats.upper_bound - stats.lower_bound < 1e-4

    def test_rounded_squares_do_not_make_a_negative_variance(self) -> None:
        """Scores whose squares were rounded down are taken to have no spread, not a negative one."""
        stats = stats_of(spread([0.000_707] * 100))

        assert square(707) == 0
        assert stats.upper_bound == pytest.approx(0.000_707 + 1.96 * (0.625 / 110 / 100) ** 0.5)


class TestTrend:
    """Relative change of the newest half of the newest hundred scores."""

    @pytest.mark.parametrize(
        ("scores", "trend"),
        [
            ([], 0.0),
            ([0.0, 0.5, 1.0], 0.0),
            ([0.5, 0.5, 1.0, 1.0], 1.0),
            ([1.0, 1.0, 0.5, 0.5], -0.5),
            ([0.5, 0.5, 0.5, 1.0, 1.0], 1.0),
            ([0.5, 0.5, 1.0, 0.5, 0.5], -0.25),
            ([0.8] * 7, 0.0),
            ([0.0, 0.0, 1.0, 1.0], 10.0),
            ([0.05, 0.05, 0.1, 0.1], 0.5),
            ([0.1, 0.1, 0.2, 0.2], 1.0),
            ([0.2, 0.2, 0.1, 0.1], -0.5),
            ([1.0, 1.0, 0.0, 0.0], -1.0),
        ],
        ids=[
            "no score",
            "three are too few",
            "four are enough",
            "a fall by half",
            "of five, the newest half has two",
            "of five, the older half has three",
            "level",
            "from nothing: divided by 0.1",
            "from below 0.1: divided by 0.1",
            "from 0.1: divided by itself",
            "from 0.2: divided by itself",
            "to nothing",
        ],
    )
    def test_trend(self, scores: list[float], trend: float) -> None:
        """(newest half - older half) / max(older half, 0.1), 0 below 4 scores."""
        assert trend_of([round(score * MILLION) for score in scores])[0] == pytest.approx(trend)

    def test_below_four_scores_the_bound_is_zero_too(self) -> None:
        """Three scores say nothing about a trend, and so neither does its bound."""
        assert trend_of([MILLION, 0, 0]) == (0.0, 0.0)

    def test_upper_bound(self) -> None:
        """(difference of the halves + 2.326 se) / max(older half, 0.1), the variances of the halves added."""
        v = (0.625 / 12, (0.005 + 0.625) / 12)
        bound = (-0.15 + 2.326 * (v[0] / 2 + v[1] / 2) ** 0.5) / 0.8

        assert trend_of([800_000, 800_000, 600_000, 700_000]) == pytest.approx((-0.15 / 0.8, bound))

    def test_upper_bound_of_halves_of_unequal_size(self) -> None:
        """Each half's variance is divided by its own number of scores."""
        v = (0.625 / 13, (0.125 + 0.625) / 12)
        bound = (0.75 - 0.04 + 2.326 * (v[0] / 3 + v[1] / 2) ** 0.5) / 0.1

        assert trend_of([40_000, 40_000, 40_000, MILLION, MILLION // 2]) == pytest.approx((7.1, bound))

    def test_a_fall_of_four_scores_is_within_noise(self) -> None:
        """Four scores that halve do not prove a fall: the bound stays above zero."""
        trend, bound = trend_of([MILLION, MILLION, MILLION // 2, MILLION // 2])

        assert trend == -0.5
        assert bound > 0

    def test_a_fall_of_forty_scores_is_beyond_noise(self) -> None:
        """The same fall in forty scores does: the bound is below zero."""
        trend, bound = trend_of([MILLION] * 20 + [MILLION // 2] * 20)

        assert trend == -0.5
        assert trend < bound < 0

    def test_only_the_newest_hundred_count(self) -> None:
        """Older scores are in the average, not in the trend."""
        stats = stats_of(spread([1.0] * 50 + [0.5] * 50 + [0.75] * 50))

        assert stats.avg_quality == 0.75
        assert stats.recent_trend == pytest.approx(0.5)

    def test_order_is_by_rating_time_not_by_arrival(self) -> None:
        """Ratings that arrive late are put where they belong."""
        falling = spread([0.9] * 4 + [0.6] * 4)

        assert stats_of(reversed(falling)).recent_trend == pytest.approx(-1 / 3)

    def test_ties_go_by_arrival(self) -> None:
        """Of equal timestamps, the later arrival is the newer score."""
        ratings = [Rating(NOW, place, score) for place, score in enumerate([900_000] * 4 + [600_000] * 4)]

        assert stats_of(ratings).recent_trend == pytest.approx(-1 / 3)


class TestMerge:
    """The tiers of a stage together."""

    def test_one_part_is_itself(self) -> None:
        """Nothing is computed for a stage of one tier."""
        part = live(record_of(spread([0.5])), NOW, WEEK)
        assert part is not None

        assert merge([part]) is part

    def test_two_tiers(self) -> None:
        """Sums add up, extremes are the outermost, the oldest hour is the oldest of any, scores interleave."""
        cheap = [Rating(NOW, 1, 100_000), Rating(NOW + 2, 2, 300_000)]
        capable = [Rating(NOW - HOUR, 3, 900_000), Rating(NOW, 0, 200_000), Rating(NOW + 1, 4, 500_000)]
        parts = [part for ratings in (cheap, capable) if (part := live(record_of(ratings), NOW, WEEK))]

        assert (
            merge(parts)
            == merge(parts[::-1])
            == Live(
                samples=5,
                sum=2_000_000,
                squares=1_200_000,
                min=100_000,
                max=900_000,
                newest=record_of(sorted(cheap + capable)).newest,
                first_hour=THIS_HOUR - 1,
            )
        )

    def test_the_newest_hundred_of_all(self) -> None:
        """Of two tiers with a hundred scores each, the hundred newest are kept."""
        ratings = spread([0.5] * 200)
        parts = [part for half in (ratings[::2], ratings[1::2]) if (part := live(record_of(half), NOW, WEEK))]

        assert merge(parts).newest == record_of(ratings[100:]).newest


class Stream:
    """Ratings as they come: each folded by its own clock, some late, some a little ahead."""

    def __init__(self, window: int) -> None:
        """Begin with no record; the retention is the window, so that nothing is kept for longer than it must be."""
        self.window = window
        self.now = NOW
        self.ratings: list[Rating] = []
        self.records: dict[str, Record] = {}
        self.known: dict[str, tuple[Record, Live]] = {}

    def wait(self, microseconds: int) -> None:
        """Let time pass."""
        self.now += microseconds

    def rate(self, offset: int, score: int, tier: str) -> None:
        """Fold a rating whose timestamp lies ``offset`` microseconds from now."""
        rating = Rating(self.now + offset, self.now * 1000 + len(self.ratings), score, tier)
        self.ratings.append(rating)
        self.records[tier] = fold(self.records.get(tier), [feedback(rating)], self.now, self.window)

    def check(self) -> None:
        """Compare each tier, and all together, with the straight computation; what was known before changes nothing."""
        parts = {tier: live(record, self.now, self.window) for tier, record in self.records.items()}
        for tier, part in parts.items():
            assert live(self.records[tier], self.now, self.window, self.known.get(tier)) == part
            if part:
                self.known[tier] = self.records[tier], part
            seen = numbers(quality_stats("w", "s", tier, part)) if part else None
            assert seen == straight((rating for rating in self.ratings if rating.tier == tier), self.now, self.window)
        alive = [part for part in parts.values() if part]
        seen = numbers(quality_stats("w", "s", None, merge(alive))) if alive else None
        assert seen == straight(self.ratings, self.now, self.window)


windows = st.sampled_from([HOUR_SECONDS, 5_400, 6 * HOUR_SECONDS, 86_400, WEEK])
# Shares of the window; the last ones are the edges.
shares = st.one_of(st.integers(0, MILLION), st.sampled_from([0, 1, MILLION - 1, MILLION]))
scores = st.one_of(st.integers(0, MILLION), st.sampled_from([0, 100_000, 700_000, 900_000, MILLION]))
bursts = st.lists(st.tuples(shares, scores, st.sampled_from(TIERS)), min_size=1, max_size=40)
steps = st.lists(st.tuples(st.integers(0, MILLION // 2), bursts, st.booleans()), min_size=1, max_size=8)


class TestStraightComputation:
    """The record gives what a rescan of the whole history gives."""

    @given(windows, steps)
    @example(HOUR_SECONDS, [(0, [(MILLION, 1, "cheap")], True), (MILLION, [(0, 2, "cheap")], True)])
    def test_random_streams(self, window: int, steps: list[tuple[int, list[tuple[int, int, str]], bool]]) -> None:
        """Late arrivals, hour edges and expiry included, every number equals the straight computation."""
        stream = Stream(window)
        for pause, burst, to_the_hour in steps:
            # At most 1.25 windows a step, so that some hours die and some records do.
            stream.wait(pause * window * 5 // 2)
            if to_the_hour:
                stream.wait(-stream.now % HOUR)
            for lateness, score, tier in burst:
                stream.rate(-lateness * window, score, tier)
            stream.check()

    @pytest.mark.parametrize("seed", range(3))
    def test_long_streams(self, seed: int) -> None:
        """The same for thousands of ratings, late by up to the window or ahead by up to five minutes."""
        rng = random.Random(seed)
        stream = Stream(86_400)
        for _ in range(40):
            stream.wait(int(rng.expovariate(1 / (6 * HOUR))))
            for _ in range(rng.choice([1, 30, 120])):
                stream.wait(rng.randrange(60 * MILLION))
                offset = rng.choice([0, 300 * MILLION, -rng.randrange(HOUR), -rng.randrange(24 * HOUR)])
                stream.rate(offset, min(MILLION, int(rng.betavariate(4, 2) * MILLION)), rng.choice(TIERS))
            stream.check()

    @given(
        st.lists(st.tuples(st.integers(0, WEEK * MILLION), scores), min_size=1, max_size=150, unique_by=lambda r: r[0]),
        st.randoms(use_true_random=False),
        st.integers(0, WEEK * MILLION),
    )
    def test_any_order_of_arrival(self, ages: list[tuple[int, int]], rng: random.Random, later: int) -> None:
        """Ratings of distinct timestamps that arrive in any order have the same live part and statistics."""
        ratings = [Rating(NOW - age, 0, score) for age, score in ages]
        in_order, shuffled = (record_of(some) for some in (sorted(ratings), rng.sample(ratings, len(ratings))))
        part, other = live(in_order, NOW + later, WEEK), live(shuffled, NOW + later, WEEK)

        assert part == other
        if part and other:
            assert quality_stats("w", "s", "t", part) == quality_stats("w", "s", "t", other)

    @given(st.lists(scores, min_size=1, max_size=200))
    def test_numbers_stay_in_their_ranges(self, scores: list[int]) -> None:
        """Averages, extremes and bounds lie in 0 to 1 and in order, and no number is infinite or NaN."""
        stats = stats_of(Rating(NOW, place, score) for place, score in enumerate(scores))

        assert 0 <= stats.lower_bound <= stats.avg_quality <= stats.upper_bound <= 1
        assert 0 <= stats.min_quality <= nextafter(stats.avg_quality, 1)
        assert nextafter(stats.avg_quality, 0) <= stats.max_quality <= 1
        assert -1 <= stats.recent_trend <= 10
        assert stats.recent_trend <= stats.trend_upper_bound
        assert isfinite(stats.trend_upper_bound)


class TestLiveByChange:
    """Reading a record when an older one of the series was read before."""

    WINDOW = 3 * HOUR_SECONDS
    # The first two lie in the oldest live hour, the last two in the newest.
    FIRST = (*spread([0.2, 0.9], end=NOW - 2 * HOUR), *spread([0.5, 0.7], end=NOW + 2 * MILLION))

    def read(self, before: Iterable[Rating], after: Iterable[Rating], now: int = NOW) -> tuple[Live | None, int]:
        """Return the part of a record, and by how many samples a known part of an older one, that lies, misled it."""
        old, record = record_of(before), record_of(after)
        part = live(old, NOW, self.WINDOW)
        assert part is not None
        straight = live(record, now, self.WINDOW)
        assert live(record, now, self.WINDOW, (old, part)) == straight
        misled = live(record, now, self.WINDOW, (old, part._replace(samples=part.samples + 1000)))
        return straight, misled.samples - straight.samples if misled and straight else 0

    @pytest.mark.parametrize(
        "more",
        [
            [],
            spread([0.6], end=NOW + 3 * MILLION),
            spread([0.5, 0.7], end=NOW + 9 * MILLION),
            spread([0.1, 0.95], end=NOW + 9 * MILLION),
            spread([0.6], end=NOW + HOUR + 2 * MILLION),
            spread([0.0, 0.6, 1.0], end=NOW + 2 * HOUR, step=HOUR // 2),
            spread([0.0, 1.0], end=NOW + HOUR // 2, step=HOUR),
        ],
        ids=["nothing", "inside", "same extremes", "new extremes", "new hour", "several hours", "an hour between"],
    )
    def test_hours_that_stay_are_not_added_up_again(self, more: list[Rating]) -> None:
        """A record that changed from its last hour on is read from what was known of the others."""
        part, misled = self.read(self.FIRST, [*self.FIRST, *more])

        assert part is not None
        assert part.samples == len(self.FIRST) + len(more)
        assert misled == 1000

    def test_dead_hours_are_no_part_of_what_is_known(self) -> None:
        """Hours of the record that left the window before change nothing."""
        dead = spread([0.0, 1.0], end=NOW - 3 * HOUR)
        part, misled = self.read([*dead, *self.FIRST], [*dead, *self.FIRST, *spread([0.6], end=NOW + 3 * MILLION)])

        assert part is not None
        assert (part.samples, part.min, part.max, misled) == (5, 200_000, 900_000, 1000)

    @pytest.mark.parametrize(
        ("end", "samples"), [(NOW - 2 * HOUR, 5), (NOW - 3 * HOUR, 4)], ids=["a settled hour", "a dead hour"]
    )
    def test_a_late_rating_is_read_anew(self, end: int, samples: int) -> None:
        """A rating for one of the settled hours, or for one before them, is seen."""
        part, misled = self.read(self.FIRST, [*self.FIRST, *spread([0.0], end=end)])

        assert part is not None
        assert (part.samples, misled) == (samples, 0)

    def test_an_hour_that_dies_is_read_anew(self) -> None:
        """What was known is of no use once its oldest hour has left the window."""
        part, misled = self.read(self.FIRST, self.FIRST, now=NOW + HOUR)

        assert part is not None
        assert (part.samples, misled) == (2, 0)

    def test_a_single_hour_is_read_anew(self) -> None:
        """Where the last live hour is the only one, nothing is saved."""
        part, misled = self.read(self.FIRST[:1], self.FIRST[:2])

        assert part is not None
        assert (part.samples, misled) == (2, 0)

    def test_the_oldest_live_hour_may_hold_no_rating(self) -> None:
        """A series whose first rating is younger than the window is read from what was known, too."""
        later = [rating._replace(timestamp=rating.timestamp + HOUR) for rating in self.FIRST[:2]]
        part, misled = self.read([*later, *self.FIRST[2:]], [*later, *self.FIRST[2:]])

        assert part is not None
        assert (part.samples, misled) == (4, 1000)

    def test_a_rating_before_the_first_hour_is_seen(self) -> None:
        """A late rating for a live hour that held none is read, though all that was known still stands."""
        later = [rating._replace(timestamp=rating.timestamp + HOUR) for rating in self.FIRST[:2]]
        late = spread([0.1], end=NOW - 2 * HOUR)
        part, misled = self.read([*later, *self.FIRST[2:]], [*later, *self.FIRST[2:], *late])

        assert part is not None
        assert (part.samples, part.min, misled) == (5, 100_000, 0)

    @pytest.mark.parametrize(
        "last", [[], [0.5, 0.6], [0.6, 0.7]], ids=["without the last hour", "not as high", "not as low"]
    )
    def test_a_series_begun_anew_is_read_anew(self, last: list[float]) -> None:
        """A record that lost what its last hour held is of a series that was cleared: nothing known of it holds."""
        _, misled = self.read(self.FIRST, [*self.FIRST[:2], *spread(last, end=NOW + 2 * MILLION)])

        assert misled == 0

    @given(seed=st.integers(0, 10**9))
    def test_known_or_not_makes_no_difference(self, seed: int) -> None:
        """Whatever was known, whenever before it was read, the part is the same."""
        random_ = random.Random(seed)

        def some(count: int, oldest: int) -> list[Rating]:
            moments = [NOW + random_.randrange(-oldest, 1) * HOUR // 2 for _ in range(count)]
            values = [random_.choice([0, 500_000, 1_000_000, random_.randrange(MILLION)]) for _ in moments]
            return [
                Rating(moment, NOW + place, value)
                for place, (moment, value) in enumerate(zip(moments, values, strict=True))
            ]

        window, later = random_.choice([3600, 7200, WEEK]), random_.randrange(4) * HOUR // 2
        old = record_of(some(random_.randint(1, 8), 8))
        known = live(old, NOW + later, window)
        more = map(feedback, some(random_.randint(1, 5), random_.choice([1, 1, 8])))
        record = fold(random_.choice([old, old, None]), more, NOW, WEEK)
        now = NOW + later + random_.randrange(4) * HOUR // 2

        assert live(record, now, window, known and (old, known)) == live(record, now, window)


class TestHalvesByChange:
    """Adding up the halves of the newest scores when those of an older part of the series are known."""

    @pytest.mark.parametrize("came", [0, 1, 49, 50, 51, 100])
    def test_known_halves_are_carried_on(self, came: int) -> None:
        """As long as not more scores came than a half holds, the known sums are used, and give the same."""
        ratings = self.ratings([place * place * 7 for place in range(100 + came)])
        old, part = (live(record_of(some), NOW, WEEK) for some in (ratings[:100], ratings))
        assert old is not None
        assert part is not None
        known, lie = halves(old), Halves(*(total + 7 for total in halves(old)))
        straight = halves(part)

        assert halves(part, (old, known)) == straight
        assert halves(part, (old, lie)) == (Halves(*(total + 7 for total in straight)) if came <= 50 else straight)

    @staticmethod
    def ratings(scores: list[int]) -> list[Rating]:
        """One rating a microsecond."""
        return [Rating(NOW - HOUR + place, place, score) for place, score in enumerate(scores)]

    @pytest.mark.parametrize(
        ("before", "after"), [(3, 4), (4, 4), (5, 7), (99, 100), (99, 101), (7, 3)], ids=lambda count: f"{count}"
    )
    def test_fewer_than_a_hundred(self, before: int, after: int) -> None:
        """While the newest scores grow in number, their halves are added up anew."""
        scores = [place * 9_999 for place in range(after)]
        old, part = (live(record_of(self.ratings(scores[:count])), NOW, WEEK) for count in (before, after))
        assert old is not None
        assert part is not None

        assert halves(part, (old, halves(old))) == halves(part)

    def test_a_late_score_is_added_up_anew(self) -> None:
        """A rating that takes its place among older ones moves no halves along."""
        ratings = self.ratings([place * 9_999 for place in range(100)])
        late = ratings[50]._replace(arrival=1_000, score=MILLION)
        old, part = (live(record_of(some), NOW, WEEK) for some in (ratings, [*ratings, late]))
        assert old is not None
        assert part is not None

        assert halves(part, (old, halves(old))) == halves(part)
