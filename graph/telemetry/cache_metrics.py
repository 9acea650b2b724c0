"""Metrics of the block cache and the response cache, and of the damaged blocks that reads refused."""

from typing import Protocol

from prometheus_client import Counter, Gauge

from graph.telemetry.updaters import CounterUpdater
from storage import Store

_hits = Counter("pricebook_cache_hits", "Cache hits.", ["cache"])
_misses = Counter("pricebook_cache_misses", "Cache misses.", ["cache"])
_evictions = Counter("pricebook_cache_evictions", "Entries evicted to free memory.", ["cache"])
_bytes = Gauge(
    "pricebook_cache_bytes", "Estimated memory of the entries, in bytes.", ["cache"], multiprocess_mode="livesum"
)
_corrupt = Counter("pricebook_corrupt_blocks", "Damaged or missing blocks, and directories, that reads refused.")


class CacheCounters(Protocol):
    """The response cache, which counts its use in plain numbers, as the block cache does.

    Both are used far more often than metrics are exported.
    """

    hits: int
    misses: int

    @property
    def evictions(self) -> int:
        """Number of entries dropped to make room."""

    @property
    def bytes(self) -> int:
        """Memory that the entries take."""


class CacheMetrics:
    """Exports the metrics of the caches."""

    def __init__(self, store: Store, responses: CacheCounters) -> None:
        self._store = store
        self._responses = responses
        self._hits, self._misses = CounterUpdater(_hits), CounterUpdater(_misses)
        self._evictions, self._corrupt = CounterUpdater(_evictions), CounterUpdater(_corrupt)

    def update(self) -> None:
        """Export what has been counted since the last update, and the current memory."""
        blocks, responses = self._store.block_cache, self._responses
        self._hits.update({("blocks",): blocks.hits, ("responses",): responses.hits})
        self._misses.update({("blocks",): blocks.misses, ("responses",): responses.misses})
        self._evictions.update({("blocks",): blocks.evictions, ("responses",): responses.evictions})
        self._corrupt.update({(): self._store.corrupt_blocks})
        _bytes.labels("blocks").set(blocks.frame_bytes)
        _bytes.labels("decoded_blocks").set(blocks.decoded_bytes)
        _bytes.labels("directories").set(blocks.directory_bytes)
        _bytes.labels("responses").set(responses.bytes)
