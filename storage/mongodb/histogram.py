"""Tallies: how often something took how long, in plain numbers that cost next to nothing to add to."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts of durations, in seconds: `counts[n]` of those up to `bounds[n]`, the last of all that were longer."""

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds
