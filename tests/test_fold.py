"""The fold: record + ratings -> record."""

import random
from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import MILLION
from exporter.errors import StoreRefused
from exporter.fold import (
    EDGES,
    HOUR_BUCKET,
    NEWEST,
    SCORE,
    TOTALS,
    Bucket,
    Record,
    death,
    first_live_hour,
    fold,
    id_periods,
    square,
    sum_of_squares,
    unpack_hours,
    unpack_totals,
)
from exporter.rules import WEEK
from tests.support.ratings import HOUR, NOW, feedback, record_of, spread
from tests.support.reference import Rating

DAY = 24 * HOUR
THIS_HOUR = NOW // HOUR

ratings_of_a_week = st.lists(
    st.builds(
        Rating,
        timestamp=st.integers(NOW - WEEK * MILLION, NOW),
        arrival=st.integers(0, 1000),
        score=st.integers(0, MILLION),
    ),
    min_size=1,
    max_size=150,
    unique_by=lambda rating: rating.timestamp,
)


def hours_of(record: Record) -> list[int]:
    """Hours that ``record`` holds, relative to the hour that begins at NOW."""
    return [bucket.hour - THIS_HOUR for bucket in unpack_hours(record.hours)]


def newest_of(record: Record) -> list[Rating]:
    """Newest scores that ``record`` holds."""
    return [Rating(*score) for score in SCORE.iter_unpack(record.newest)]


