"""Warming: what was hot in one version is read of the next before readers are given that one."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import aclosing

from loaders.cache.cached_version import MISSING, CachedVersion, Record
from loaders.cache.merge_overlay import MergeOverlay
from loaders.cache.version_cache import VersionCache
from storage import PriceList, Snapshot, Store

log = logging.getLogger("pricebook.warming")

# Of a list that is too large to be kept whole, at most so many records are read for a new version, so many at once.
HOT_RECORDS = 20_000
CHUNK = 1000

# A list whose prices nobody asked for in so many versions is not warmed any more.
IDLE_VERSIONS = 10

# No price takes less memory, so a list of which so much does not fit is not tried.
LEAST_WEIGHT = 300

# A list that found no room beside the others tries again after so many seconds.
RETRY_SECONDS = 60.0

# So many pages are read from the database at once, for beside more of them the load of the whole list would not get on.
PAGE_READS = 4

# A member that was just elected may not know for a moment which of its writes a majority has.
MANIFEST_PAUSE = 0.05


class Warmer:
    """Loads small lists as a whole once they are read, and warms new versions."""

    def __init__(self, store: Store, versions: VersionCache) -> None:
        self._store = store
        self._versions = versions
        self._loads: set[asyncio.Task[None]] = set()
        self.page_reads = asyncio.Semaphore(PAGE_READS)

    async def stop(self) -> None:
        """End what is being loaded."""
        for load in self._loads:
            load.cancel()
        await asyncio.gather(*self._loads, return_exceptions=True)

    def start(self, head: PriceList) -> asyncio.Task[None]:
        """Warm the version that a pointer names, upon the one that readers are given now."""
        return self._track(self._warm(head, self._versions.current(head.name)), f"warming of {head.name}")

    def begin(self, records: CachedVersion) -> None:
        """Load all of a version in the background, if it is current and may fit as a whole."""
        now = asyncio.get_running_loop().time()
        if records.skus is not None or records.loading or records.newer or now < records.retry_at:
            return
        if not self._versions.is_current(records):
            return
        if not self._versions.make_way(records, records.snapshot.size * LEAST_WEIGHT):
            records.retry_at = now + RETRY_SECONDS
            return
        records.loading = self._track(self._load(records), f"load of {records.snapshot.price_list}")

    def _track(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        load = asyncio.create_task(work, name=name)
        self._loads.add(load)
        load.add_done_callback(self._loads.discard)
        return load

    async def _load(self, records: CachedVersion) -> None:
        try:
            loaded = await self._load_whole(records, None)
        except Exception as error:
            loaded = False
            log.warning("A list could not be loaded as a whole: %s", error)
        if not loaded:
            records.retry_at = asyncio.get_running_loop().time() + RETRY_SECONDS

    async def _warm(self, head: PriceList, base: CachedVersion | None) -> None:
        """Load what readers of the base will want of the version that a pointer names."""
        version = head.current_version
        if version is None or base is None or base.snapshot.version == version or base.idle >= IDLE_VERSIONS:
            return
        try:
            await self._warm_upon(base, await self._manifest(head.name, version))
        except Exception as error:
            log.warning("Version %s of %s could not be warmed: %s", version, head.name, error)

    async def _warm_upon(self, base: CachedVersion, snapshot: Snapshot) -> None:
        """Load what readers of the base will want; returns when they can be given the version."""
        records = CachedVersion(snapshot, asyncio.get_running_loop().time())
        records.coming = True
        records.idle = 0 if base.read else base.idle + 1
        merged = layers_upon(base.snapshot, snapshot)
        if merged is not None:
            if base.loading:
                await asyncio.wait([base.loading])
            if self._can_succeed(base, snapshot, merged) and await self._succeed(base, records, merged):
                return
        self._versions.put(records)
        whole = base.skus is not None and self._versions.fits_whole(records, snapshot.size * LEAST_WEIGHT)
        if not (whole and await self._load_whole(records, base)):
            await self._load_hot(records, base)

    def _can_succeed(self, base: CachedVersion, snapshot: Snapshot, merged: Sequence[str]) -> bool:
        changes = sum(layer.count for layer in snapshot.layers if layer.id in merged)
        if base.newer is not None:
            return False
        return changes * LEAST_WEIGHT <= self._versions.whole_limit if base.whole else changes <= HOT_RECORDS

    async def _manifest(self, price_list: str, version: int) -> Snapshot:
        while True:
            [snapshot] = await self._store.snapshots.get_many([(price_list, version)])
            if snapshot is not None and snapshot.published_at is not None:
                return snapshot
            await asyncio.sleep(MANIFEST_PAUSE)

    async def _succeed(self, base: CachedVersion, records: CachedVersion, merged: Sequence[str]) -> bool:
        """Lay the layers of a merge over the records of its base; False where they do not fit."""
        with MergeOverlay(self._versions, base, records) as succession:
            async with aclosing(self._store.query_reader.read(merged)) as slices:
                async for part in slices:
                    if not succession.say(part):
                        return False
                    await asyncio.sleep(0)
            return succession.finish()

    async def _load_whole(self, records: CachedVersion, base: CachedVersion | None) -> bool:
        """Load all records, sharing those that are equal with the base; False where they do not fit."""
        skus: list[str] = []
        records.loading = asyncio.current_task()
        try:
            async with aclosing(self._store.query_reader.read(records.snapshot.layer_ids)) as slices:
                async for part in slices:
                    found = [(sku, _shared(base, sku, record)) for sku, record in part if record is not None]
                    skus += [sku for sku, _ in found]
                    if not (self._versions.add(records, found) and self._versions.fits_whole(records, records.bytes)):
                        return False
                    await asyncio.sleep(0)
            return self._versions.complete(records, skus)
        finally:
            records.loading = None

    async def _load_hot(self, records: CachedVersion, base: CachedVersion) -> None:
        """Load the records that were read lately of the base; what its merge does not change is shared."""
        merged = layers_upon(base.snapshot, records.snapshot)
        layers = records.snapshot.layer_ids if merged is None else merged
        hot = base.hot(HOT_RECORDS)
        for start in range(0, len(hot), CHUNK):
            chunk = hot[start : start + CHUNK]
            said = await self._store.query_reader.find_with_tombstones(layers, chunk)
            found = [(sku, said[sku] if sku in said else None if merged is None else base.get(sku)) for sku in chunk]
            if not self._versions.add(records, [(sku, record) for sku, record in found if record is not MISSING]):
                return
            await asyncio.sleep(0)


def layers_upon(base: Snapshot, snapshot: Snapshot) -> Sequence[str] | None:
    """Return the layers that a version lays upon another; None where it is not known to be laid upon that one.

    A merge upon it has the layer of its own batch first, which bears the batch's id; what was published by several
    has the other's layers last.
    """
    layers, below = snapshot.layer_ids, base.layer_ids
    if len(layers) > len(below) and layers[-len(below) :] == below:
        return layers[: -len(below)]
    if len(layers) > 1 and layers[0] == snapshot.batch and snapshot.base == base.version:
        return layers[:1]
    return None


def _shared(base: CachedVersion | None, sku: str, record: Record) -> Record:
    known = MISSING if base is None else base.get(sku)
    return known if known is not MISSING and known == record else record
