"""How plain numbers, which only grow, become Prometheus's: what was added since the last time is added there."""

from collections.abc import Mapping, Sequence

import prometheus_client
from prometheus_client import Counter

from storage import Histogram

Labels = tuple[str, ...]


class Increases:
    """A counter that is told totals, each by the values of its labels. One that is 0 is shown as such."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._told: dict[Labels, float] = {}

    def tell(self, totals: Mapping[Labels, float]) -> None:
        """Add what is new."""
        for labels, total in totals.items():
            told = self._told.get(labels)
            if told != total:
                counter = self._counter.labels(*labels) if labels else self._counter
                counter.inc(total - (told or 0))
                self._told[labels] = total


class HistogramCollector(prometheus_client.Histogram):
    """A histogram that takes many observations at once, as they were counted elsewhere."""

    def add(self, counts: Sequence[int], seconds: float) -> None:
        """Add as many to each bucket, and what all of them took together."""
        self._sum.inc(seconds)
        for bucket, count in zip(self._buckets, counts, strict=True):
            bucket.inc(count)


class Durations:
    """A histogram that is told tallies, each by the values of its labels."""

    def __init__(self, histogram: HistogramCollector) -> None:
        self._histogram = histogram
        self._told: dict[Labels, tuple[list[int], float]] = {}

    def tell(self, tallies: Mapping[Labels, Histogram]) -> None:
        """Add what is new."""
        for labels, tally in tallies.items():
            counts, seconds = self._told.get(labels, ([], 0.0))
            if counts != tally.counts:
                told = counts or [0] * len(tally.counts)
                histogram = self._histogram.labels(*labels) if labels else self._histogram
                new = [count - before for count, before in zip(tally.counts, told, strict=True)]
                histogram.add(new, tally.seconds - seconds)
                self._told[labels] = list(tally.counts), tally.seconds
