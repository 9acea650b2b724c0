"""DataLoaders, one class per key, named `XByYLoader`. Prices have a loader of their own (`loaders.prices`)."""

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

from strawberry.dataloader import DataLoader

from loaders.cache.version_cache import VersionCache
from loaders.cache.version_reader import read_again
from loaders.pointer_cache import PointerCache
from loaders.read_marks import ReadMarks, may_expire
from storage import (
    NO_LISTS,
    Batch,
    Broken,
    Event,
    ItemError,
    Keep,
    ListFilter,
    PriceVersion,
    Release,
    ReportRange,
    Served,
    ServerTimes,
    Snapshot,
    Store,
)

K = TypeVar("K")
T = TypeVar("T")

SnapshotKey = tuple[str, int]
"""List and version."""

HistoryKey = tuple[str, int, str, int]
"""List, version, sku, and the number of changes."""

MAX_HISTORY_SKUS = 1000
"""Skus of one history look-up: for each sku, all layers of a run of versions are held in memory at once."""

LoadContext = Callable[[str, int], AbstractContextManager[None]]
"""Makes a context manager around the load of a batch, given the loader's name and the number of keys."""

_NULL_CONTEXT: AbstractContextManager[None] = nullcontext()
_load_context: LoadContext | None = None


def wrap_loads(context: LoadContext | None) -> None:
    """Enter a context manager around every load of this process from now on; None enters none."""
    global _load_context  # noqa: PLW0603 - process-wide, as loggers are: loaders are made for each request
    _load_context = context


def batch_load(loader: str, keys: int) -> AbstractContextManager[None]:
    """Return the context manager to enter around the load of `keys` keys."""
    return _NULL_CONTEXT if _load_context is None else _load_context(loader, keys)


class Loader(DataLoader[K, T]):
    """A DataLoader whose loads outlive the cancellation of a caller.

    Several parts of a request wait for the same key. An error in one of them cancels its siblings, and cancelling a
    task cancels the future that it awaits. Without the shield, the other parts would fail for an error that is not
    theirs.
    """

    def __init__(
        self, load: Callable[[list[K]], Awaitable[Sequence[T | Broken]]], max_batch_size: int | None = None
    ) -> None:
        async def load_batch(keys: list[K]) -> Sequence[T | BaseException]:
            with batch_load(type(self).__name__, len(keys)):
                return await load(keys)

        super().__init__(load_batch, max_batch_size=max_batch_size)

    def load(self, key: K) -> Awaitable[T]:
        """Return the value of a key."""
        return asyncio.shield(super().load(key))


class BatchByIdLoader(Loader[str, Batch | None]):
    """Loads batches by id in one round trip; None where no such batch exists. An unreadable one fails alone."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.batches.get_many)


class ReleaseByIdLoader(Loader[str, Release | None]):
    """Loads releases by id in one round trip; None where the caller sees no such release.

    A caller sees a release that has one of the lists that he works on; an empty one, if he works on any list. An
    unreadable release fails alone.
    """

    def __init__(self, store: Store, works_on: ListFilter) -> None:
        super().__init__(self._load)
        self._releases = store.releases
        self._works_on = works_on

    async def _load(self, ids: Sequence[str]) -> list[Release | Broken | None]:
        found = await self._releases.get_many(ids)
        return [None if isinstance(each, Release) and not self._sees(each) else each for each in found]

    def _sees(self, release: Release) -> bool:
        if not release.items:
            return self._works_on != NO_LISTS
        return any(item.price_list in self._works_on for item in release.items)


class PartNumbersByBatchLoader(Loader[str, list[int]]):
    """Loads the numbers of the stored parts of batches in one round trip."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.parts.stored_sequences)


class ItemErrorsByRangeLoader(Loader[ReportRange, list[ItemError]]):
    """Loads the errors of invalid items by range; none of a report that has expired."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.item_errors.read)


class ServedByRevisionLoader(Loader[tuple[str, int], Served]):
    """Loads, by (list, revision), how many living processes serve that revision or a later one, in one round trip."""

    def __init__(self, store: Store, pointers: PointerCache) -> None:
        super().__init__(lambda revisions: store.processes.served(revisions, pointers.revisions()))


class HistoryBySkuLoader(Loader[HistoryKey, list[PriceVersion]]):
    """Loads the changes of prices, newest first; all prices of one version in one look-up."""

    def __init__(self, store: Store) -> None:
        super().__init__(self._load, max_batch_size=MAX_HISTORY_SKUS)
        self._histories = store.price_history

    async def _load(self, keys: Sequence[HistoryKey]) -> list[list[PriceVersion]]:
        limits: dict[SnapshotKey, dict[str, int]] = defaultdict(dict)
        for price_list, version, sku, count in keys:
            skus = limits[price_list, version]
            skus[sku] = max(count, skus.get(sku, 0))
        found = await asyncio.gather(*(self._find(*key, skus) for key, skus in limits.items()))
        changes = dict(zip(limits, found, strict=True))
        return [changes[price_list, version][sku][:count] for price_list, version, sku, count in keys]

    async def _find(self, price_list: str, version: int, limits: Mapping[str, int]) -> dict[str, list[PriceVersion]]:
        read = partial(self._histories.find, price_list, version, limits)
        return await read_again(price_list, f"version {version}", read)


class MoveByInstantLoader(Loader[tuple[str, datetime.datetime], Event | None]):
    """Loads, by (list, instant), the event that made the version of that instant current, in one round trip."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.moves.as_of)


class ServerTimesLoader(Loader[tuple[()], ServerTimes]):
    """Loads the times of the database, once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        super().__init__(self._load)

    async def _load(self, keys: Sequence[tuple[()]]) -> list[ServerTimes]:
        return [await self._store.times()] * len(keys)


class SnapshotByVersionLoader(Loader[SnapshotKey, Snapshot | None]):
    """Loads manifests in one round trip; None where no such version exists. An unreadable one fails alone."""

    def __init__(self, store: Store, versions: VersionCache, reads: ReadMarks) -> None:
        super().__init__(self._load)
        self._store = store
        self._versions = versions
        self._reads = reads

    async def _load(self, keys: Sequence[SnapshotKey]) -> list[Snapshot | Broken | None]:
        found = await self._store.snapshots.get_many(keys)
        expiring = []
        for snapshot in found:
            if isinstance(snapshot, Snapshot):
                self._versions.update_manifest(snapshot)
                self._reads.note(snapshot.price_list, snapshot.version)
                if may_expire(snapshot):
                    expiring.append((snapshot.price_list, snapshot.version))
        if expiring:
            await self._store.snapshots.note_reads(expiring)
        return found


class KeepByVersionLoader(Loader[SnapshotKey, Keep | None]):
    """Loads until when versions are kept in one round trip, by their manifests as they are now. That is not a read."""

    def __init__(self, store: Store) -> None:
        super().__init__(self._load)
        self._snapshots = store.snapshots

    async def _load(self, keys: Sequence[SnapshotKey]) -> list[Keep | Broken | None]:
        return [each.keep if isinstance(each, Snapshot) else each for each in await self._snapshots.get_many(keys)]
