"""FeedbackLoop: what an application does with ratings, over any store, without a server.

Every number comes from the same assessment that ``/metrics`` and the JSON API show. The module may not
import Flask, and redis-py and PyYAML are loaded only where a store or a configuration asks for them.
"""

import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from exporter.clock import new_feedback_id, now_microseconds
from exporter.domain import Feedback, ModelTier, SeriesKey, metadata_json, millionths, name, shown
from exporter.errors import InvalidFeedback, StoreError
from exporter.policy import TierRecommendation
from exporter.reading import FeedbackEntry, feedback_entry, known_tier, live_only, read_stage, stage_key
from exporter.rules import Rules
from exporter.stats import QualityStats
from exporter.store import SERIES_LIMIT, open_store
from exporter.store.base import Store
from exporter.view import Stage, View, live_samples

__all__ = ["FeedbackEntry", "FeedbackLoop"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class FeedbackLoop:
    """Record how good answers are; ask how a stage does and which tier it should use. Thread-safe.

    While the store cannot be used the application goes on: one warning is logged an outage,
    ``record_feedback`` returns ``""``, and what is asked answers as if nothing had been recorded.
    A value that is not usable raises ``InvalidFeedback``, a ``ValueError``, store or no store.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        rules: Rules | None = None,
        *,
        strict: bool = False,
        clock: Callable[[], int] = now_microseconds,
    ) -> None:
        """Open the loop; the store is not connected to yet.

        Args:
            store: an URL (``sqlite:///path``, ``redis://host``), or a store object, which stays the
                caller's to close. Without it, the URL in ``FEEDBACK_EXPORTER_STORE``, else memory:
                then the ratings live as long as this object. The ``store`` of a configuration file is
                the server's and is not looked at.
            rules: tiers, windows and thresholds. Without them, those of the file that
                ``FEEDBACK_EXPORTER_CONFIG`` names, with its limit of series and, where the store is a
                Redis, the replicas that it waits for, so that application and server agree; else the
                defaults.
            strict: raise ``StoreError`` when the store cannot be used, instead of going on.
            clock: tells the time, in microseconds since the epoch.

        Raises:
            ConfigError: the configuration file cannot be used.
            StoreRefused: the URL names no store.

        """
        self.rules, series_limit, wait_replicas = _configured() if rules is None else (rules, SERIES_LIMIT, 0)
        self.strict = strict
        self._clock = clock
        self._owned = not isinstance(store, Store)
        self._store = store if isinstance(store, Store) else _open(store, self.rules, series_limit, wait_replicas)
        self._view = View(self._store, self.rules)
        self._lock = threading.Lock()
        self._store_is_away = False
        self._limit_was_met = False

    def record_feedback(
        self,
        workflow_name: str,
        stage_name: str,
        tier: ModelTier | str,
        quality_score: float,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Record how good an answer was and return the id of the rating.

        Args:
            workflow_name: workflow that ran, 1 to 128 characters.
            stage_name: stage of it that called a model, 1 to 128 characters.
            tier: tier of the model, one of the ladder's.
            quality_score: 0.0 (bad) to 1.0 (excellent).
            metadata: anything else that JSON carries, at most 4 KiB: tokens, latency_ms, cost, ...

        Returns:
            The id; ``""`` when the rating could not be stored.

        Raises:
            InvalidFeedback: an argument is not usable; with ``strict`` also where the rating would begin
                a series beyond the limit of the store.
            StoreError: with ``strict``, the store could not be used; the rating may have been stored.

        """
        now = self._clock()
        key = SeriesKey(*stage_key(workflow_name, stage_name), known_tier(self.rules, tier))
        score, extra = millionths(quality_score), metadata_json(metadata)
        rating = Feedback(key, new_feedback_id(), score, now, now, None, extra)
        verdict = self._ask(lambda: self._store.append([rating], now)[0])
        if verdict == "series_limit":
            self._refuse_series(key)
        # A client that had to send it twice is told of its own first try.
        return rating.feedback_id if verdict in {"new", "duplicate"} else ""

    def get_quality_stats(
        self, workflow_name: str, stage_name: str, tier: ModelTier | str | None = None
    ) -> QualityStats | None:
        """Return the quality of a stage over the window: of one tier, or of all its tiers together.

        ``None`` without ratings in the window.
        """
        key = stage_key(workflow_name, stage_name)
        chosen = None if tier is None else known_tier(self.rules, tier)
        stage = self._stage(key)
        if stage is None:
            return None
        return stage.all_tiers if chosen is None else stage.stats.get(chosen)

    def recommend_tier(
        self, workflow_name: str, stage_name: str, current_tier: ModelTier | str | None = None
    ) -> TierRecommendation:
        """Recommend a tier to one who uses ``current_tier``; without it, to the stage as its traffic shows it.

        Keep the tier that you use until a recommendation above your gate (confidence > 0.7) names another.
        """
        key = stage_key(workflow_name, stage_name)
        chosen = None if current_tier is None else known_tier(self.rules, current_tier, "current_tier")
        stage = self._stage(key)
        if stage is not None:
            return stage.recommend(chosen) if chosen else stage.recommendation
        current = chosen or self.rules.start_tier(*key)
        return TierRecommendation(
            current_tier=current,
            recommended_tier=current,
            confidence=0.0,
            reason=f"Stay on {current}: the store could not be read.",
            stats={},
        )

    def get_feedback_history(
        self, workflow_name: str, stage_name: str, tier: ModelTier | str | None = None, limit: int = 100
    ) -> list[FeedbackEntry]:
        """Return the newest ratings in the window, newest first.

        At most ``limit`` (1 or more) of the 1,000 that were recorded last of each tier.
        """
        workflow, stage = stage_key(workflow_name, stage_name)
        tiers = self.rules.tiers if tier is None else (known_tier(self.rules, tier),)
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InvalidFeedback("limit", f"{shown(limit)} is not a whole number of 1 or more")
        keys = [SeriesKey(workflow, stage, each) for each in tiers]
        ratings = self._ask(lambda: self._store.history(keys, limit)) or []
        return [feedback_entry(rating) for rating in live_only(ratings, self.rules, self._clock())]

    def get_underperforming_stages(
        self, workflow_name: str, quality_threshold: float = 0.7
    ) -> list[tuple[str, QualityStats]]:
        """Return ("stage/tier", statistics) of what averages below ``quality_threshold``, worst first."""
        workflow = name(workflow_name, "workflow_name")
        millionths(quality_threshold, "quality_threshold")
        below = self._ask(lambda: self._fresh_view().underperforming(workflow, quality_threshold)) or []
        return [(f"{stats.stage_name}/{stats.tier}", stats) for stats in below]

    def clear_feedback(self, workflow_name: str, stage_name: str | None = None) -> int:
        """Delete a workflow's ratings, or one stage's; return how many of them were in the window."""
        workflow = name(workflow_name, "workflow_name")
        stage = None if stage_name is None else name(stage_name, "stage_name")
        now = self._clock()
        cleared = self._ask(lambda: self._store.clear(workflow, stage, now)) or []
        return live_samples(cleared, self.rules, now)

    def close(self) -> None:
        """Let go of the store, if this object opened it; it is not used afterwards."""
        if self._owned:
            self._store.close()

    def __enter__(self) -> Self:
        """Return the loop itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the loop."""
        self.close()

    def _stage(self, key: tuple[str, str]) -> Stage | None:
        """Assess a stage, ``None`` where the store cannot be read."""
        return self._ask(lambda: read_stage(self._store, self.rules, key, self._clock()))

    def _fresh_view(self) -> View:
        self._view.refresh(self._clock())
        return self._view

    def _ask(self, question: Callable[[], T]) -> T | None:
        """Answer of the store, or ``None`` and one warning an outage."""
        try:
            answer = question()
        except StoreError as error:
            if self.strict:
                raise
            with self._lock:
                begins, self._store_is_away = not self._store_is_away, True
            if begins:
                logger.warning("Feedback is neither recorded nor read until the store can be used again: %s", error)
            return None
        self._store_is_away = False
        return answer

    def _refuse_series(self, key: SeriesKey) -> None:
        refusal = InvalidFeedback(None, f"{shown('/'.join(key))} would be a series beyond the limit", "series_limit")
        if self.strict:
            raise refusal
        with self._lock:
            first, self._limit_was_met = not self._limit_was_met, True
        if first:
            logger.warning("Feedback is not recorded, and further such refusals are not logged: %s", refusal)


def _configured() -> tuple[Rules, int, int]:
    """Rules, series limit and ``wait_replicas`` of the file that ``FEEDBACK_EXPORTER_CONFIG`` names, else defaults."""
    if not os.environ.get("FEEDBACK_EXPORTER_CONFIG"):
        return Rules(), SERIES_LIMIT, 0
    from exporter.config import load  # noqa: PLC0415 - PyYAML is loaded only where a file is read

    config = load(None, os.environ, {})
    return config.all_rules, config.series_limit, config.wait_replicas


def _open(url: str | None, rules: Rules, series_limit: int, wait_replicas: int) -> Store:
    named = url or os.environ.get("FEEDBACK_EXPORTER_STORE") or "sqlite://"
    # The file asks this of the server's store, which may be another one.
    replicas = 0 if named.startswith("sqlite:") else wait_replicas
    return open_store(named, retention=rules.longest_window, series_limit=series_limit, wait_replicas=replicas)
