"""View -> Prometheus text: a stage that changed is written anew, everything else is joined from ready lines.

The text is the same in Prometheus text 0.0.4 and in OpenMetrics 1.0: there are only gauges and one
histogram here, ``le`` is written as OpenMetrics has it, and every number as ``repr`` writes a float, so
that readers of either format get back the very number. What differs between the formats (counters, the
final ``# EOF``) is in ``telemetry``, whose text ends the document.

Names, types, help and labels come from ``names``, numbers from ``view``: nothing is computed here but text.
"""

import threading
from collections.abc import Callable, Iterable
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from exporter import names
from exporter.domain import MILLION, Ladder
from exporter.fold import EDGES, unpack_totals
from exporter.names import Metric
from exporter.policy import TierRecommendation
from exporter.stats import QualityStats
from exporter.view import Stage, StageKey, View


class _Row(NamedTuple):
    """One series as it is written. ``labels`` is open: its closing brace is missing, so that ``le`` can follow."""

    labels: str
    stats: QualityStats
    totals: bytes
    recommendation: TierRecommendation
    rank: int


_SERIES_GAUGES: dict[Metric, Callable[[_Row], float]] = {
    names.QUALITY_AVG: attrgetter("stats.avg_quality"),
    names.QUALITY_MIN: attrgetter("stats.min_quality"),
    names.QUALITY_MAX: attrgetter("stats.max_quality"),
    names.QUALITY_LOWER_BOUND: attrgetter("stats.lower_bound"),
    names.QUALITY_UPPER_BOUND: attrgetter("stats.upper_bound"),
    names.QUALITY_TREND: attrgetter("stats.recent_trend"),
    names.QUALITY_TREND_UPPER_BOUND: attrgetter("stats.trend_upper_bound"),
    names.WINDOW_SAMPLES: attrgetter("stats.sample_count"),
    names.LAST_TIMESTAMP: attrgetter("stats.last_timestamp"),
    names.RECOMMENDED_TIER_RANK: attrgetter("rank"),
    names.RECOMMENDATION_CONFIDENCE: attrgetter("recommendation.confidence"),
}
_STATE_SETS: dict[Metric, Callable[[Stage], str]] = {
    names.RECOMMENDED_TIER: attrgetter("recommendation.recommended_tier"),
    names.CURRENT_TIER: attrgetter("current_tier"),
}
_STAGE_GAUGES: dict[Metric, Callable[[Stage], float]] = {
    names.STAGE_CONFIDENCE: attrgetter("recommendation.confidence"),
    names.QUALITY_THRESHOLD: attrgetter("rules.quality_threshold"),
    names.MIN_SAMPLES: attrgetter("rules.min_samples"),
}
# The families that stages have, in the order in which they are written.
_FAMILIES = (*_SERIES_GAUGES, names.SCORE, *_STATE_SETS, *_STAGE_GAUGES)

_SCORE_LINES = "".join(
    (
        *(f'{names.SCORE.name}_bucket%s,le="{edge / MILLION}"}} %d.0\n' for edge in EDGES),
        f'{names.SCORE.name}_bucket%s,le="+Inf"}} %d.0\n',
        f"{names.SCORE.name}_sum%s}} %r\n",
        f"{names.SCORE.name}_count%s}} %d.0\n",
    )
)


