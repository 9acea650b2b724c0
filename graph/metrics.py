"""The metrics of a process. `graph.cli.metrics_server` shows those of all processes of a server as one."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from prometheus_client import Counter, Gauge

TELL_SECONDS = 1.0

_hits = Counter("pricebook_cache_hits", "What was answered from memory.", ["cache"])
_misses = Counter("pricebook_cache_misses", "What was looked for in memory and was not there.", ["cache"])
_evictions = Counter("pricebook_cache_evictions", "What was let go to make room.", ["cache"])
_bytes = Gauge("pricebook_cache_bytes", "Memory taken, as it is accounted.", ["cache"], multiprocess_mode="livesum")


class Cache(Protocol):
    """What counts its own use, as plain numbers: it is asked far more often than it is looked at."""

    hits: int
    misses: int
    evictions: int
    bytes: int


class CacheMeter:
    """Tells what the caches counted, once a second."""

    def __init__(self, caches: Mapping[str, Cache]) -> None:
        self._caches = caches
        self._told = dict.fromkeys(caches, (0, 0, 0))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._run(), name="cache meter")

    async def stop(self) -> None:
        """Tell a last time, and no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self.tell()

    async def _run(self) -> None:
        while True:
            self.tell()
            await asyncio.sleep(TELL_SECONDS)

    def tell(self) -> None:
        """Add what was counted since the last time."""
        for name, cache in self._caches.items():
            now = cache.hits, cache.misses, cache.evictions
            for counter, count, told in zip((_hits, _misses, _evictions), now, self._told[name], strict=True):
                counter.labels(name).inc(count - told)
            self._told[name] = now
            _bytes.labels(name).set(cache.bytes)
