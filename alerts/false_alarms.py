"""How often the alert on declining quality is wrong, and how soon it sees a real fall: a simulation.

``python -m alerts.false_alarms`` prints the tables that the runbook shows. The statistics are the exporter's own,
and the same seed prints the same. Ratings are drawn independently of each other.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from math import inf, sqrt
from random import Random
from typing import NamedTuple

import click

from exporter.domain import MILLION, millionths
from exporter.fold import NEWEST, SCORE, square, sum_of_squares
from exporter.scores import scaled, stars
from exporter.stats import Halves, Live, quality_stats

SEED = 7
SERIES = 10_000
WEEKS = 1_000
SIZES = (20, 30, 50, NEWEST)
RATES = (50, 200, 1000)
ARRIVED = (10, 20, 30, 50, NEWEST)

# Nearer to none or to all than this, a share is shown with a digit more: its error is smaller.
LOW = 0.1

# The limits of the rule in `quality.py`.
TREND, UPPER_BOUND, SAMPLES = -0.2, 0.0, 20


class Ratings(NamedTuple):
    """Scores that may be given, in millionths, and how often out of a hundred."""

    name: str
    scores: tuple[int, ...]
    weights: tuple[int, ...]

    def draw(self, random: Random, count: int) -> list[int]:
        """Return ``count`` scores, independent of each other."""
        return random.choices(self.scores, self.weights, k=count)


def _good(percent: int) -> Ratings:
    return Ratings(f"0/1, mean {percent / 100:g}", (0, MILLION), (100 - percent, percent))


def _stars(mean: float, *weights: int) -> Ratings:
    return Ratings(f"1-5 stars, mean {mean}", tuple(millionths(stars(each)) for each in range(1, 6)), weights)


def _judge(mean: float, *weights: int) -> Ratings:
    scores = tuple(millionths(scaled(each, 0, 10)) for each in range(11))
    return Ratings(f"judge 0-10, mean {mean}", scores, weights)


STARS = _stars(0.8, 7, 4, 9, 22, 58)
JUDGE = _judge(0.8, 0, 0, 0, 1, 2, 4, 7, 14, 32, 27, 13)
STEADY = (_good(80), _good(50), STARS, JUDGE)
FALLS = {
    "0/1, 0.8 to 0.6": (_good(80), _good(60)),
    "0/1, 0.8 to 0.5": (_good(80), _good(50)),
    "1-5 stars, 0.8 to 0.5": (STARS, _stars(0.5, 25, 17, 16, 17, 25)),
    "judge 0-10, 0.8 to 0.5": (JUDGE, _judge(0.5, 0, 4, 8, 13, 16, 18, 16, 13, 8, 4, 0)),
}


class Verdict(NamedTuple):
    """Whether the plain comparison with the limit is true, and whether the rule that is shipped is."""

    plain: bool
    shipped: bool


@lru_cache(maxsize=100_000)
def verdict(count: int, sums: Halves) -> Verdict:
    """Judge the newest ``count`` scores of a series by the sums of their halves."""
    part = Live(count, 0, 0, 0, 0, bytes(count * SCORE.size), 0)
    stats = quality_stats("", "", None, part, sums)
    plain = stats.recent_trend < TREND
    return Verdict(plain, plain and stats.trend_upper_bound < UPPER_BOUND and stats.sample_count >= SAMPLES)


def snapshots(older: Ratings, newer: Ratings, size: int, series: int) -> list[Verdict]:
    """Judge ``series`` series of ``size`` scores, whose older and newest half come from two kinds of ratings."""
    random = Random(f"{SEED} {older} {newer} {size}")  # noqa: S311 - a repeatable simulation, no secret
    found = []
    for _ in range(series):
        before, after = older.draw(random, size // 2), newer.draw(random, size // 2)
        found.append(verdict(size, Halves(sum(before), sum_of_squares(before), sum(after), sum_of_squares(after))))
    return found


def windows(scores: Sequence[int], size: int) -> Iterator[Halves]:
    """Sums of the halves of the newest ``size`` scores, after each rating from the first that fills them on."""
    sums = list(accumulate(scores, initial=0))
    squares = list(accumulate(map(square, scores), initial=0))
    for end in range(size, len(sums)):
        begin, middle = end - size, end - size // 2
        yield Halves(
            sums[middle] - sums[begin],
            squares[middle] - squares[begin],
            sums[end] - sums[middle],
            squares[end] - squares[middle],
        )


def weeks(kind: Ratings, rate: int, count: int) -> list[Verdict]:
    """Tell of ``count`` steady weeks of ``rate`` ratings whether each rule was true after any of these."""
    random = Random(f"{SEED} {kind} {rate}")  # noqa: S311 - a repeatable simulation, no secret
    size = min(rate, NEWEST)
    return [_ever(size, kind.draw(random, size - 1 + rate)) for _ in range(count)]


def _ever(size: int, scores: Sequence[int]) -> Verdict:
    plain = False
    for sums in windows(scores, size):
        if sums.newer < sums.older:  # else nothing fell: only saves time
            judged = verdict(size, sums)
            if judged.shipped:
                return judged
            plain = plain or judged.plain
    return Verdict(plain, shipped=False)


def delays(before: Ratings, after: Ratings, series: int) -> list[float]:
    """Count the ratings from a fall to the first at which the shipped rule is true; infinite if it never is.

    The newest 100 are from before the fall; then ratings come until all are from after it.
    """
    random = Random(f"{SEED} {before} {after}")  # noqa: S311 - a repeatable simulation, no secret
    found = []
    for _ in range(series):
        judged = windows(before.draw(random, NEWEST - 1) + after.draw(random, NEWEST), NEWEST)
        found.append(next((place for place, sums in enumerate(judged, 1) if verdict(NEWEST, sums).shipped), inf))
    return found


def share(of: Sequence[bool]) -> str:
    """Percentage that is true, with its standard error."""
    part = sum(of) / len(of)
    error = sqrt(part * (1 - part) / len(of))
    if not error:
        return f"{'all' if part else 'none'} of {len(of):,}"
    digits = 1 if LOW < part < 1 - LOW else 2
    return f"{100 * part:.{digits}f} ± {100 * error:.{digits}f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _both(name: str, cells: Sequence[Sequence[Verdict]]) -> list[list[str]]:
    """One row for each rule."""
    return [
        [name, "`trend < -0.2` alone", *(share([each.plain for each in cell]) for cell in cells)],
        [name, "as shipped", *(share([each.shipped for each in cell]) for cell in cells)],
    ]


def steady_table(series: int) -> str:
    """Share of steady series on which each rule is true."""
    head = ["steady ratings", "rule", *(f"{size} scores" for size in SIZES)]
    rows = [_both(kind.name, [snapshots(kind, kind, size, series) for size in SIZES]) for kind in STEADY]
    return _table(head, [row for pair in rows for row in pair])


def weeks_table(count: int) -> str:
    """Share of steady weeks in which each rule was true at least once."""
    head = ["steady ratings", "rule", *(f"{rate:,} a week" for rate in RATES)]
    rows = [_both(kind.name, [weeks(kind, rate, count) for rate in RATES]) for kind in STEADY]
    return _table(head, [row for pair in rows for row in pair])


def falls_table(series: int) -> str:
    """Share of falls that each rule sees when the newest half of the scores comes from after the fall."""
    head = ["fall", "rule", *(f"{size} scores" for size in SIZES)]
    rows = [_both(name, [snapshots(*fall, size, series) for size in SIZES]) for name, fall in FALLS.items()]
    return _table(head, [row for pair in rows for row in pair])


def delays_table(series: int) -> str:
    """Share of falls that the shipped rule has seen by so many ratings after the fall."""
    head = ["fall", *(f"within {arrived} ratings" for arrived in ARRIVED)]
    found = {name: delays(*fall, series) for name, fall in FALLS.items()}
    return _table(
        head,
        [[name, *(share([each <= arrived for each in of]) for arrived in ARRIVED)] for name, of in found.items()],
    )


def report(series: int = SERIES, count: int = WEEKS) -> str:
    """Return all tables as Markdown."""
    return f"""\
Steady series on which the rule is true, of {series:,}:

{steady_table(series)}

Weeks, of {count:,}, in which the rule is true after at least one rating of a steady stage:

{weeks_table(count)}

Falls that the rule sees at the moment at which half of the scores are from after the fall, of {series:,}:

{falls_table(series)}

Falls that the rule as shipped sees in time, of {count:,}, in a stage that had 100 scores before:

{delays_table(count)}
"""


@click.command()
def main() -> None:
    """Print the tables of false alarms."""
    click.echo(report(), nl=False)


if __name__ == "__main__":
    main()
