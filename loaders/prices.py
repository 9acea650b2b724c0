"""Prices by (version, sku): out of the version cache, and what it lacks in one round trip for each version."""

import asyncio
from collections.abc import Sequence

from loaders.cache.cached_version import MISSING, CachedVersion, Found, Record
from loaders.cache.manifests import layers_of
from loaders.cache.version_cache import VersionCache
from loaders.cache.warmer import Warmer
from loaders.dataloaders import batch_load
from storage import Price, Snapshot, Store

# No sku is longer, so nothing is kept of one that is.
MAX_SKU = 256


class _Batch:
    """The skus of one version that wait to be loaded together, and what was found."""

    def __init__(self, records: CachedVersion) -> None:
        self.records = records
        self.skus: set[str] = set()
        self.load: asyncio.Task[dict[str, Price]]


class PriceLoader:
    """Loads the prices that a request asks for; None where there is no such sku.

    `cached` and `cached_many` answer at once. What they cannot answer is loaded by `load` and `load_many`: all that a
    request asks for by the next turn of the event loop in one round trip for each version.
    """

    def __init__(self, store: Store, versions: VersionCache, warmer: Warmer) -> None:
        self._store = store
        self._versions = versions
        self._warmer = warmer
        self._batches: dict[tuple[str, int], _Batch] = {}
        self._loaded: dict[tuple[str, int], dict[str, Price | None]] = {}

    def cached(self, snapshot: Snapshot, sku: str) -> Found:
        """Return the price of a sku if it is known in memory, MISSING if it is not."""
        records = self._versions.find(snapshot.price_list, snapshot.version)
        if records is None:
            return MISSING
        found = records.get(sku)
        if found is not MISSING:
            records.read = True
            self._versions.hits += 1
        return found

    def cached_many(self, snapshot: Snapshot, skus: Sequence[str]) -> list[Record] | None:
        """Return the prices of skus, in their order, if all are known in memory; None if not."""
        records = self._versions.find(snapshot.price_list, snapshot.version)
        if records is None:
            return None
        found: list[Record] = []
        for sku in skus:
            record = records.get(sku)
            if record is MISSING:
                return None
            found.append(record)
        records.read = True
        self._versions.hits += len(found)
        return found

    async def load(self, snapshot: Snapshot, sku: str) -> Price | None:
        """Return the price of a sku."""
        return (await self.load_many(snapshot, [sku]))[0]

    async def load_many(self, snapshot: Snapshot, skus: Sequence[str]) -> list[Price | None]:
        """Return the prices of skus, in their order."""
        records = self._versions.of(snapshot)
        records.read = True
        loaded = self._loaded.setdefault((snapshot.price_list, snapshot.version), {})
        for sku in skus:
            if sku not in loaded and (found := records.get(sku)) is not MISSING:
                loaded[sku] = found
                self._versions.hits += 1
        lacking = [sku for sku in skus if sku not in loaded]
        if lacking:
            batch = self._batch(records)
            batch.skus.update(lacking)
            prices = await asyncio.shield(batch.load)
            loaded.update((sku, prices.get(sku)) for sku in lacking)
        return [loaded[sku] for sku in skus]

    def _batch(self, records: CachedVersion) -> _Batch:
        key = records.snapshot.price_list, records.snapshot.version
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch(records)
            batch.load = asyncio.create_task(self._load(key, batch))
        return batch

    async def _load(self, key: tuple[str, int], batch: _Batch) -> dict[str, Price]:
        await asyncio.sleep(0)  # so that who is about to be resumed can join
        del self._batches[key]
        records, skus = batch.records, list(batch.skus)
        self._versions.misses += len(skus)
        self._warmer.begin(records)
        with batch_load("PriceLoader", len(skus)):
            found = await self._store.query_reader.find(await layers_of(self._store, records), skus)
        self._versions.add(records, [(sku, found.get(sku)) for sku in skus if sku in found or len(sku) <= MAX_SKU])
        return found
