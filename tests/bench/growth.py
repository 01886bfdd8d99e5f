"""What statistics and recommendation cost as history grows: ours, and the original FeedbackLoop's."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from math import log
from pathlib import Path
from random import Random
from statistics import linear_regression, median
from tempfile import TemporaryDirectory

from exporter import FeedbackLoop
from exporter.domain import ModelTier, SeriesKey
from exporter.rules import Rules
from exporter.store import open_store
from exporter.store.base import Store
from tests.bench import original, streams
from tests.bench.harness import Figure, Outcome, Picture, Say, Scale, below, figure
from tests.bench.servers import redis_that_keeps

WORKFLOW = "workflow"
# Calls in one measurement; the middle one counts.
CALLS = 25
OURS = {"SQLite": "this exporter, SQLite", "Redis": "this exporter, Redis"}
THEIRS = f"the original, {original.PACKAGE}"

# Seconds by ratings a stage.
Costs = Mapping[int, float]


def with_history(scale: Scale, say: Say, environment: Path) -> Outcome:
    """Ask for statistics and recommendation of stages that differ in their number of ratings."""
    with TemporaryDirectory(prefix="llm-feedback-bench-") as name, ExitStack() as stack:
        server = stack.enter_context(redis_that_keeps(Path(name) / "redis"))
        measures: dict[str, Callable[[], Costs]] = {}
        for kind, url in (("SQLite", f"sqlite:///{name}/bench.db"), ("Redis", server.url)):
            say(f"Filling stages, {kind}")
            store = stack.enter_context(closing(open_store(url)))
            for size in scale.history:
                fill_stage(store, size)
            loop = FeedbackLoop(store, Rules(), clock=lambda: streams.NOW)
            measures[OURS[kind]] = partial(_costs, loop, scale.history)
        if scale.original:
            say(f"Installing {original.PACKAGE}, which takes a minute the first time")
            python = original.installed(environment)
            measures[THEIRS] = stack.enter_context(original.Original(python, scale.history)).measure
        costs = _in_turn(measures, scale.pairs, say)
    return Outcome(_figures(costs), [_picture(costs)])


def fill_stage(store: Store, size: int) -> None:
    """Put ``size`` ratings over the whole window in the tiers of one stage, which is named for their number."""
    random = Random(size)
    for tier in ModelTier:
        key = SeriesKey(WORKFLOW, f"{size}", tier.value)
        ratings = streams.ratings(key, size // len(ModelTier), random)
        for begin in range(0, len(ratings), streams.BATCH):
            store.append(ratings[begin : begin + streams.BATCH], streams.NOW)


def _costs(loop: FeedbackLoop, sizes: Sequence[int]) -> Costs:
    return {size: _cost(loop, size) for size in sizes}


def _cost(loop: FeedbackLoop, size: int) -> float:
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        loop.get_quality_stats(WORKFLOW, f"{size}", ModelTier.CHEAP)
        loop.recommend_tier(WORKFLOW, f"{size}")
        taken.append(time.perf_counter() - began)
    return median(taken)


def _in_turn(measures: Mapping[str, Callable[[], Costs]], pairs: int, say: Say) -> dict[str, list[Costs]]:
    costs: dict[str, list[Costs]] = {name: [] for name in measures}
    for number in range(pairs):
        for name in list(measures)[:: -1 if number % 2 else 1]:
            say(f"Statistics and recommendation: {name}")
            costs[name].append(measures[name]())
    return costs


def slope(costs: Costs) -> float:
    """Exponent with which a cost grows: the slope of the line through its points, both axes in logarithms."""
    return linear_regression([log(size) for size in costs], [log(cost) for cost in costs.values()]).slope


def _figures(costs: Mapping[str, Sequence[Costs]]) -> list[Figure]:
    slopes = [
        figure(f"slope: {name}", [slope(run) for run in runs], "", None if name == THEIRS else below(0.05))
        for name, runs in costs.items()
    ]
    times = [
        figure(f"{size:,} ratings a stage: {name}", [run[size] for run in runs], "s")
        for name, runs in costs.items()
        for size in runs[0]
    ]
    return [*slopes, *times]


def _picture(costs: Mapping[str, Sequence[Costs]]) -> Picture:
    curves = {
        name: [(float(size), median(run[size] for run in runs)) for size in runs[0]] for name, runs in costs.items()
    }
    return Picture("growth", "Statistics and recommendation of one stage", "ratings of the stage", "seconds", curves)
