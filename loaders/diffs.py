"""Diffs of versions: pages, and summaries, which are counted once."""

from functools import partial

from loaders.cache.manifests import manifest_of
from loaders.cache.version_cache import VersionCache
from loaders.lru import LRU
from loaders.pages import Page, Window
from loaders.single_flight import SingleFlight
from storage import DiffSummary, PriceDiff, Snapshot, Store

# Summaries that a process keeps: versions never change, so neither does what differs between them.
MAX_CACHED_SUMMARIES = 1000

Key = tuple[str, int, int]


class DiffSummaries:
    """The summaries of a process. One that is asked for while it is being counted is waited for."""

    def __init__(self) -> None:
        self._summaries: LRU[Key, DiffSummary] = LRU(MAX_CACHED_SUMMARIES)
        self._counting: SingleFlight[Key, DiffSummary] = SingleFlight("count differences")

    async def find(self, store: Store, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Return how many prices differ between two versions of a list."""
        key = after.price_list, before.version, after.version
        summary = self._summaries.get(key)
        if summary is None:
            summary = await self._counting.run(key, partial(self._count, key, store, before, after))
        return summary

    async def _count(self, key: Key, store: Store, before: Snapshot, after: Snapshot) -> DiffSummary:
        summary = await _count(store, before, after)
        self._summaries.put(key, summary)
        return summary


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
