"""View -> Prometheus text: a stage that changed is written anew, everything else is joined from ready lines.

The text is the same in Prometheus text 0.0.4 and in OpenMetrics 1.0: there are only gauges and one
histogram here, ``le`` is written as OpenMetrics has it, and every number as ``repr`` writes a float, so
that readers of either format get back the very number. What differs between the formats (counters, the
final ``# EOF``) is in ``telemetry``, whose text ends the document.

Names, types, help and labels come from ``names``, numbers from ``view``: nothing is computed here but text.
"""

import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, chain
from operator import attrgetter

from exporter import names
from exporter.deflate import Piece, deflate, join
from exporter.document import Document
from exporter.domain import MILLION, Ladder
from exporter.fold import EDGES
from exporter.names import Metric
from exporter.text import CUT, LABELS, escape, header
from exporter.view import Series, Stage, View

# Fields of ``QualityStats`` by the metric that shows them.
_STATISTICS = {
    names.QUALITY_AVG: "avg_quality",
    names.QUALITY_MIN: "min_quality",
    names.QUALITY_MAX: "max_quality",
    names.QUALITY_LOWER_BOUND: "lower_bound",
    names.QUALITY_UPPER_BOUND: "upper_bound",
    names.QUALITY_TREND: "recent_trend",
    names.QUALITY_TREND_UPPER_BOUND: "trend_upper_bound",
    names.WINDOW_SAMPLES: "sample_count",
    names.LAST_TIMESTAMP: "last_timestamp",
}
_statistics = attrgetter(*_STATISTICS.values())

# The families that stages have, in the order in which they are written.
_SERIES_GAUGES = (*_STATISTICS, names.RECOMMENDED_TIER_RANK, names.RECOMMENDATION_CONFIDENCE)
_STATE_SETS = (names.RECOMMENDED_TIER, names.CURRENT_TIER)
_STAGE_GAUGES = (names.STAGE_CONFIDENCE, names.QUALITY_THRESHOLD, names.MIN_SAMPLES)
_FAMILIES = (*_SERIES_GAUGES, names.SCORE, *_STATE_SETS, *_STAGE_GAUGES)

# How numbers are written, whole ones faster than others, and the gauges that are whole.
_WHOLE, _EXACT = "%d.0", "%r"
_WHOLE_GAUGES = {names.WINDOW_SAMPLES, names.RECOMMENDED_TIER_RANK, *_STATE_SETS, names.MIN_SAMPLES}


class Exposition:
    """Text of every live stage of a view. Thread-safe."""

    def __init__(self, view: View) -> None:
        """Begin without lines; the first rendering writes them all."""
        self._view = view
        self._lock = threading.Lock()
        self._ladder: Ladder | None = None
        self._document = Document(len(_FAMILIES))
        # The whole text, plain and as a piece of a gzip stream, as long as nothing changes.
        self._whole: bytes | None = None
        self._whole_piece: Piece | None = None

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
                return self._text(wanted)
            if self._whole is None:
                self._whole = self._text(None)
            return self._whole

    def deflated(self, wanted: frozenset[str] | None = None) -> Piece:
        """Return what ``render`` returns as a piece of a gzip stream; what did not change is not compressed again."""
        with self._lock:
            self._catch_up()
            if wanted is not None:
                return self._piece(wanted)
            if self._whole_piece is None:
                self._whole_piece = self._piece(None)
            return self._whole_piece

    def _catch_up(self) -> None:
        ladder = self._view.rules.ladder
        changed = ladder != self._ladder
        self._ladder = ladder
        for key, stage in self._view.take_changed().items():
            changed |= self._document.put(key, _stage_lines(stage) if stage else [])
        if changed:
            self._whole = self._whole_piece = None

    def _text(self, wanted: frozenset[str] | None) -> bytes:
        parts: list[bytes] = []
        for family, metric in self._chosen(wanted):
            parts.append(_header(metric))
            parts += self._document.lines(family)
        return b"".join([*parts, self._ranks(wanted)])

    def _piece(self, wanted: frozenset[str] | None) -> Piece:
        pieces: list[Piece] = []
        for family, metric in self._chosen(wanted):
            pieces.append(deflate(_header(metric)))
            pieces += self._document.pieces(family)
        return join([*pieces, deflate(self._ranks(wanted))])

    @staticmethod
    def _chosen(wanted: frozenset[str] | None) -> list[tuple[int, Metric]]:
        return [(family, metric) for family, metric in enumerate(_FAMILIES) if _is_wanted(metric, wanted)]

    def _ranks(self, wanted: frozenset[str] | None) -> bytes:
        return (
            _header(names.TIER_RANK) + _tier_ranks(self._ladder or ()) if _is_wanted(names.TIER_RANK, wanted) else b""
        )


def _is_wanted(metric: Metric, wanted: frozenset[str] | None) -> bool:
    if wanted is None or metric.name in wanted:
        return True
    suffixes = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ()
    return any(metric.name + suffix in wanted for suffix in suffixes)


def _header(metric: Metric) -> bytes:
    return header(metric.name, metric.type, metric.help).encode()


def _tier_ranks(ladder: Iterable[str]) -> bytes:
    name = names.TIER_RANK.name
    lines = [f'{name}{{tier="{escape(tier)}"}} {float(rank)!r}\n' for rank, tier in enumerate(ladder)]
    return "".join(lines).encode()


def _stage_lines(stage: Stage) -> list[bytes]:
    """Write one stage: the lines of each family, in the order of ``_FAMILIES``."""
    workflow, name = stage.key
    labels = f'{{workflow="{escape(workflow)}",stage="{escape(name)}"'
    text = (_form(stage.ladder, tuple(stage.series)) % tuple(_values(stage))).encode()
    return text.replace(LABELS.encode(), labels.encode()).split(CUT.encode())


def _values(stage: Stage) -> Iterator[float]:
    """Numbers of one stage, in the order of the lines of ``_form``."""
    advice = {tier: stage.advise(tier) for tier in stage.series}
    recommended, confidence = advice[stage.current_tier]
    series = [
        (*_statistics(stats), stage.ladder.rank(tier), confidence)
        for stats, (tier, confidence) in zip(stage.stats.values(), advice.values(), strict=True)
    ]
    return chain(
        chain.from_iterable(zip(*series, strict=True)),
        chain.from_iterable(map(_scores, stage.series.values())),
        [tier == recommended for tier in stage.ladder],
        [tier == stage.current_tier for tier in stage.ladder],
        (confidence, stage.rules.quality_threshold, stage.rules.min_samples),
    )


def _scores(series: Series) -> tuple[float, ...]:
    """Numbers of one histogram: cumulative buckets, ``+Inf``, sum, count."""
    buckets = tuple(accumulate(series.totals.buckets))
    return (*buckets, buckets[-1], series.totals.sum / MILLION, buckets[-1])


@lru_cache
def _form(ladder: Ladder, tiers: tuple[str, ...]) -> str:
    """Text of a stage that has series in ``tiers``, to be cut into families; each line takes a number."""
    of_series = [_tier_label(tier) for tier in tiers]
    of_ladder = [_tier_label(tier) for tier in ladder]
    families = [
        *[_gauge_lines(metric, of_series) for metric in _SERIES_GAUGES],
        "".join([_score_lines(label) for label in of_series]),
        *[_gauge_lines(metric, of_ladder) for metric in _STATE_SETS],
        *[_gauge_lines(metric, [""]) for metric in _STAGE_GAUGES],
    ]
    return CUT.join(families)


def _tier_label(tier: str) -> str:
    return f',tier="{escape(tier)}"'.replace("%", "%%")


def _gauge_lines(metric: Metric, labels: Iterable[str]) -> str:
    number = _WHOLE if metric in _WHOLE_GAUGES else _EXACT
    return "".join([f"{metric.name}{LABELS}{label}}} {number}\n" for label in labels])


def _score_lines(label: str) -> str:
    name, edges = names.SCORE.name, [*(f"{edge / MILLION}" for edge in EDGES), "+Inf"]
    lines = [f'{name}_bucket{LABELS}{label},le="{edge}"}} {_WHOLE}\n' for edge in edges]
    return "".join(lines) + f"{name}_sum{LABELS}{label}}} {_EXACT}\n{name}_count{LABELS}{label}}} {_WHOLE}\n"
