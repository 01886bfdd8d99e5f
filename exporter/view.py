"""The picture of all series, brought up to date by what changed since the last time.

Everybody who reads is shown this one assessment: ``/metrics``, the JSON API, ``FeedbackLoop`` and the CLI.
It depends on records, rules and time alone. A refresh costs what changed and what a passing hour
makes old, not what there is.
"""

import threading
from collections.abc import Mapping
from functools import cached_property
from heapq import heappop, heappush
from typing import NamedTuple

from exporter.domain import MILLION, Ladder, SeriesKey
from exporter.errors import StoreError
from exporter.fold import HOUR_MICROSECONDS, Record, Totals, unpack_totals
from exporter.policy import TierRecommendation, current_tier, decide, recommend
from exporter.rules import Rules, StageRules
from exporter.stats import Halves, Live, QualityStats, halves, live, merge, quality_stats
from exporter.store.base import Changes, Cursor, Store

StageKey = tuple[str, str]

# Outgrown moments of staleness that may lie about, beyond one a stage, before they are swept out.
SPARE_MOMENTS = 100
# Callers read their clocks before they wait for one another; what is further behind is a clock that was set back.
SET_BACK = 60 * MILLION


class Series(NamedTuple):
    """One series with live ratings: its record, the live part of it, what that means, and its scores in all."""

    record: Record
    part: Live
    halves: Halves
    stats: QualityStats
    totals: Totals


class Stage:
    """One stage at one moment; never changed, only replaced."""

    def __init__(self, key: StageKey, rules: StageRules, ladder: Ladder, series: Mapping[str, Series]) -> None:
        """Keep the live ``series`` by tier, in the order of ``ladder``; series of other tiers are not shown."""
        self.key = key
        self.rules = rules
        self.ladder = ladder
        self.series = {tier: series[tier] for tier in ladder if tier in series}
        self.stats: dict[str, QualityStats] = {tier: series.stats for tier, series in self.series.items()}
        parts = {tier: series.part for tier, series in self.series.items()}
        # Tier that the traffic shows the stage to use.
        self.current_tier: str = current_tier(parts, rules.start_tier or ladder[0])

    @cached_property
    def all_tiers(self) -> QualityStats | None:
        """Statistics over all tiers together, ``None`` without live ratings."""
        if not self.series:
            return None
        return quality_stats(*self.key, None, merge([series.part for series in self.series.values()]))

    @cached_property
    def recommendation(self) -> TierRecommendation:
        """Recommendation from the tier that the stage uses."""
        return self.recommend(self.current_tier)

    def recommend(self, current: str) -> TierRecommendation:
        """Recommendation to one who uses tier ``current``, one of the ladder's."""
        return recommend(self.stats, current, self.rules, self.ladder)

    def advise(self, current: str) -> tuple[str, float]:
        """Recommended tier and confidence of ``recommend``, without the cost of its words."""
        tier, confidence, _ = decide(self.stats, current, self.rules, self.ladder)
        return tier, confidence

    @cached_property
    def stale_at(self) -> int:
        """Microsecond at which the oldest live hour dies and the stage must be looked at again."""
        oldest = min(series.part.first_hour for series in self.series.values())
        return (oldest + 1) * HOUR_MICROSECONDS + self.rules.window_seconds * MILLION


def _series(key: SeriesKey, record: Record, rules: StageRules, now: int, old: Series | None) -> Series | None:
    totals = unpack_totals(record.totals)
    part = live(record, now, rules.window_seconds, (old.record, old.part) if old else None)
    if part is None:
        return None
    sums = halves(part, (old.part, old.halves) if old else None)
    return Series(record, part, sums, quality_stats(*key, part, sums), totals)


def assess(key: StageKey, records: Mapping[str, Record], rules: StageRules, ladder: Ladder, now: int) -> Stage:
    """Assess a stage from the records of its tiers at ``now`` (microseconds)."""
    series = {tier: _series(SeriesKey(*key, tier), record, rules, now, None) for tier, record in records.items()}
    return Stage(key, rules, ladder, {tier: part for tier, part in series.items() if part})


class View:
    """Every live stage of a store. Thread-safe; the stages that it hands out never change."""

    def __init__(self, store: Store, rules: Rules) -> None:
        """Begin empty; the first refresh reads everything."""
        self._store = store
        self._lock = threading.Lock()
        # Whoever only takes what changed does not wait for a store that hangs.
        self._picture = threading.Lock()
        self._begun = self._failed = 0
        self._failure: StoreError | None = None
        self._stages: dict[StageKey, Stage] = {}
        # How many series the stages have.
        self.series_count = 0
        # When each stage must be looked at again, soonest first; an entry that a stage outgrew is passed over.
        self._stale: list[tuple[int, StageKey]] = []
        self._changed: set[StageKey] = set()
        # The moment up to which hours were let pass, also while the store could not be read.
        self._latest = 0
        self.updated_at: int | None = None
        self._restart(rules)

    def _restart(self, rules: Rules) -> None:
        self.rules = rules
        self._cursor: Cursor | None = None

    def set_rules(self, rules: Rules) -> None:
        """Assess everything anew by ``rules`` at the next refresh; until then the old picture stands."""
        with self._lock:
            self._restart(rules)

    def refresh(self, now: int) -> None:
        """Bring the view up to ``now`` (microseconds): all that was acknowledged before the call is in it.

        Callers that wait for one another share one refresh, if it began after they asked, and a failure even if
        it began before: however many ask, none waits much longer than the store takes to fail once.

        Raises:
            StoreError: the store could not be read; the view then is the last known one, without what has
                left the window since.

        """
        asked, failed = self._begun, self._failed
        with self._lock:
            if self._begun == asked and self._failed == failed:
                self._begun += 1
                self._failure = self._update(now)
                self._failed += self._failure is not None
            if self._failure is not None:
                raise type(self._failure)(str(self._failure)) from self._failure

    def _update(self, now: int) -> StoreError | None:
        if now < self._latest - SET_BACK:
            self._cursor = None  # hours that had left the window are live again
        else:
            now = max(now, self._latest)
        self._latest = now
        try:
            changes = self._store.changes(self._cursor)
            if changes.complete:
                self._forget_all_but({key[:2] for key, _ in changes.items})
            self._take(changes, now)
        except StoreError as error:
            self._let_hours_pass(now)
            return error
        self._let_hours_pass(now)
        self._cursor = changes.cursor
        self.updated_at = now
        return None

    def _forget_all_but(self, kept: set[StageKey]) -> None:
        for key in self._stages.keys() - kept:
            self._put(Stage(key, self.rules.stage(*key), self.rules.ladder, {}))

    def _take(self, changes: Changes, now: int) -> None:
        """Assess the stages of the changed series; their other series stand as they are."""
        changed: dict[StageKey, list[tuple[SeriesKey, Record | None]]] = {}
        for item in changes.items:
            changed.setdefault(item[0][:2], []).append(item)
        for key, items in changed.items():
            old = None if changes.complete else self._stages.get(key)
            rules = old.rules if old else self.rules.stage(*key)
            series = dict(old.series) if old else {}
            for series_key, record in items:
                old_series = series.pop(series_key.tier, None)
                new_series = _series(series_key, record, rules, now, old_series) if record else None
                if new_series:
                    series[series_key.tier] = new_series
            self._put(Stage(key, rules, self.rules.ladder, series))

    def _let_hours_pass(self, now: int) -> None:
        """Assess anew the stages whose oldest live hour has left the window."""
        while self._stale and self._stale[0][0] <= now:
            due, key = heappop(self._stale)
            stage = self._stages.get(key)
            if stage is not None and stage.stale_at == due:
                records = {tier: series.record for tier, series in stage.series.items()}
                self._put(assess(key, records, stage.rules, stage.ladder, now))

    def _put(self, stage: Stage) -> None:
        with self._picture:
            self._changed.add(stage.key)
            old = self._stages.get(stage.key)
            self.series_count += len(stage.series) - (len(old.series) if old else 0)
            if not stage.series:
                self._stages.pop(stage.key, None)
                return
            self._stages[stage.key] = stage
        if old is None or old.stale_at != stage.stale_at:
            heappush(self._stale, (stage.stale_at, stage.key))
            if len(self._stale) > 2 * len(self._stages) + SPARE_MOMENTS:
                self._stale = sorted((stage.stale_at, key) for key, stage in self._stages.items())

    @property
    def stages(self) -> list[Stage]:
        """Every stage with live ratings, as of the last refresh."""
        return list(self._stages.values())

    def stage(self, workflow: str, stage: str) -> Stage:
        """One stage as of the last refresh; without series where it has no live rating."""
        key = (workflow, stage)
        return self._stages.get(key) or Stage(key, self.rules.stage(*key), self.rules.ladder, {})

    def underperforming(self, workflow: str | None, threshold: float) -> list[QualityStats]:
        """Series of a workflow, or of all, whose average is below ``threshold``, worst first, ties by name."""
        found = [
            stats
            for stage in self.stages
            if workflow in (None, stage.key[0])
            for stats in stage.stats.values()
            if stats.avg_quality < threshold
        ]
        return sorted(found, key=lambda stats: (stats.avg_quality, stats.workflow_name, stats.stage_name, stats.tier))

    def take_changed(self) -> dict[StageKey, Stage | None]:
        """Stages that changed since the last call, ``None`` where one is gone; for the one reader that caches."""
        with self._picture:
            changed, self._changed = self._changed, set()
            return {key: self._stages.get(key) for key in changed}


def live_samples(deleted: list[tuple[SeriesKey, Record]], rules: Rules, now: int) -> int:
    """Count the ratings of deleted records that were live at ``now`` (microseconds) by the rules of their stages."""
    parts = (live(record, now, rules.stage(*key[:2]).window_seconds) for key, record in deleted)
    return sum(part.samples for part in parts if part)
