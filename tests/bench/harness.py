"""What every section of the benchmark shares: sizes, figures and their goals, and alternating measurements."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

Say = Callable[[str], None]
# Names of what is measured, and what measures it once.
Actions = Mapping[str, Callable[[], float]]


class Scale(NamedTuple):
    """How large a run is; ``full`` ratings a series fill its log, so that what is measured could go on for ever."""

    pairs: int = 5
    seconds: float = 2.0
    series: int = 10_000
    many: int = 100_000
    ratings: int = 200
    full: int = 1_200
    batches: int = 40
    history: tuple[int, ...] = (1_000, 10_000, 100_000)
    log_times: int = 10
    connections: tuple[int, int] = (8, 64)
    threads: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    workers: tuple[int, ...] = (1, 2, 4)
    original: bool = True


QUICK = Scale(
    pairs=1,
    seconds=0.05,
    series=1_200,
    many=30,
    ratings=20,
    full=10,
    batches=2,
    history=(12, 60, 300),
    log_times=2,
    connections=(2, 4),
    threads=(8,),
    workers=(1, 2),
    original=False,
)


class Goal(NamedTuple):
    """What a figure is held against."""

    bound: float
    words: str

    def is_met(self, value: float) -> bool:
        """Tell whether ``value`` reaches it."""
        if self.words == "at least":
            return value >= self.bound
        return value <= self.bound if self.words == "at most" else value < self.bound


def at_least(bound: float) -> Goal:
    """Make a goal that is met at ``bound`` and above."""
    return Goal(bound, "at least")


def at_most(bound: float) -> Goal:
    """Make a goal that is met at ``bound`` and below."""
    return Goal(bound, "at most")


def below(bound: float) -> Goal:
    """Make a goal that is met below ``bound``."""
    return Goal(bound, "below")


class Figure(NamedTuple):
    """The median of what was measured, the lowest and the highest, and the goal, if there is one.

    ``unit`` is ``x`` for a ratio; others are seconds, bytes, a rate, or nothing.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; ``None`` without one."""
        return self.goal.is_met(self.value) if self.goal else None


class Picture(NamedTuple):
    """Curves of what grows with what: points by the name of each curve."""

    name: str
    title: str
    across: str
    up: str
    curves: dict[str, list[tuple[float, float]]]


class Outcome(NamedTuple):
    """What a section measured."""

    figures: list[Figure]
    pictures: Sequence[Picture] = ()


def figure(name: str, values: Sequence[float], unit: str, goal: Goal | None = None) -> Figure:
    """Make a figure of what was measured again and again."""
    return Figure(name, median(values), unit, min(values), max(values), goal)


def ratio(name: str, values: Sequence[float], others: Sequence[float], goal: Goal | None = None) -> Figure:
    """How many times each value is the one that was measured beside it: what slows one slows both."""
    return figure(name, [one / other for one, other in zip(values, others, strict=True)], "x", goal)


def alternate(pairs: int, actions: Actions, say: Say, what: str) -> dict[str, list[float]]:
    """Measure everything ``pairs`` times, in turn, every other time backwards."""
    measured: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(pairs):
        for name in list(actions)[:: -1 if number % 2 else 1]:
            say(f"{what}: {name}")
            measured[name].append(actions[name]())
    return measured


def seconds(action: Callable[[], object]) -> float:
    """Seconds that ``action`` takes once, beginning without garbage of others."""
    gc.collect()
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