class TestFormat:
    """The bytes that every store keeps."""

    def test_two_ratings_of_one_hour_become_these_bytes(self) -> None:
        """A record is little-endian, without padding, in the order that the module's docstring gives."""
        record = record_of([Rating(NOW + 7, 900, 500_000), Rating(NOW + 9, 901, 1_000_000)], now=NOW + 10)

        assert record.hours == pack("<IIQQII", THIS_HOUR, 2, 1_500_000, 1_250_000, 500_000, 1_000_000)
        assert record.newest == pack("<QQI", NOW + 7, 900, 500_000) + pack("<QQI", NOW + 9, 901, 1_000_000)
        assert record.totals == pack("<IQQQQQQQQ", 1, 0, 0, 1, 0, 0, 0, 1, 1_500_000)

    def test_sizes_are_as_documented(self) -> None:
        """An hour takes 32 bytes, a score 20, the totals 68."""
        assert (HOUR_BUCKET.size, SCORE.size, TOTALS.size) == (32, 20, 68)

    def test_an_empty_record_has_totals_of_zero(self) -> None:
        """A new record knows its version and counts nothing."""
        record = Record()

        assert (record.hours, record.newest) == (b"", b"")
        assert record.totals == pack("<IQQQQQQQQ", 1, *[0] * 8)

    def test_a_full_week_of_ratings_stays_small(self) -> None:
        """A week with a rating a minute takes the bytes of one with a rating an hour: 7,444."""
        seldom = record_of([Rating(NOW + hour * HOUR, 0, 1) for hour in range(168)])
        often = record_of([Rating(NOW + minute * HOUR // 60, 0, 1) for minute in range(168 * 60)])

        assert sum(map(len, seldom)) == sum(map(len, often)) == 168 * 32 + 100 * 20 + 68

    @pytest.mark.parametrize("totals", [pack("<IQQQQQQQQ", 2, *[0] * 8), b"", b"\1" * 67, b"\0" * 76])
    def test_totals_of_another_format_are_refused(self, totals: bytes) -> None:
        """A record that a newer version wrote is not touched; the error says what to do."""
        record = record_of(spread([0.5]))._replace(totals=totals)
        expected = (
            "a record in the store has a format that this version does not know; "
            "it was written by a newer llm-feedback-exporter: upgrade this one"
        )

        with pytest.raises(StoreRefused) as caught:
            unpack_totals(totals)
        assert str(caught.value) == expected
        with pytest.raises(StoreRefused) as caught:
            fold(record, [feedback(Rating(NOW, 0, 1))], NOW, WEEK)
        assert str(caught.value) == expected


class TestHours:
    """One bucket for each hour that holds ratings."""

    def test_a_bucket_sums_its_hour(self) -> None:
        """Samples, sum, sum of squares, lowest and highest score of an hour are exact."""
        record = record_of(spread([0.2, 0.9, 0.4], end=NOW + HOUR))

        assert list(unpack_hours(record.hours)) == [Bucket(THIS_HOUR, 3, 1_500_000, 1_010_000, 200_000, 900_000)]

    def test_one_rating_is_lowest_and_highest(self) -> None:
        """A bucket of one rating has that score as its minimum and maximum."""
        assert list(unpack_hours(record_of([Rating(NOW, 0, 300_000)]).hours)) == [
            Bucket(THIS_HOUR, 1, 300_000, 90_000, 300_000, 300_000)
        ]

    def test_an_hour_begins_on_the_hour(self) -> None:
        """The last microsecond of an hour and the first of the next lie in two buckets."""
        assert hours_of(record_of([Rating(NOW - 1, 0, 1), Rating(NOW, 0, 1)])) == [-1, 0]

    def test_hours_ascend_whatever_the_order_of_arrival(self) -> None:
        """A late rating goes into its own hour, and hours stay sorted."""
        ratings = [Rating(NOW + hour * HOUR, 0, 1) for hour in (-2, -5, 0, -1, -5)]

        assert hours_of(record_of(ratings)) == [-5, -2, -1, 0]

    @pytest.mark.parametrize(
        ("score", "expected"),
        [(0, 0), (707, 0), (708, 1), (1_000, 1), (1_224, 1), (1_225, 2), (500_000, 250_000), (1_000_000, 1_000_000)],
    )
    def test_a_square_is_rounded_to_millionths(self, score: int, expected: int) -> None:
        """Squares are whole millionths: 0.000707 squared is 0, 0.000708 squared is 1 millionth."""
        assert square(score) == expected

    @given(st.lists(st.integers(0, MILLION), max_size=100))
    def test_a_sum_of_squares_is_that_of_each_rounded_square(self, scores: list[int]) -> None:
        """Squares are rounded one by one, before they are added up as integers."""
        total = sum_of_squares(scores)

        assert total == sum(map(square, scores))
        assert type(total) is int


class TestNewest:
    """The 100 newest scores."""

    def test_scores_are_ordered_by_timestamp_ties_by_arrival(self) -> None:
        """A late rating is put in its place; of equals, the later arrival comes last."""
        ratings = [Rating(NOW, 1, 10), Rating(NOW - 5, 2, 20), Rating(NOW, 3, 30), Rating(NOW - 5, 4, 40)]

        assert newest_of(record_of(ratings)) == [ratings[1], ratings[3], ratings[0], ratings[2]]

    def test_a_hundred_are_kept(self) -> None:
        """The hundredth rating drops nothing; the next one drops the oldest."""
        ratings = spread([0.5] * 101)

        assert newest_of(record_of(ratings[:100])) == ratings[:100]
        assert newest_of(record_of(ratings)) == ratings[1:]
        assert NEWEST == 100

    def test_a_rating_older_than_all_hundred_is_not_kept(self) -> None:
        """A late rating counts in its hour but does not push out a newer score."""
        ratings = spread([0.5] * 100)
        late = Rating(NOW - DAY, NOW, 900_000)
        record = record_of([*ratings, late])

        assert newest_of(record) == ratings
        assert hours_of(record) == [-24, -1]

    def test_of_equal_timestamps_the_later_arrival_is_kept(self) -> None:
        """When all hundred and the next have one timestamp, the first to arrive leaves."""
        ratings = [Rating(NOW, arrival, arrival) for arrival in range(101)]

        assert newest_of(record_of(ratings)) == ratings[1:]


class TestTotals:
    """The histogram since the record was made."""

    def test_edges_are_those_of_the_metric(self) -> None:
        """The histogram's edges are 0.1, 0.3, 0.5, 0.7, 0.85, 0.9 and 1."""
        assert [edge / MILLION for edge in EDGES] == [0.1, 0.3, 0.5, 0.7, 0.85, 0.9, 1]

    @pytest.mark.parametrize(
        ("score", "place"),
        [
            (0, 0),
            (100_000, 0),
            (100_001, 1),
            (300_000, 1),
            (500_000, 2),
            (500_001, 3),
            (700_000, 3),
            (850_000, 4),
            (850_001, 5),
            (900_000, 5),
            (900_001, 6),
            (1_000_000, 6),
        ],
    )
    def test_an_edge_belongs_to_its_bucket(self, score: int, place: int) -> None:
        """A score on an edge counts in the bucket that ends there, one millionth more in the next."""
        totals = unpack_totals(record_of([Rating(NOW, 0, score)]).totals)

        assert totals.buckets == tuple(int(bucket == place) for bucket in range(7))
        assert totals.sum == score

    def test_totals_go_on_when_hours_die(self) -> None:
        """Totals count since the record was made, whatever has left the window."""
        record = fold(None, map(feedback, spread([0.2] * 3, end=NOW - 6 * DAY)), NOW - 6 * DAY, WEEK)
        record = fold(record, map(feedback, spread([0.4] * 2)), NOW, WEEK)
        record = fold(record, map(feedback, spread([1.0], end=NOW + 5 * DAY)), NOW + 5 * DAY, WEEK)

        assert unpack_totals(record.totals) == ((0, 3, 2, 0, 0, 0, 1), 2_400_000)

    @given(ratings_of_a_week)
    def test_buckets_add_up_to_the_ratings(self, ratings: list[Rating]) -> None:
        """The histogram holds each rating once, between the edges that enclose it, and their exact sum."""
        totals = unpack_totals(record_of(ratings).totals)
        edges = [-1, *EDGES]

        assert totals.sum == sum(rating.score for rating in ratings)
        assert totals.buckets == tuple(
            sum(low < rating.score <= high for rating in ratings) for low, high in pairwise(edges)
        )


class TestExpiry:
    """What leaves a record, and when."""

    def test_an_hour_is_live_while_its_end_is_later_than_the_edge(self) -> None:
        """An hour dies at the microsecond at which its end is as old as the span."""
        assert first_live_hour(NOW, WEEK) == THIS_HOUR - 168
        assert first_live_hour(NOW - 1, WEEK) == THIS_HOUR - 169
        assert first_live_hour(NOW + HOUR - 1, WEEK) == THIS_HOUR - 168
        assert first_live_hour(NOW, 5400) == THIS_HOUR - 2

    def test_a_record_dies_with_its_newest_hour(self) -> None:
        """Death is the end of the newest hour plus the retention, wherever in the hour the rating fell."""
        record = record_of([Rating(NOW + 17, 0, 1), Rating(NOW - 3 * HOUR, 0, 1)])

        assert death(record, WEEK) == NOW + HOUR + WEEK * MILLION
        assert death(record, 3600) == NOW + 2 * HOUR

    def test_a_dead_record_starts_anew(self) -> None:
        """At its death a record is forgotten whole, totals too; a microsecond before, it goes on."""
        record = record_of([Rating(NOW, 0, 100_000)])
        dies = NOW + HOUR + WEEK * MILLION
        late = feedback(Rating(dies - 1, 0, 900_000))

        before, after = fold(record, [late], dies - 1, WEEK), fold(record, [late], dies, WEEK)

        assert unpack_totals(before.totals).sum == 1_000_000
        assert [rating.score for rating in newest_of(before)] == [100_000, 900_000]
        assert after == record_of([Rating(dies - 1, 0, 900_000)])

    def test_a_dead_day_leaves_whole_when_a_new_day_begins(self) -> None:
        """The first rating of another day drops the days whose last hour has died, and no hour of a living day."""
        old = [Rating(NOW - 8 * DAY + hour * HOUR, 0, 1) for hour in (0, 23, 24, 47)]
        record = fold(None, map(feedback, old), NOW - 7 * DAY, 8 * 86_400)
        today = feedback(Rating(NOW, 0, 1))

        assert hours_of(record) == [-192, -169, -168, -145]
        assert hours_of(fold(record, [today], NOW - 1, WEEK)) == [-192, -169, -168, -145, 0]
        assert hours_of(fold(record, [today], NOW, WEEK)) == [-168, -145, 0]
        assert hours_of(fold(record, [today], NOW + DAY - 1, WEEK)) == [-168, -145, 0]

    def test_a_day_that_is_there_already_drops_nothing(self) -> None:
        """A rating of another hour of a day that the record holds leaves dead days for later."""
        old = [Rating(NOW - 8 * DAY, 0, 1), Rating(NOW + 5 * HOUR, 0, 1)]
        record = fold(None, map(feedback, old), NOW - 8 * DAY, WEEK)

        assert hours_of(fold(record, [feedback(Rating(NOW, 0, 1))], NOW, WEEK)) == [-192, 0, 5]
        assert hours_of(fold(record, [feedback(Rating(NOW + 3 * HOUR, 0, 1))], NOW, WEEK)) == [-192, 3, 5]
        assert hours_of(fold(record, [feedback(Rating(NOW + 5 * HOUR, 0, 1))], NOW, WEEK)) == [-192, 5]
        assert hours_of(fold(record, [feedback(Rating(NOW - HOUR, 0, 1))], NOW, WEEK)) == [-1, 5]

    def test_ids_are_looked_for_in_four_periods_of_twelve_hours(self) -> None:
        """An id is sought in the current period, the two before it, and the one after it."""
        period = NOW // (12 * HOUR)

        assert id_periods(NOW) == (period, period - 1, period - 2, period + 1)
        assert id_periods(NOW - 1) == (period - 1, period - 2, period - 3, period)
        assert id_periods(NOW + 12 * HOUR - 1) == id_periods(NOW)


class TestOrder:
    """The order of arrival does not matter, nor how a stream is cut into requests."""

    @given(ratings_of_a_week, st.randoms(use_true_random=False))
    def test_any_order_of_arrival_gives_the_same_record(self, ratings: list[Rating], rng: random.Random) -> None:
        """Ratings of distinct timestamps fold to the same bytes in whatever order they come."""
        shuffled = rng.sample(ratings, len(ratings))

        assert record_of(shuffled) == record_of(ratings)

    @given(ratings_of_a_week, st.lists(st.integers(1, 40), min_size=150, max_size=150))
    def test_any_cut_into_requests_gives_the_same_record(self, ratings: list[Rating], sizes: list[int]) -> None:
        """One request of many ratings equals many requests of few."""
        record, left = None, list(map(feedback, ratings))
        for size in sizes:
            if left:
                record = fold(record, left[:size], NOW, WEEK)
                left = left[size:]

        assert record == record_of(ratings)
