"""The recording rules: what is known of each series, and averages, shares and rates over hours, days and weeks.

Averages come from the histogram ``llm_feedback_score`` as sum over count, so that they can be taken over any set
of series; an average of averages would weigh a stage with one rating like one with a thousand.
"""

from collections.abc import Iterator
from typing import NamedTuple

from alerts.expressions import BUCKETS, JOB, STORE_UP, exporters, kept, replicas

Rule = dict[str, str]
Group = dict[str, str | list[Rule]]

# Longer ranges are read in coarser steps, since a rule costs what it reads: a week at 15 s is 40,320 samples a series.
RANGES = {"1h": "[1h]", "1d": "[1d:5m]", "7d": "[7d:1h]"}
PARTS = ("count", "sum", "bucket")


class Level(NamedTuple):
    """What a rule speaks of, and the labels that are summed over for it."""

    name: str
    without: str


LEVELS = (
    Level("series", ""),
    Level("stage", "tier"),
    Level("workflow", "stage, tier"),
    Level("job", "workflow, stage, tier"),
)

KNOWN_SERIES = (
    "quality_trend",
    "quality_trend_upper_bound",
    "window_samples",
    "last_timestamp_seconds",
)
# With the labels that are left out: what has no tier of its own may have one from its target.
KNOWN_STAGES = {
    "recommended_tier": "instance",
    "stage_confidence": "instance, tier",
    "quality_threshold": "instance, tier",
    "min_samples": "instance, tier",
}


def groups() -> list[Group]:
    """Every group of recording rules, in the order in which they read each other."""
    return [
        {"name": "llm-feedback-known", "rules": list(_known())},
        {"name": "llm-feedback-averages", "rules": [*_increases(), *_averages()]},
        {"name": "llm-feedback-exporter", "rules": list(_exporter())},
    ]


def _rule(record: str, expression: str) -> Rule:
    return {"record": record, "expr": expression}


def _known() -> Iterator[Rule]:
    # All in one group, and this one first: what follows reads it at the same instant.
    yield _rule(
        STORE_UP,
        f"{exporters('max', f'llm_feedback_exporter_store_up{{{JOB}}}')}\nor\n{exporters('max', f'up{{{JOB}}}')}",
    )
    for metric in KNOWN_SERIES:
        yield _kept(f"series:llm_feedback_{metric}:max", replicas(f"llm_feedback_{metric}{{{JOB}}}"))
    # Kept too, else it would grow while nobody can know of newer ratings.
    yield _kept("series:llm_feedback_age_seconds:min", "time() - series:llm_feedback_last_timestamp_seconds:max")
    for metric, without in KNOWN_STAGES.items():
        yield _kept(f"stage:llm_feedback_{metric}:max", replicas(f"llm_feedback_{metric}{{{JOB}}}", without=without))
    for which in ("recommended", "current"):
        record = f"stage:llm_feedback_{which}_tier_rank:max"
        yield _kept(record, _rank(f"llm_feedback_{which}_tier"))
    for part in PARTS:
        matchers = ', le="0.7"' if part == "bucket" else ""
        yield _kept(
            f"series:llm_feedback_score_{part}:max",
            replicas(f"llm_feedback_score_{part}{{{JOB}{matchers}}}", matching=BUCKETS),
            BUCKETS,
        )


def _kept(record: str, expression: str, *matching: str) -> Rule:
    return _rule(record, kept(record, expression, *matching))


def _rank(state_set: str) -> str:
    """Rank of the tier on which a state set is 1, by the ladder of the exporter that shows it."""
    ranked = f"{state_set}{{{JOB}}} * ignoring (workflow, stage) group_left () llm_feedback_tier_rank{{{JOB}}}"
    return replicas(ranked, without="instance, tier")


def _increases() -> Iterator[Rule]:
    """Ratings, their scores' sum and the low ones among them, by range.

    ``increase`` counts from the first sample that it sees: what a series holds when it first appears (a new stage's
    first batch, or all of a store when Prometheus is new) is in no average. It spreads what it saw over the whole
    range, so a count is not a whole number. Sum and count are spread alike, so their ratio holds; only in the first n
    steps of a series may it be off, by up to 0.6 / n of itself, since they may be spread differently far back to zero.
    """
    for name, steps in RANGES.items():
        for part in PARTS:
            record = f"series:llm_feedback_score_{part}:increase{name}"
            yield _kept(record, f"increase(series:llm_feedback_score_{part}:max{steps})", BUCKETS)
    yield _kept("series:llm_feedback_score_count:seen1d", _seen("series:llm_feedback_score_count:max", RANGES["1d"]))
    record = "stage:llm_feedback_score_count:increase6h"
    yield _kept(record, "sum without (tier) (increase(series:llm_feedback_score_count:max[6h]))")
    yield _kept("stage:llm_feedback_score_count:usual6h", _lesser(f"{record} offset 1d", f"{record} offset 1w"))


def _seen(counter: str, steps: str) -> str:
    """How far a counter has come since its lowest value: at most the true increase, none of it from before a clear."""
    return f"{counter} - min_over_time({counter}{steps})"


def _lesser(one: str, other: str) -> str:
    """The lesser of two values, where there are both."""
    return f"{one} < {other}\nor\n{other} and {one}"


def _averages() -> Iterator[Rule]:
    for level in LEVELS:
        for name in RANGES:
            count, total, low = (_summed(level, part, name) for part in PARTS)
            yield _rule(f"{level.name}:llm_feedback_score:avg{name}", _ratio(total, count))
            yield _rule(f"{level.name}:llm_feedback_score_low:ratio{name}", _ratio(low, count))
        rate = "rate(series:llm_feedback_score_count:max[5m])"
        yield _rule(f"{level.name}:llm_feedback_score_count:rate5m", _sum(level, rate))


def _summed(level: Level, part: str, name: str) -> str:
    vector = f"series:llm_feedback_score_{part}:increase{name}"
    if part == "bucket":
        return f"sum without ({', '.join(filter(None, ('le', level.without)))}) ({vector})"
    return _sum(level, vector)


def _sum(level: Level, vector: str) -> str:
    return f"sum without ({level.without}) ({vector})" if level.without else vector


def _ratio(part: str, count: str) -> str:
    """A ratio in millionths, as scores are: 0.7 over and over averages 0.7, not a hair below."""
    return f"round(\n  {part}\n  /\n  ({count} > 0),\n  0.000001\n)"


def _exporter() -> Iterator[Rule]:
    """What exporters say of their own traffic. Each counts what it was sent, so replicas add up here."""
    rejected = f"increase(llm_feedback_exporter_ratings_rejected_total{{{JOB}}}[1h])"
    by_reason = "job:llm_feedback_exporter_ratings_rejected:increase1h"
    yield _rule(by_reason, exporters("sum", rejected))
    stored = "\n+\n".join(
        exporters("sum", f"increase(llm_feedback_exporter_ratings_{verdict}_total{{{JOB}}}[1h])")
        for verdict in ("accepted", "duplicate")
    )
    yield _rule(
        "job:llm_feedback_exporter_ratings_rejected:ratio1h",
        f"{by_reason}\n/ ignoring (reason) group_left ()\n(sum without (reason) ({by_reason})\n+\n{stored} > 0)",
    )
