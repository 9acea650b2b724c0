"""Metrics of caches: what they counted, told to Prometheus."""

from types import SimpleNamespace

from graph.telemetry.cache_metrics import CacheMetrics
from tests.graph.telemetry.samples import sample


def test_what_a_cache_counted_is_told_once_and_its_memory_as_it_is() -> None:
    cache = SimpleNamespace(hits=2, misses=1, evictions=0, bytes=100)
    metrics = CacheMetrics({"test": cache})
    metrics.tell()
    metrics.tell()
    assert sample("pricebook_cache_evictions_total", cache="test") == 0
    cache.hits, cache.evictions, cache.bytes = 5, 4, 30
    metrics.tell()
    assert sample("pricebook_cache_hits_total", cache="test") == 5
    assert sample("pricebook_cache_misses_total", cache="test") == 1
    assert sample("pricebook_cache_evictions_total", cache="test") == 4
    assert sample("pricebook_cache_bytes", cache="test") == 30
