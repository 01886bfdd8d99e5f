"""A store that is too simple to be wrong: the contract in plain dictionaries over the pure fold."""

from collections.abc import Sequence

from exporter.domain import MILLION, Feedback, SeriesKey
from exporter.fold import Record, death, fold
from exporter.store.base import LOG_LENGTH, Verdict

HALF_DAY = 12 * 3600 * MILLION


class Model:
    """Records, logs and ids by series; dead series stay until they begin anew."""

    def __init__(self, retention: int, series_limit: int) -> None:
        """Begin empty."""
        self.retention = retention
        self.series_limit = series_limit
        self.records: dict[SeriesKey, Record] = {}
        self.logs: dict[SeriesKey, list[Feedback]] = {}
        self._ids: dict[tuple[SeriesKey, str], set[int]] = {}

    def alive(self, now: int) -> set[SeriesKey]:
        """Return the series that are alive at ``now``."""
        return {key for key, record in self.records.items() if death(record, self.retention) > now}

    def append(self, batch: Sequence[Feedback], now: int) -> list[Verdict]:
        """Store rating by rating."""
        alive = self.alive(now)
        begun = [key for key in dict.fromkeys(rating.key for rating in batch) if key not in alive]
        refused = set(begun[max(0, self.series_limit - len(alive)) :])
        by_series = dict.fromkeys(rating.key for rating in batch)
        verdicts: dict[int, Verdict] = {}
        for key in by_series:
            fresh = []
            for place, rating in enumerate(batch):
                if rating.key == key:
                    verdicts[place] = "series_limit" if key in refused else self._verdict(rating, now)
                    if verdicts[place] == "new":
                        fresh.append(rating)
            if fresh:
                self._store(key, fresh, now)
        return [verdicts[place] for place in range(len(batch))]

    def _verdict(self, rating: Feedback, now: int) -> Verdict:
        period = now // HALF_DAY
        periods = self._ids.setdefault((rating.key, rating.feedback_id), set())
        if periods & {period - 2, period - 1, period, period + 1}:
            return "duplicate"
        periods.add(period)
        return "new"

    def _store(self, key: SeriesKey, fresh: list[Feedback], now: int) -> None:
        if key not in self.alive(now):
            self.logs[key] = []
        self.records[key] = fold(self.records.get(key), fresh, now, self.retention)
        self.logs[key] = [*self.logs[key], *fresh][-LOG_LENGTH:]

    def clear(self, workflow: str, stage: str | None) -> None:
        """Forget a workflow, or one stage of it."""
        for key in [key for key in self.records if key.workflow == workflow and stage in {None, key.stage}]:
            del self.records[key]
            del self.logs[key]
        for key, feedback_id in list(self._ids):
            if key.workflow == workflow and stage in {None, key.stage}:
                del self._ids[key, feedback_id]

    def history(self, keys: Sequence[SeriesKey], limit: int, before: int | None) -> list[Feedback]:
        """Return ratings, newest first, later arrival first among equals."""
        entries = [rating for key in keys for rating in self.logs.get(key, [])]
        order = sorted(
            range(len(entries)), key=lambda at: (entries[at].timestamp, entries[at].arrival, at), reverse=True
        )
        newest = [entries[at] for at in order]
        return [rating for rating in newest if before is None or rating.timestamp < before][:limit]
