"""Diffs of two versions: pages of differences, statistics, and summaries that are counted once per process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from loaders.cache.version_reader import VersionReader
from loaders.lru import LRU
from loaders.pages import Page, Window
from loaders.single_flight import SingleFlight
from storage import Batch, DiffStatistics, DiffSummary, PriceDiff, ScanLimit, Snapshot, Store

MAX_CACHED_SUMMARIES = 1000
"""Summaries that a process caches. Versions are immutable, so a summary never becomes stale."""

MAX_REBASED_SUMMARIES = 20
"""Held batches whose changes one request may select: each may be a comparison of its own, next to those of others."""

Key = tuple[str, int | None, int | None]
"""List, version before, version after; or batch, None, and the version on which it would be published."""


class DiffSummaries:
    """The cached summaries of a process. Concurrent calls for the same summary share one count."""

    def __init__(self) -> None:
        self._summaries: LRU[Key, DiffSummary] = LRU(MAX_CACHED_SUMMARIES)
        self._counting: SingleFlight[Key, DiffSummary] = SingleFlight("count differences")

    async def find(self, store: Store, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Return how many prices differ between two versions of a list.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        key = after.price_list, before.version, after.version
        return await self._find(key, partial(_count, store, before, after))

    async def rebased(self, store: Store, batch: Batch, base: Snapshot | None) -> DiffSummary:
        """Return how many prices a sealed batch would change in a version. Raises as `find`."""
        key = batch.id, None, base.version if base else None
        return await self._find(key, partial(store.comparer.rebased, batch, base))

    async def _find(self, key: Key, count: Callable[[], Awaitable[DiffSummary]]) -> DiffSummary:
        summary = self._summaries.get(key)
        if summary is None:
            summary = await self._counting.run(key, partial(self._count, key, count))
        return summary

    async def _count(self, key: Key, count: Callable[[], Awaitable[DiffSummary]]) -> DiffSummary:
        summary = await count()
        self._summaries.put(key, summary)
        return summary


async def _count(store: Store, before: Snapshot, after: Snapshot) -> DiffSummary:
    """Return the summary stored with the batch that made one version from the other; otherwise count it."""
    for one, other in ((before, after), (after, before)):
        batch = await store.batches.find(other.batch)
        if batch and batch.summary and (batch.version, batch.base) == (other.version, one.version):
            stored = batch.summary
            if other is after:
                return stored
            return DiffSummary(
                added=stored.removed, removed=stored.added, changed=stored.changed, unchanged=stored.unchanged
            )
    return await store.differ.summary(before, after)


class SharedStatistics:
    """The statistics of one diff, for all fields that show them: one pass over the differences serves them together.

    `read` makes a pass that keeps a number of the largest changes: as many as the fields request.
    """

    def __init__(self, read: Callable[[int], Awaitable[DiffStatistics]]) -> None:
        self._read = read
        self._reading = asyncio.Lock()
        self._requested = 0
        self._kept = -1
        self._statistics: DiffStatistics | None = None

    async def get(self, largest: int = 0) -> DiffStatistics:
        """Return statistics with at least the `largest` changes. Raises the errors of `read`."""
        self._requested = max(self._requested, largest)
        async with self._reading:
            if self._statistics is None or self._kept < largest:
                await asyncio.sleep(0)  # the other fields of the selection begin, and request theirs
                kept = self._requested
                self._statistics = await self._read(kept)
                self._kept = kept
            return self._statistics


class Diffs:
    """Reads the differences between versions for one request."""

    def __init__(self, store: Store, reader: VersionReader, summaries: DiffSummaries) -> None:
        self._store = store
        self._reader = reader
        self._summaries = summaries
        self._rebased = 0

    async def page(self, before: Snapshot, after: Snapshot, window: Window[str], sku_prefix: str) -> Page[PriceDiff]:
        """Return a page of the differences of skus with a prefix, in sku order.

        Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """

        async def read(manifests: Sequence[Snapshot]) -> list[PriceDiff]:
            old, new = manifests
            return await self._store.differ.page(old, new, window.size + 1, above=window.after, sku_prefix=sku_prefix)

        return window.page(await self._reader.read_many([before, after], read))

    async def summary(self, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Return how many prices differ. Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`."""

        async def read(manifests: Sequence[Snapshot]) -> DiffSummary:
            old, new = manifests
            return await self._summaries.find(self._store, old, new)

        return await self._reader.read_many([before, after], read)

    def statistics(self, before: Snapshot, after: Snapshot, sku_prefix: str) -> SharedStatistics:
        """Return the statistics of the differences of skus with a prefix, which are read on first use.

        Reading raises `ScanLimit`, `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """

        async def read(largest: int) -> DiffStatistics:
            async def measure(manifests: Sequence[Snapshot]) -> DiffStatistics:
                old, new = manifests
                return await self._store.differ.statistics(old, new, largest, sku_prefix=sku_prefix)

            return await self._reader.read_many([before, after], measure)

        return SharedStatistics(read)

    async def rebased(self, batch: Batch, base: Snapshot | None) -> DiffSummary:
        """Return how many prices a sealed batch would change in a version.

        Raises `LayerGone`, `Corrupt`, and `ScanLimit` if the request selects more than `MAX_REBASED_SUMMARIES`.
        """
        self._rebased += 1
        if self._rebased > MAX_REBASED_SUMMARIES:
            raise ScanLimit(
                f"A request may select `rebased {{ summary }}` of at most {MAX_REBASED_SUMMARIES} held batches."
            )
        return await self._summaries.rebased(self._store, batch, base)
