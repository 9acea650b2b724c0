"""Warming: loads the hot records of a new version before the process switches to it."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import aclosing

from loaders.cache.cached_version import MISSING, CachedVersion, Record
from loaders.cache.merge_overlay import MergeOverlay
from loaders.cache.version_cache import VersionCache
from storage import PriceList, Snapshot, Store

log = logging.getLogger("pricebook.warming")

MAX_HOT_RECORDS = 20_000
"""Records to load for a new version of a list that is too large to be cached whole."""

HOT_SKUS_PER_READ = 1000
"""Hot skus to look up in one round trip."""

MAX_IDLE_VERSIONS = 10
"""A list is no longer warmed after this many consecutive versions that no request read."""

MIN_RECORD_BYTES = 300
"""Lower bound for the memory of a price: a list that exceeds its limit by this estimate is not loaded whole."""

LOAD_RETRY_INTERVAL_SECONDS = 60.0
"""Pause before the next attempt to load a list whole for which there was no room."""

MAX_CONCURRENT_PAGE_READS = 4
"""Pages to read from the database at once. More would starve the load of the whole list."""

MANIFEST_POLL_INTERVAL_SECONDS = 0.05
"""How often to look for a manifest that a newly elected primary may not yet have at majority."""


class Warmer:
    """Loads small lists whole once they are read, and warms new versions."""

    def __init__(self, store: Store, versions: VersionCache) -> None:
        self._store = store
        self._versions = versions
        self._loads: set[asyncio.Task[None]] = set()
        self.page_reads = asyncio.Semaphore(MAX_CONCURRENT_PAGE_READS)

    async def stop(self) -> None:
        """Cancel all loads."""
        for load in self._loads:
            load.cancel()
        await asyncio.gather(*self._loads, return_exceptions=True)

    def start(self, pointer: PriceList) -> asyncio.Task[None]:
        """Warm the version that a pointer names, based on the current one."""
        return self._track(self._warm(pointer, self._versions.current(pointer.name)), f"warming of {pointer.name}")

    def begin(self, cached: CachedVersion) -> None:
        """Load all records of a version in the background, if it is current and may fit."""
        now = asyncio.get_running_loop().time()
        if cached.skus is not None or cached.loading or cached.newer or now < cached.retry_at:
            return
        if not self._versions.is_current(cached):
            return
        if not self._versions.make_room_for_whole(cached, cached.snapshot.size * MIN_RECORD_BYTES):
            cached.retry_at = now + LOAD_RETRY_INTERVAL_SECONDS
            return
        cached.loading = self._track(self._load(cached), f"load of {cached.snapshot.price_list}")

    def _track(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        load = asyncio.create_task(work, name=name)
        self._loads.add(load)
        load.add_done_callback(self._loads.discard)
        return load

    async def _load(self, cached: CachedVersion) -> None:
        try:
            loaded = await self._load_whole(cached, None)
        except Exception as error:
            loaded = False
            log.warning("Loading a whole list failed: %s", error)
        if not loaded:
            cached.retry_at = asyncio.get_running_loop().time() + LOAD_RETRY_INTERVAL_SECONDS

    async def _warm(self, pointer: PriceList, base: CachedVersion | None) -> None:
        version = pointer.current_version
        if version is None or base is None or base.snapshot.version == version:
            return
        if base.idle_versions >= MAX_IDLE_VERSIONS:
            return
        try:
            await self._warm_from(base, await self._manifest(pointer.name, version))
        except Exception as error:
            log.warning("Warming of version %s of %s failed: %s", version, pointer.name, error)

    async def _warm_from(self, base: CachedVersion, snapshot: Snapshot) -> None:
        """Load the records of a version that readers of the base are likely to read next."""
        cached = CachedVersion(snapshot, asyncio.get_running_loop().time())
        cached.is_next = True
        cached.idle_versions = 0 if base.was_read else base.idle_versions + 1
        merged = layers_above(base.snapshot, snapshot)
        if merged is not None:
            if base.loading:
                await asyncio.wait([base.loading])
            if self._can_merge(base, snapshot, merged) and await self._merge(base, cached, merged):
                return
        self._versions.put(cached)
        may_load_whole = base.skus is not None and self._versions.fits_whole(cached, snapshot.size * MIN_RECORD_BYTES)
        if not (may_load_whole and await self._load_whole(cached, base)):
            await self._load_hot(cached, base)

    def _can_merge(self, base: CachedVersion, snapshot: Snapshot, merged: Sequence[str]) -> bool:
        changes = sum(layer.count for layer in snapshot.layers if layer.id in merged)
        if base.newer is not None:
            return False
        return changes * MIN_RECORD_BYTES <= self._versions.whole_limit if base.is_whole else changes <= MAX_HOT_RECORDS

    async def _manifest(self, price_list: str, version: int) -> Snapshot:
        while True:
            [snapshot] = await self._store.snapshots.get_many([(price_list, version)])
            if snapshot is not None and snapshot.published_at is not None:
                return snapshot
            await asyncio.sleep(MANIFEST_POLL_INTERVAL_SECONDS)

    async def _merge(self, base: CachedVersion, cached: CachedVersion, merged: Sequence[str]) -> bool:
        """Apply the layers of a merge to the records of its base. Returns False if they do not fit."""
        with MergeOverlay(self._versions, base, cached) as overlay:
            async with aclosing(self._store.query_reader.read(merged)) as slices:
                async for changes in slices:
                    if not overlay.apply(changes):
                        return False
                    await asyncio.sleep(0)
            return overlay.finish()

    async def _load_whole(self, cached: CachedVersion, base: CachedVersion | None) -> bool:
        """Load all records; share those that equal the base's. Returns False if they do not fit."""
        skus: list[str] = []
        cached.loading = asyncio.current_task()
        try:
            async with aclosing(self._store.query_reader.read(cached.snapshot.layer_ids)) as slices:
                async for records in slices:
                    found = [(sku, _shared(base, sku, record)) for sku, record in records if record is not None]
                    skus += [sku for sku, _ in found]
                    if not (self._versions.add(cached, found) and self._versions.fits_whole(cached, cached.bytes)):
                        return False
                    await asyncio.sleep(0)
            return self._versions.complete(cached, skus)
        finally:
            cached.loading = None

    async def _load_hot(self, cached: CachedVersion, base: CachedVersion) -> None:
        """Load the records that were recently read of the base; share those that the merge does not change."""
        merged = layers_above(base.snapshot, cached.snapshot)
        layers = cached.snapshot.layer_ids if merged is None else merged
        hot = base.hot_skus(MAX_HOT_RECORDS)
        for start in range(0, len(hot), HOT_SKUS_PER_READ):
            skus = hot[start : start + HOT_SKUS_PER_READ]
            found = await self._store.query_reader.find_with_tombstones(layers, skus)
            known = [(sku, found[sku] if sku in found else None if merged is None else base.get(sku)) for sku in skus]
            if not self._versions.add(cached, [(sku, record) for sku, record in known if record is not MISSING]):
                return
            await asyncio.sleep(0)


def layers_above(base: Snapshot, snapshot: Snapshot) -> Sequence[str] | None:
    """Return the layers that a version adds to a base, or None if it is not known to be merged into that base.

    A merge has the layer of its own batch first, with the id of the batch. The layers of several merges in a row end
    with those of the base.
    """
    layers, base_layers = snapshot.layer_ids, base.layer_ids
    if len(layers) > len(base_layers) and layers[-len(base_layers) :] == base_layers:
        return layers[: -len(base_layers)]
    if len(layers) > 1 and layers[0] == snapshot.batch and snapshot.base == base.version:
        return layers[:1]
    return None


def _shared(base: CachedVersion | None, sku: str, record: Record) -> Record:
    known = MISSING if base is None else base.get(sku)
    return known if known is not MISSING and known == record else record