class Exposition:
    """Text of every live stage of a view. Thread-safe."""

    def __init__(self, view: View) -> None:
        """Begin without lines; the first rendering writes them all."""
        self._view = view
        self._lock = threading.Lock()
        self._ladder: Ladder | None = None
        self._stages: dict[StageKey, tuple[bytes, ...]] = {}
        self._whole: bytes | None = None

    def render(self, wanted: frozenset[str] | None = None) -> bytes:
        """Render the view as it is now: the families per series, per stage and ``tier_rank``, without ``# EOF``.

        Args:
            wanted: names of families or of their samples (``x_bucket``, ``x_sum``, ``x_count``); a family
                that is named either way comes whole. ``None`` stands for all families.

        Stages come in the order of their names, tiers in the order of the ladder. A family without
        samples keeps its ``# HELP`` and ``# TYPE``. While nothing changes, all families are the same object.

        """
        with self._lock:
            self._catch_up()
            if wanted is not None:
                return self._join(wanted)
            if self._whole is None:
                self._whole = self._join(None)
            return self._whole

    def _catch_up(self) -> None:
        ladder = self._view.rules.ladder
        if ladder != self._ladder:
            self._ladder, self._whole = ladder, None
        for key, stage in self._view.take_changed().items():
            lines = _stage_lines(stage) if stage else ()
            if lines != self._stages.get(key, ()):
                self._whole = None
            if lines:
                self._stages[key] = lines
            else:
                self._stages.pop(key, None)

    def _join(self, wanted: frozenset[str] | None) -> bytes:
        stages = [self._stages[key] for key in sorted(self._stages)]
        parts: list[bytes] = []
        for place, metric in enumerate(_FAMILIES):
            if _is_wanted(metric, wanted):
                parts.append(_header(metric))
                parts += [lines[place] for lines in stages]
        if _is_wanted(names.TIER_RANK, wanted):
            parts += _header(names.TIER_RANK), _tier_ranks(self._ladder or ())
        return b"".join(parts)


def _is_wanted(metric: Metric, wanted: frozenset[str] | None) -> bool:
    if wanted is None or metric.name in wanted:
        return True
    suffixes = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ()
    return any(metric.name + suffix in wanted for suffix in suffixes)


def _header(metric: Metric) -> bytes:
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.type}\n".encode()


def _stage_lines(stage: Stage) -> tuple[bytes, ...]:
    """Write one stage: the lines of each family, in the order of ``_FAMILIES``."""
    workflow, name = stage.key
    labels = f'{{workflow="{_escape(workflow)}",stage="{_escape(name)}"'
    rows = [_row(labels, stage, tier) for tier in stage.series]
    texts = [
        *(_series_lines(metric.name, value, rows) for metric, value in _SERIES_GAUGES.items()),
        "".join([_score_lines(row) for row in rows]),
        *(_state_lines(metric.name, labels, value(stage), stage.ladder) for metric, value in _STATE_SETS.items()),
        *(f"{metric.name}{labels}}} {float(value(stage))!r}\n" for metric, value in _STAGE_GAUGES.items()),
    ]
    return tuple([text.encode() for text in texts])


def _escape(value: str) -> str:
    """Escape a label value; names hold no newline, but the format does not rest on that."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _row(labels: str, stage: Stage, tier: str) -> _Row:
    series = stage.series[tier]
    recommendation = stage.recommend(tier)
    return _Row(
        labels=f'{labels},tier="{_escape(tier)}"',
        stats=series.stats,
        totals=series.record.totals,
        recommendation=recommendation,
        rank=stage.ladder.rank(recommendation.recommended_tier),
    )


def _series_lines(name: str, value: Callable[[_Row], float], rows: list[_Row]) -> str:
    return "".join([f"{name}{row.labels}}} {float(value(row))!r}\n" for row in rows])


def _score_lines(row: _Row) -> str:
    """Write the histogram of one series: cumulative buckets, ``+Inf``, sum, count."""
    labels, totals = row.labels, unpack_totals(row.totals)
    buckets = list(accumulate(totals.buckets))
    count = buckets[-1]
    values: list[object] = [part for bucket in (*buckets, count) for part in (labels, bucket)]
    return _SCORE_LINES % (*values, labels, totals.sum / MILLION, labels, count)


def _state_lines(name: str, labels: str, state: str, ladder: Ladder) -> str:
    return "".join([f'{name}{labels},tier="{_escape(tier)}"}} {float(tier == state)!r}\n' for tier in ladder])


def _tier_ranks(ladder: Iterable[str]) -> bytes:
    lines = [f'{names.TIER_RANK.name}{{tier="{_escape(tier)}"}} {float(rank)!r}\n' for rank, tier in enumerate(ladder)]
    return "".join(lines).encode()
