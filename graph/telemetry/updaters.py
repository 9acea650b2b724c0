"""Updaters: copy plain, growing totals to Prometheus, adding what has been counted since the last update."""

from collections.abc import Mapping, Sequence

import prometheus_client
from prometheus_client import Counter

from storage import Histogram

Labels = tuple[str, ...]
"""The values of the labels of a sample, in the order in which the metric declares them."""


class CounterUpdater:
    """Updates a counter from totals. A total of 0 is exported, too."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._exported: dict[Labels, float] = {}

    def update(self, totals: Mapping[Labels, float]) -> None:
        """Add the increase of each total since the last update."""
        for labels, total in totals.items():
            exported = self._exported.get(labels)
            if exported != total:
                counter = self._counter.labels(*labels) if labels else self._counter
                counter.inc(total - (exported or 0))
                self._exported[labels] = total


class HistogramCollector(prometheus_client.Histogram):
    """A Prometheus histogram that accepts many observations at once."""

    def add(self, counts: Sequence[int], seconds: float) -> None:
        """Add a number of observations to each bucket; `seconds` is the sum of all of them."""
        self._sum.inc(seconds)
        for bucket, count in zip(self._buckets, counts, strict=True):
            bucket.inc(count)


class HistogramUpdater:
    """Updates a Prometheus histogram from histograms of storage."""

    def __init__(self, collector: HistogramCollector) -> None:
        self._collector = collector
        self._exported: dict[Labels, tuple[list[int], float]] = {}

    def update(self, histograms: Mapping[Labels, Histogram]) -> None:
        """Add the observations of each histogram since the last update."""
        for labels, histogram in histograms.items():
            exported, seconds = self._exported.get(labels, ([], 0.0))
            if exported != histogram.counts:
                before = exported or [0] * len(histogram.counts)
                collector = self._collector.labels(*labels) if labels else self._collector
                new = [count - old for count, old in zip(histogram.counts, before, strict=True)]
                collector.add(new, histogram.seconds - seconds)
                self._exported[labels] = list(histogram.counts), histogram.seconds
