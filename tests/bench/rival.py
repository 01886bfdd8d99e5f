"""The same families as ``/metrics`` has, for prometheus-client: read straight from the view, in its own types."""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter import names
from exporter.domain import MILLION
from exporter.fold import EDGES, unpack_totals
from exporter.stats import QualityStats
from exporter.view import Stage, View

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

STATISTICS: dict[names.Metric, Callable[[QualityStats], float]] = {
    names.QUALITY_AVG: lambda stats: stats.avg_quality,
    names.QUALITY_MIN: lambda stats: stats.min_quality,
    names.QUALITY_MAX: lambda stats: stats.max_quality,
    names.QUALITY_LOWER_BOUND: lambda stats: stats.lower_bound,
    names.QUALITY_UPPER_BOUND: lambda stats: stats.upper_bound,
    names.QUALITY_TREND: lambda stats: stats.recent_trend,
    names.QUALITY_TREND_UPPER_BOUND: lambda stats: stats.trend_upper_bound,
    names.WINDOW_SAMPLES: lambda stats: stats.sample_count,
    names.LAST_TIMESTAMP: lambda stats: stats.last_timestamp,
}


class Families(Collector):
    """Families of samples that were built beforehand, so that only their rendering is timed."""

    def __init__(self, families: Iterable[Metric]) -> None:
        """Keep the families."""
        self._families = list(families)

    def collect(self) -> list[Metric]:
        """Return the families."""
        return self._families


def families(view: View) -> Iterator[Metric]:
    """Build every family of ``Exposition`` from the view, each by its definition."""
    stages = view.stages
    for metric, value in STATISTICS.items():
        yield _per_series(metric, stages, _of_stats(value))
    yield _per_series(names.RECOMMENDED_TIER_RANK, stages, _recommended_rank)
    yield _per_series(names.RECOMMENDATION_CONFIDENCE, stages, lambda stage, tier: stage.recommend(tier).confidence)
    yield _scores(stages)
    yield _state_set(names.RECOMMENDED_TIER, stages, lambda stage: stage.recommendation.recommended_tier)
    yield _state_set(names.CURRENT_TIER, stages, lambda stage: stage.current_tier)
    yield _per_stage(names.STAGE_CONFIDENCE, stages, lambda stage: stage.recommendation.confidence)
    yield _per_stage(names.QUALITY_THRESHOLD, stages, lambda stage: stage.rules.quality_threshold)
    yield _per_stage(names.MIN_SAMPLES, stages, lambda stage: stage.rules.min_samples)
    ranks = _gauge(names.TIER_RANK)
    for rank, tier in enumerate(view.rules.ladder):
        ranks.add_metric([tier], rank)
    yield ranks


def render(families: Iterable[Metric]) -> bytes:
    """Render families with prometheus-client."""
    return generate_latest(Families(families))


def samples(families: Iterable[Metric]) -> Samples:
    """Read families as a dictionary: name and labels to value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def families_of(text: bytes) -> list[Metric]:
    """Parse Prometheus text."""
    return list(parse_text(text.decode()))


def openmetrics_families_of(text: bytes) -> list[Metric]:
    """Parse OpenMetrics, with its end."""
    return list(parse_openmetrics(text.decode()))  # type: ignore[no-untyped-call]  # prometheus-client types it not


def parsed(text: bytes) -> Samples:
    """Parse the samples of Prometheus text."""
    return samples(families_of(text))


def _gauge(metric: names.Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def _per_series(metric: names.Metric, stages: list[Stage], value: Callable[[Stage, str], float]) -> Metric:
    family = _gauge(metric)
    for stage in stages:
        for tier in stage.series:
            family.add_metric([*stage.key, tier], value(stage, tier))
    return family


def _of_stats(value: Callable[[QualityStats], float]) -> Callable[[Stage, str], float]:
    return lambda stage, tier: value(stage.stats[tier])


def _recommended_rank(stage: Stage, tier: str) -> int:
    return stage.ladder.rank(stage.recommend(tier).recommended_tier)


def _scores(stages: list[Stage]) -> Metric:
    family = HistogramMetricFamily(names.SCORE.name, names.SCORE.help, labels=names.SCORE.labels)
    for stage in stages:
        for tier, series in stage.series.items():
            totals = unpack_totals(series.record.totals)
            counts = list(accumulate(totals.buckets))
            buckets = [(str(edge / MILLION), float(count)) for edge, count in zip(EDGES, counts, strict=True)]
            family.add_metric([*stage.key, tier], [*buckets, ("+Inf", float(counts[-1]))], totals.sum / MILLION)
    return family


def _state_set(metric: names.Metric, stages: list[Stage], state: Callable[[Stage], str]) -> Metric:
    family = _gauge(metric)
    for stage in stages:
        for tier in stage.ladder:
            family.add_metric([*stage.key, tier], tier == state(stage))
    return family


def _per_stage(metric: names.Metric, stages: list[Stage], value: Callable[[Stage], float]) -> Metric:
    family = _gauge(metric)
    for stage in stages:
        family.add_metric(stage.key, value(stage))
    return family
