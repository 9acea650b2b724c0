"""A histogram of durations in plain numbers, cheap enough for hot paths."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts of durations in seconds: `counts[n]` up to `bounds[n]`, and the last count above all bounds."""

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Record a duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds
