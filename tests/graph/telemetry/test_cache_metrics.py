"""Metrics of caches."""

from types import SimpleNamespace

from graph.telemetry.cache_metrics import CacheMetrics
from tests.graph.telemetry.samples import sample


def test_counts_are_exported_once_and_memory_as_it_is() -> None:
    cache = SimpleNamespace(hits=2, misses=1, evictions=0, total_bytes=100)
    metrics = CacheMetrics({"test": cache})
    metrics.update()
    metrics.update()
    assert sample("pricebook_cache_evictions_total", cache="test") == 0
    cache.hits, cache.evictions, cache.total_bytes = 5, 4, 30
    metrics.update()
    assert sample("pricebook_cache_hits_total", cache="test") == 5
    assert sample("pricebook_cache_misses_total", cache="test") == 1
    assert sample("pricebook_cache_evictions_total", cache="test") == 4
    assert sample("pricebook_cache_bytes", cache="test") == 30
