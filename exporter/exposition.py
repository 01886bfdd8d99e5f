"""View -> Prometheus text: a stage that changed is written anew, everything else is joined from ready lines.

The text is the same in Prometheus text 0.0.4 and in OpenMetrics 1.0: there are only gauges and one
histogram here, ``le`` is written as OpenMetrics has it, and every number as ``repr`` writes a float, so
that readers of either format get back the very number. What differs between the formats (counters, the
final ``# EOF``) is in ``telemetry``, whose text ends the document.

Names, types, help and labels come from ``names``, numbers from ``view``: nothing is computed here but text.
"""

import threading
from collections.abc import Callable, Iterable
from itertools import accumulate, chain, repeat
from operator import attrgetter

from exporter import names
from exporter.domain import MILLION, Ladder
from exporter.fold import EDGES, Record, unpack_totals
from exporter.names import Metric
from exporter.stats import QualityStats
from exporter.view import Stage, StageKey, View

_STATISTICS: dict[Metric, Callable[[QualityStats], float]] = {
    names.QUALITY_AVG: attrgetter("avg_quality"),
    names.QUALITY_MIN: attrgetter("min_quality"),
    names.QUALITY_MAX: attrgetter("max_quality"),
    names.QUALITY_LOWER_BOUND: attrgetter("lower_bound"),
    names.QUALITY_UPPER_BOUND: attrgetter("upper_bound"),
    names.QUALITY_TREND: attrgetter("recent_trend"),
    names.QUALITY_TREND_UPPER_BOUND: attrgetter("trend_upper_bound"),
    names.WINDOW_SAMPLES: attrgetter("sample_count"),
    names.LAST_TIMESTAMP: attrgetter("last_timestamp"),
}
# The families that stages have, in the order in which they are written.
_FAMILIES = (
    *_STATISTICS,
    names.RECOMMENDED_TIER_RANK,
    names.RECOMMENDATION_CONFIDENCE,
    names.SCORE,
    names.RECOMMENDED_TIER,
    names.CURRENT_TIER,
    names.STAGE_CONFIDENCE,
    names.QUALITY_THRESHOLD,
    names.MIN_SAMPLES,
)

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
    # Label sets stay open: without their closing brace, so that ``tier`` and ``le`` can follow.
    own = f'{{workflow="{_escape(workflow)}",stage="{_escape(name)}"'
    states = {tier: f'{own},tier="{_escape(tier)}"' for tier in stage.ladder}
    labels = [states[tier] for tier in stage.series]
    advice = {tier: stage.advise(tier) for tier in stage.series}
    recommended, confidence = advice[stage.current_tier]
    texts = [
        *[_gauges(metric, labels, map(value, stage.stats.values())) for metric, value in _STATISTICS.items()],
        _gauges(names.RECOMMENDED_TIER_RANK, labels, [stage.ladder.rank(tier) for tier, _ in advice.values()]),
        _gauges(names.RECOMMENDATION_CONFIDENCE, labels, [sure for _, sure in advice.values()]),
        "".join([_scores(label, series.record) for label, series in zip(labels, stage.series.values(), strict=True)]),
        _gauges(names.RECOMMENDED_TIER, states.values(), [tier == recommended for tier in states]),
        _gauges(names.CURRENT_TIER, states.values(), [tier == stage.current_tier for tier in states]),
        _gauges(names.STAGE_CONFIDENCE, [own], [confidence]),
        _gauges(names.QUALITY_THRESHOLD, [own], [stage.rules.quality_threshold]),
        _gauges(names.MIN_SAMPLES, [own], [stage.rules.min_samples]),
    ]
    return tuple([text.encode() for text in texts])


def _escape(value: str) -> str:
    """Escape a label value; names hold no newline, but the format does not rest on that."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _gauges(metric: Metric, labels: Iterable[str], values: Iterable[float]) -> str:
    name = metric.name
    return "".join([f"{name}{label}}} {float(value)!r}\n" for label, value in zip(labels, values, strict=True)])


def _scores(labels: str, record: Record) -> str:
    """Write the histogram of one series: cumulative buckets, ``+Inf``, sum, count."""
    totals = unpack_totals(record.totals)
    buckets = tuple(accumulate(totals.buckets))
    count = buckets[-1]
    values = (*buckets, count, totals.sum / MILLION, count)
    return _SCORE_LINES % tuple(chain.from_iterable(zip(repeat(labels), values)))


def _tier_ranks(ladder: Iterable[str]) -> bytes:
    labels = [f'{{tier="{_escape(tier)}"' for tier in ladder]
    return _gauges(names.TIER_RANK, labels, range(len(labels))).encode()
