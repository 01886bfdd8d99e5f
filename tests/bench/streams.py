"""Realistic ratings: three tiers a stage, each with ratings in every hour of the window."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from random import Random

from exporter.domain import MILLION, Feedback, ModelTier, SeriesKey
from exporter.fold import HOUR_MICROSECONDS, Record, death, first_live_hour, fold
from exporter.rules import WEEK
from exporter.store import open_store
from exporter.store.base import Store

# The middle of an hour.
NOW = 1_735_691_400 * MILLION
STAGES_A_WORKFLOW = 10
BATCH = 10_000
# Records that differ; no multiple of anything, so that what a scrape compresses does not repeat itself within reach.
SHAPES = 499


def keys(count: int) -> Iterator[SeriesKey]:
    """Return the names of ``count`` series."""
    tiers = list(ModelTier)
    for number in range(count):
        stage, tier = divmod(number, len(tiers))
        workflow, place = divmod(stage, STAGES_A_WORKFLOW)
        yield SeriesKey(f"workflow-{workflow}", f"stage-{place}", tiers[tier].value)


def ratings(key: SeriesKey, count: int, random: Random, now: int = NOW) -> list[Feedback]:
    """Ratings of one series, oldest first, at even distances over all hours of the window."""
    level = random.uniform(0.5, 0.95)
    span = now - first_live_hour(now, WEEK) * HOUR_MICROSECONDS
    gaps = max(count - 1, 1)
    moments = (now - span + span * place // gaps + random.randrange(MILLION) for place in range(count))
    return [_rating(key, f"{place:06}", level, min(moment, now), random) for place, moment in enumerate(moments)]


def _rating(key: SeriesKey, feedback_id: str, level: float, moment: int, random: Random) -> Feedback:
    score = round(min(1.0, max(0.0, random.gauss(level, 0.15))) * MILLION)
    return Feedback(key, feedback_id, score, moment, moment)


def batches(keys: list[SeriesKey], size: int, number: int, moment: int) -> list[list[Feedback]]:
    """``number`` batches of ``size`` new ratings, over ``keys`` in turn, from ``moment`` (microseconds) on."""
    random = Random(moment)
    stream = (
        _rating(keys[place % len(keys)], f"{moment}-{place}", 0.8, moment + place, random)
        for place in range(size * number)
    )
    return [list(islice(stream, size)) for _ in range(number)]


def fill(store: Store, series: int, count: int, now: int = NOW) -> Iterator[int]:
    """Put ``count`` ratings in each of ``series`` series; yields the ratings stored, step by step."""
    random = Random(count)
    stream = (rating for key in keys(series) for rating in ratings(key, count, random, now))
    while batch := list(islice(stream, BATCH)):
        store.append(batch, now)
        yield len(batch)


def touch(store: Store, series: int, moment: int) -> None:
    """Put one more rating in each of ``series`` series, ``moment`` microseconds after the first ones."""
    random = Random(moment)
    batch = [_rating(key, f"touch-{moment}", 0.8, NOW + moment, random) for key in keys(series)]
    store.append(batch, NOW + moment)


def populate(path: Path, series: int, count: int, now: int = NOW) -> str:
    """Make a SQLite file of ``series`` series with ``count`` ratings each, and return its URL.

    The file is as if the ratings had been appended, but for log and ids, which are empty; that takes seconds where
    millions of ratings would take minutes.
    """
    url = f"sqlite:///{path}"
    with closing(open_store(url)) as store:
        store.ping()
    shapes = [_shape(number, count, now) for number in range(min(series, SHAPES))]
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO series (workflow, stage, tier, revision, arrivals, death, hours, newest, totals) "
            "VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)",
            (
                (*key, count, death(record, WEEK), *record)
                for number, key in enumerate(keys(series))
                for record in [shapes[number % len(shapes)]]
            ),
        )
        db.execute("UPDATE meta SET value = 1 WHERE key = 'revision'")
    return url


def _shape(number: int, count: int, now: int) -> Record:
    return fold(None, ratings(SeriesKey("", "", ""), count, Random(number), now), now, WEEK)
