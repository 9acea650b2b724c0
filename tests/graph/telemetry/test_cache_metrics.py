"""Metrics of caches and damaged blocks."""

from types import SimpleNamespace
from typing import Any

from graph.telemetry.cache_metrics import CacheMetrics
from tests.graph.telemetry.samples import sample, sample_or_zero

COUNTS = [
    (f"pricebook_cache_{name}_total", cache)
    for name in ("hits", "misses", "evictions")
    for cache in ("blocks", "responses")
]


def counts() -> list[float]:
    return [sample_or_zero(name, cache=cache) for name, cache in COUNTS] + [
        sample_or_zero("pricebook_corrupt_blocks_total")
    ]


def test_counts_are_exported_once_and_memory_as_it_is() -> None:
    blocks = SimpleNamespace(hits=7, misses=3, evictions=1, frame_bytes=1000, decoded_bytes=400, directory_bytes=200)
    responses = SimpleNamespace(hits=2, misses=1, evictions=0, bytes=100)
    store: Any = SimpleNamespace(block_cache=blocks, corrupt_blocks=0)
    metrics, before = CacheMetrics(store, responses), counts()
    metrics.update()
    metrics.update()
    assert [now - earlier for now, earlier in zip(counts(), before, strict=True)] == [7, 2, 3, 1, 1, 0, 0]
    assert sample("pricebook_corrupt_blocks_total") == before[-1]
    responses.hits, responses.bytes, store.corrupt_blocks, blocks.frame_bytes = 5, 30, 2, 900
    metrics.update()
    assert [now - earlier for now, earlier in zip(counts(), before, strict=True)] == [7, 5, 3, 1, 1, 0, 2]
    caches = ("blocks", "decoded_blocks", "directories", "responses")
    assert [sample("pricebook_cache_bytes", cache=name) for name in caches] == [900, 400, 200, 30]
