"""Diffs of versions: pages, and summaries, which are counted once."""

import asyncio
from collections import OrderedDict

from loaders.cache.manifests import manifest_of
from loaders.cache.version_cache import VersionCache
from loaders.pages import Page, Window
from storage import DiffSummary, PriceDiff, Snapshot, Store

# Summaries that a process keeps: versions never change, so neither does what differs between them.
MAX_CACHED_SUMMARIES = 1000

Key = tuple[str, int, int]


class DiffSummaries:
    """The summaries of a process. One that is asked for while it is being counted is waited for."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Key, asyncio.Task[DiffSummary]] = OrderedDict()

    async def find(self, store: Store, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Return how many prices differ between two versions of a list."""
        key = after.price_list, before.version, after.version
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = asyncio.create_task(_count(store, before, after))
            count.add_done_callback(lambda done: self._forget(key, done))
        self._counts.move_to_end(key)
        while len(self._counts) > MAX_CACHED_SUMMARIES:
            self._counts.popitem(last=False)
        return await asyncio.shield(count)

    def _forget(self, key: Key, count: asyncio.Task[DiffSummary]) -> None:
        if (count.cancelled() or count.exception()) and self._counts.get(key) is count:
            del self._counts[key]


async def _count(store: Store, before: Snapshot, after: Snapshot) -> DiffSummary:
    """A batch knows what it did to the version before it; anything else has to be counted."""
    for one, other in ((before, after), (after, before)):
        batch = await store.batches.find(other.batch)
        if batch and batch.summary and (batch.version, batch.base) == (other.version, one.version):
            done = batch.summary
            if other is after:
                return done
            return DiffSummary(added=done.removed, removed=done.added, changed=done.changed, unchanged=done.unchanged)
    return await store.differ.summary(before, after)


class Diffs:
    """Reads what differs between versions, for one request."""

    def __init__(self, store: Store, versions: VersionCache, summaries: DiffSummaries) -> None:
        self._store = store
        self._versions = versions
        self._summaries = summaries

    async def page(self, before: Snapshot, after: Snapshot, window: Window[str]) -> Page[PriceDiff]:
        """Return a page of the differences, in sku order. Raises `SnapshotExpired`."""
        old, new = await self._manifests(before, after)
        return window.page(await self._store.differ.page(old, new, window.size + 1, above=window.after))

    async def summary(self, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Return how many prices differ. Raises `SnapshotExpired`."""
        return await self._summaries.find(self._store, *await self._manifests(before, after))

    async def _manifests(self, before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
        old = await manifest_of(self._store, self._versions.of(before))
        return old, await manifest_of(self._store, self._versions.of(after))
