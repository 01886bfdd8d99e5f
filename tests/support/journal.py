"""What clients know of the ratings they sent, compared with what a store holds."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from exporter.domain import SeriesKey
from exporter.fold import unpack_hours, unpack_totals
from exporter.store.base import LOG_LENGTH, Store


class Sent(NamedTuple):
    """One rating that a client sent, once or more: its series, its id, and its score in millionths."""

    key: SeriesKey
    feedback_id: str
    score: int


def differences(store: Store, sent: Collection[Sent], acknowledged: Collection[Sent]) -> list[str]:
    """Compare ``store`` with its clients' journals: one line a fault, none when all is well.

    Every acknowledged rating is stored, nothing is stored that was not sent, nothing twice, and the records
    count and sum what is stored, no more and no less. ``sent`` holds at most 1,000 ratings a series, so that
    every id is still in the log.
    """
    series = Counter(rating.key for rating in sent)
    if max(series.values(), default=0) > LOG_LENGTH:
        raise AssertionError(f"a series was sent over {LOG_LENGTH} ratings, so its log no longer holds them all")
    return [line for key in sorted(series) for line in _of_series(store, key, set(sent), set(acknowledged))]


def _of_series(store: Store, key: SeriesKey, sent: set[Sent], acknowledged: set[Sent]) -> Iterator[str]:
    stored = Counter(Sent(key, entry.feedback_id, entry.score) for entry in store.history([key], LOG_LENGTH))
    for fault, ratings in (
        ("lost", {rating for rating in acknowledged if rating.key == key} - stored.keys()),
        ("never sent", stored.keys() - sent),
        ("stored twice", {rating for rating, times in stored.items() if times > 1}),
    ):
        if ratings:
            yield f"{'/'.join(key)}: {fault}: {', '.join(sorted(rating.feedback_id for rating in ratings))}"
    distinct = (len(stored), sum(rating.score for rating in stored))
    for counted, figures in _figures(store, key).items():
        if figures != distinct:
            yield f"{'/'.join(key)}: {counted} and their sum are {figures}, stored are {distinct}"


def _figures(store: Store, key: SeriesKey) -> dict[str, tuple[int, int]]:
    """How many ratings each part of a record counts, and the sum of their scores."""
    record = store.record(key)
    if record is None:
        return {"ratings": (0, 0)}
    hours, totals = list(unpack_hours(record.hours)), unpack_totals(record.totals)
    return {
        "ratings in hours": (sum(hour.samples for hour in hours), sum(hour.sum for hour in hours)),
        "ratings in totals": (sum(totals.buckets), totals.sum),
    }
