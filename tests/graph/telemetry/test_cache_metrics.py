"""Metrics: what the caches of a process counted, told to Prometheus."""

from types import SimpleNamespace

from prometheus_client import REGISTRY

from graph.metrics import CacheMeter


def sample(name: str, cache: str) -> float:
    found = REGISTRY.get_sample_value(name, {"cache": cache})
    assert found is not None
    return found


def test_what_a_cache_counted_is_told_once_and_its_memory_as_it_is() -> None:
    cache = SimpleNamespace(hits=2, misses=1, evictions=0, bytes=100)
    meter = CacheMeter({"test": cache})
    meter.tell()
    meter.tell()
    cache.hits, cache.evictions, cache.bytes = 5, 4, 30
    meter.tell()
    assert sample("pricebook_cache_hits_total", "test") == 5
    assert sample("pricebook_cache_misses_total", "test") == 1
    assert sample("pricebook_cache_evictions_total", "test") == 4
    assert sample("pricebook_cache_bytes", "test") == 30


async def test_what_is_counted_before_the_end_is_told() -> None:
    cache = SimpleNamespace(hits=0, misses=0, evictions=0, bytes=0)
    meter = CacheMeter({"ending": cache})
    meter.start()
    cache.misses = 7
    await meter.stop()
    assert sample("pricebook_cache_misses_total", "ending") == 7
