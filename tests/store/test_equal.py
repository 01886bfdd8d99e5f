"""SQLite, Redis and the pure fold hold the same records, to the last bit, whatever is sent to them."""

from random import Random
from typing import NamedTuple

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.store import open_store
from tests.store.helpers import Reader
from tests.store.model import Model
from tests.support.ratings import HOUR, NOW

# Of an hour and of days, shorter and longer than ids are remembered; the odd seconds are those of the first moment.
RETENTIONS = (3600, 7 * 3600 + 1234, 3 * 24 * 3600 + 1234)
# Series limits, and how many hours ratings are old: as many as are retained, or more where the limit plays no role.
LIMITS = {4: None, 10_000: 100}
KEYS = tuple(
    SeriesKey(workflow, stage, tier) for workflow in ("*", "w") for stage in "ab" for tier in ("cheap", "日本語")
)
SCORES = (0, 1, 100_000, 100_001, 300_000, 333_333, 500_000, 700_000, 850_000, 900_000, 999_999, 1_000_000)
EVENLY = range(1_000_001)


class Append(NamedTuple):
    """A batch, made from a seed: from few ratings that clash in every way to many."""

    seed: int
    size: int
    series: int

    def batch(self, now: int, hours: int) -> list[Feedback]:
        """Return ratings of some ``hours``: late and early, ties, edges of hours, repeated ids, scores on edges."""
        random = Random(self.seed)
        return [self._rating(random, now, hours, place) for place in range(self.size)]

    def _rating(self, random: Random, now: int, hours: int, place: int) -> Feedback:
        back = random.choice((0, 0, random.randrange(hours))) * HOUR
        offset = random.choice((0, -1, random.randrange(HOUR), 300 * MILLION))
        return Feedback(
            KEYS[random.randrange(self.series)],
            f"{random.randrange(2 * self.size)}",
            random.choice(random.choice((SCORES, EVENLY))),
            now - back + offset,
            now + place,
            random.choice((None, "judge")),
            b'{"place": %d}' % place,
        )


class Clear(NamedTuple):
    """A clear of a workflow, or of one stage."""

    workflow: str
    stage: str | None


class Retain(NamedTuple):
    """A retention that is asked for, in seconds."""

    retention: int


appends = st.builds(
    Append,
    st.integers(0, 1 << 30),
    st.one_of(st.integers(1, 5), st.integers(1, 300)),
    st.integers(1, len(KEYS)),
)
clears = st.builds(Clear, st.sampled_from("*w"), st.sampled_from((None, "a", "b")))
raises = st.builds(Retain, st.sampled_from(RETENTIONS))
# Microseconds that pass.
waits = st.one_of(
    st.integers(0, 13).map(lambda hours: hours * HOUR), st.integers(0, 2 * HOUR), st.integers(0, 4 * 24 * HOUR)
)
steps = st.lists(st.tuples(waits, st.one_of(appends, appends, appends, clears, raises)), min_size=1, max_size=20)


class Side:
    """A store under test, and a reader that follows it."""

    def __init__(self, url: str, retention: int, series_limit: int) -> None:
        """Open the store."""
        self.store = open_store(url, retention=retention, series_limit=series_limit)
        self.reader = Reader(self.store)

    def compare(self, model: Model, now: int) -> None:
        """See that what is alive is as the model has it: read at once, followed, and told rating by rating."""
        self.reader.poll()
        alive = model.alive(now)
        expected = {key: model.records[key] for key in alive}

        assert {key: record for key, record in self.reader.records.items() if key in alive} == expected
        assert {key: self.store.record(key) for key in alive} == expected
        for before in (None, now - 5 * HOUR):
            told = self.store.history(sorted(alive), 2000, before)
            assert told == model.history(sorted(alive), 2000, before)


def run(sides: list[Side], model: Model, steps: list[tuple[int, NamedTuple]]) -> None:
    """Do ``steps`` on every side, and compare after each."""
    now = NOW + 1234 * MILLION
    for wait, step in steps:
        now += wait
        match step:
            case Append():
                batch = step.batch(now, LIMITS[model.series_limit] or model.retention // 3600)
                expected = model.append(batch, now)
                assert [side.store.append(batch, now) for side in sides] == [expected] * len(sides)
            case Clear(workflow, stage):
                model.clear(workflow, stage)
                for side in sides:
                    side.store.clear(workflow, stage, now)
            case Retain(retention) if model.alive(now) == model.records.keys():
                # Whether a dead series comes back depends on whether it was deleted already.
                model.retention = max(model.retention, retention)
                for side in sides:
                    side.store.raise_retention(retention)
        for side in sides:
            side.compare(model, now)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(RETENTIONS), st.sampled_from(sorted(LIMITS)), steps)
def test_stores_are_equal(redis_url: str, retention: int, limit: int, steps: list[tuple[int, NamedTuple]]) -> None:
    """Verdicts, records and logs of both stores equal those of a plain model, after every step of any stream."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    sides = [Side(url, retention, limit) for url in ("sqlite://", redis_url)]
    try:
        run(sides, Model(retention, limit), steps)
    finally:
        for side in sides:
            side.store.close()
