"""Metrics of the caches: hits, misses, evictions and memory."""

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import Counter, Gauge

from graph.telemetry.updaters import CounterUpdater

_hits = Counter("pricebook_cache_hits", "Cache hits.", ["cache"])
_misses = Counter("pricebook_cache_misses", "Cache misses.", ["cache"])
_evictions = Counter("pricebook_cache_evictions", "Entries evicted to free memory.", ["cache"])
_bytes = Gauge(
    "pricebook_cache_bytes", "Estimated memory of the entries, in bytes.", ["cache"], multiprocess_mode="livesum"
)


class Cache(Protocol):
    """A cache that counts its use in plain numbers, because it is used far more often than metrics are exported."""

    hits: int
    misses: int

    @property
    def evictions(self) -> int:
        """Number of entries dropped to make room."""

    @property
    def total_bytes(self) -> int:
        """Memory that the entries take."""


class CacheMetrics:
    """Exports the metrics of the caches."""

    def __init__(self, caches: Mapping[str, Cache]) -> None:
        self._caches = caches
        self._hits, self._misses = CounterUpdater(_hits), CounterUpdater(_misses)
        self._evictions = CounterUpdater(_evictions)

    def update(self) -> None:
        """Export what has been counted since the last update, and the current memory."""
        self._hits.update({(name,): cache.hits for name, cache in self._caches.items()})
        self._misses.update({(name,): cache.misses for name, cache in self._caches.items()})
        self._evictions.update({(name,): cache.evictions for name, cache in self._caches.items()})
        for name, cache in self._caches.items():
            _bytes.labels(name).set(cache.total_bytes)
