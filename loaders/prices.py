"""Prices by (version, sku): from the version cache, and the missing ones in one round trip per version."""

import asyncio
from collections.abc import Sequence

from loaders.cache.cached_version import MISSING, CachedVersion, Found, Record
from loaders.cache.manifests import layers_of
from loaders.cache.version_cache import VersionCache
from loaders.cache.warmer import Warmer
from loaders.dataloaders import batch_load
from storage import MAX_SKU_BYTES, Price, Snapshot, Store


class _Batch:
    """Skus of one version that are collected to be loaded together, and the task that loads them."""

    def __init__(self, cached: CachedVersion) -> None:
        self.cached = cached
        self.skus: set[str] = set()
        self.load: asyncio.Task[dict[str, Price]]


class PriceLoader:
    """Loads the prices of one request; None for a sku that the version does not have.

    `cached` and `cached_many` read from memory, without awaiting. `load` and `load_many` also read the database: all
    skus that a request needs by the next iteration of the event loop, in one round trip per version.
    """

    def __init__(self, store: Store, versions: VersionCache, warmer: Warmer) -> None:
        self._store = store
        self._versions = versions
        self._warmer = warmer
        self._batches: dict[tuple[str, int], _Batch] = {}
        self._loaded: dict[tuple[str, int], dict[str, Price | None]] = {}

    def cached(self, snapshot: Snapshot, sku: str) -> Found:
        """Return the price of a sku from memory, or MISSING if it is not cached."""
        cached = self._versions.find(snapshot.price_list, snapshot.version)
        if cached is None:
            return MISSING
        found = cached.get(sku)
        if found is not MISSING:
            cached.was_read = True
            self._versions.hits += 1
        return found

    def cached_many(self, snapshot: Snapshot, skus: Sequence[str]) -> list[Record] | None:
        """Return the prices of skus from memory, in the order given, or None unless all are cached."""
        cached = self._versions.find(snapshot.price_list, snapshot.version)
        if cached is None:
            return None
        found: list[Record] = []
        for sku in skus:
            record = cached.get(sku)
            if record is MISSING:
                return None
            found.append(record)
        cached.was_read = True
        self._versions.hits += len(found)
        return found

    async def load(self, snapshot: Snapshot, sku: str) -> Price | None:
        """Return the price of a sku."""
        return (await self.load_many(snapshot, [sku]))[0]

    async def load_many(self, snapshot: Snapshot, skus: Sequence[str]) -> list[Price | None]:
        """Return the prices of skus, in the order given."""
        cached = self._versions.get_or_add(snapshot)
        cached.was_read = True
        loaded = self._loaded.setdefault((snapshot.price_list, snapshot.version), {})
        for sku in skus:
            if len(sku) > MAX_SKU_BYTES:  # no price has it, so it is not looked up
                loaded[sku] = None
            elif sku not in loaded and (found := cached.get(sku)) is not MISSING:
                loaded[sku] = found
                self._versions.hits += 1
        missing = [sku for sku in skus if sku not in loaded]
        if missing:
            batch = self._batch(cached)
            batch.skus.update(missing)
            prices = await asyncio.shield(batch.load)
            loaded.update((sku, prices.get(sku)) for sku in missing)
        return [loaded[sku] for sku in skus]

    def _batch(self, cached: CachedVersion) -> _Batch:
        key = cached.snapshot.price_list, cached.snapshot.version
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch(cached)
            batch.load = asyncio.create_task(self._load(key, batch))
        return batch

    async def _load(self, key: tuple[str, int], batch: _Batch) -> dict[str, Price]:
        await asyncio.sleep(0)  # lets tasks that are ready to run add their skus
        del self._batches[key]
        cached, skus = batch.cached, list(batch.skus)
        self._versions.misses += len(skus)
        self._warmer.begin(cached)
        with batch_load("PriceLoader", len(skus)):
            found = await self._store.query_reader.find(await layers_of(self._store, cached), skus)
        self._versions.add(cached, [(sku, found.get(sku)) for sku in skus])
        return found
