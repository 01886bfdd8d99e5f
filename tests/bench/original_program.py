"""The original FeedbackLoop, run in an environment of its own: ``python ... SIZE...``, then a line in, a line out.

Every line of input measures once, for each size, what statistics and recommendation of a stage with so many ratings
cost; a line of JSON answers: seconds by size. Knows nothing of this project.
"""

import json
import sys
import time
from itertools import chain
from random import Random

from attune.telemetry import FeedbackLoop  # type: ignore[import-not-found]  # installed where this runs, nowhere else

TIERS = ("cheap", "capable", "premium")


def filled(size: int) -> FeedbackLoop:
    """Make a loop, as its users do, that holds ``size`` ratings of one stage and nothing else."""
    loop, random = FeedbackLoop(), Random(size)
    for place in range(size):
        loop.record_feedback("workflow", "stage", TIERS[place % len(TIERS)], min(1.0, random.uniform(0.6, 1.0)))
    return loop


def seconds(loop: FeedbackLoop) -> float:
    """Ask for statistics and recommendation, and return how long that took."""
    began = time.perf_counter()
    loop.get_quality_stats("workflow", "stage", "cheap")
    loop.recommend_tier("workflow", "stage")
    return time.perf_counter() - began


def main(sizes: list[int]) -> None:
    """Fill, say so, and answer until the input ends."""
    loops = {size: filled(size) for size in sizes}
    for _ in chain([None], sys.stdin):
        sys.stdout.write(json.dumps({size: seconds(loop) for size, loop in loops.items()}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
