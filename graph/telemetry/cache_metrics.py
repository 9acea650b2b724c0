"""Metrics of the caches: how often they had what was asked for, and the memory that they take."""

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import Counter, Gauge

from graph.telemetry.increases import Increases

_hits = Counter("pricebook_cache_hits", "What was answered from memory.", ["cache"])
_misses = Counter("pricebook_cache_misses", "What was looked for in memory and was not there.", ["cache"])
_evictions = Counter("pricebook_cache_evictions", "What was let go to make room.", ["cache"])
_bytes = Gauge("pricebook_cache_bytes", "Memory taken, as it is accounted.", ["cache"], multiprocess_mode="livesum")


class Cache(Protocol):
    """What counts its own use, as plain numbers: it is asked far more often than it is looked at."""

    hits: int
    misses: int

    @property
    def evictions(self) -> int:
        """Number of entries dropped to make room."""

    @property
    def bytes(self) -> int:
        """Memory that the entries take."""


class CacheMetrics:
    """Tells what the caches counted."""

    def __init__(self, caches: Mapping[str, Cache]) -> None:
        self._caches = caches
        self._hits, self._misses, self._evictions = Increases(_hits), Increases(_misses), Increases(_evictions)

    def tell(self) -> None:
        """Tell what is new, and the memory as it is."""
        self._hits.tell({(name,): cache.hits for name, cache in self._caches.items()})
        self._misses.tell({(name,): cache.misses for name, cache in self._caches.items()})
        self._evictions.tell({(name,): cache.evictions for name, cache in self._caches.items()})
        for name, cache in self._caches.items():
            _bytes.labels(name).set(cache.bytes)
