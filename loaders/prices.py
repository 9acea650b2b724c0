"""Prices by (version, sku): from the block cache, and the missing ones in one round trip for each version."""

import asyncio
from collections.abc import Sequence
from functools import partial

from loaders.cache.version_cache import VersionCache
from loaders.cache.version_reader import VersionReader
from loaders.cache.warmer import Warmer
from loaders.dataloaders import batch_load
from storage import MAX_SKU_BYTES, MISSING, Found, Price, Snapshot, Store

_Key = tuple[str, int]
"""List and version."""


class _Batch:
    """Skus of one version that are collected to be loaded together, and the task that loads them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.skus: set[str] = set()
        self.load: asyncio.Task[dict[str, Price]]


class PriceLoader:
    """Loads the prices of one request; None for a sku that the version does not have.

    `cached` and `cached_many` read from memory, without awaiting. `load` and `load_many` also read the database: all
    skus that a request needs by the next iteration of the event loop, in one round trip per version.
    """

    def __init__(self, store: Store, versions: VersionCache, reader: VersionReader, warmer: Warmer) -> None:
        self._memory = store.memory_reader
        self._query_reader = store.query_reader
        self._versions = versions
        self._reader = reader
        self._warmer = warmer
        self._batches: dict[_Key, _Batch] = {}
        self._loaded: dict[_Key, dict[str, Price | None]] = {}

    def cached(self, snapshot: Snapshot, sku: str) -> Found:
        """Return the price of a sku from memory, or MISSING if it is not there."""
        cached = self._versions.find(snapshot.price_list, snapshot.version)
        if cached is None or cached.stack is None:
            return MISSING
        cached.was_read = True
        return self._memory.price(cached.stack, sku)

    def cached_many(self, snapshot: Snapshot, skus: Sequence[str]) -> list[Price | None] | None:
        """Return the prices of skus from memory, in the order given, or None if only `load_many` can return them."""
        cached = self._versions.find(snapshot.price_list, snapshot.version)
        if cached is None or cached.stack is None:
            return None
        cached.was_read = True
        return self._memory.prices(cached.stack, skus)

    async def load(self, snapshot: Snapshot, sku: str) -> Price | None:
        """Return the price of a sku. Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`."""
        return (await self.load_many(snapshot, [sku]))[0]

    async def load_many(self, snapshot: Snapshot, skus: Sequence[str]) -> list[Price | None]:
        """Return the prices of skus, in the order given.

        Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """
        found = self.cached_many(snapshot, skus)
        if found is not None:
            return found
        loaded = self._loaded.setdefault((snapshot.price_list, snapshot.version), {})
        # No price has a longer sku, so it is not looked up.
        missing = [sku for sku in skus if sku not in loaded and len(sku) <= MAX_SKU_BYTES]
        if missing:
            batch = self._batch(snapshot)
            batch.skus.update(missing)
            prices = await asyncio.shield(batch.load)
            loaded.update((sku, prices.get(sku)) for sku in missing)
        return [loaded.get(sku) for sku in skus]

    def _batch(self, snapshot: Snapshot) -> _Batch:
        key = snapshot.price_list, snapshot.version
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch(snapshot)
            batch.load = asyncio.create_task(self._load(key, batch))
            batch.load.add_done_callback(_retrieve_error)
        return batch

    async def _load(self, key: _Key, batch: _Batch) -> dict[str, Price]:
        await asyncio.sleep(0)  # lets tasks that are ready to run add their skus
        del self._batches[key]
        skus = list(batch.skus)
        self._warmer.note_read(batch.snapshot)
        with batch_load("PriceLoader", len(skus)):
            return await self._reader.read(batch.snapshot, partial(self._query_reader.find, skus=skus))


def _retrieve_error(task: asyncio.Task[dict[str, Price]]) -> None:
    if not task.cancelled():
        task.exception()  # marks it as retrieved if every caller was cancelled
