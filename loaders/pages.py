"""Pages: runs of records in an order, from a place in it. One record more is read than asked for, to see an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from loaders.cache.manifests import layers_of
from loaders.cache.version_cache import VersionCache
from loaders.cache.warmer import Warmer
from storage import Batch, BatchState, Event, ListFilter, Price, PriceList, Snapshot, Store

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A run of records, and whether there are more on either side of it."""

    records: Sequence[T]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Window(Generic[K]):
    """Which part of an order is asked for: `size` records after or before the place of a key.

    `backward` asks for the last ones of the range, which is what Relay calls `last`.
    """

    size: int
    after: K | None = None
    before: K | None = None
    backward: bool = False

    def page(self, records: Sequence[T]) -> Page[T]:
        """Return the page that shows this part, of its records and one more where there is one."""
        if self.backward:
            return Page(records[-self.size :], self.before is not None, len(records) > self.size)
        return Page(records[: self.size], len(records) > self.size, self.after is not None)


class Pages:
    """Reads pages of everything that is listed."""

    def __init__(self, store: Store, versions: VersionCache, warmer: Warmer) -> None:
        self._store = store
        self._versions = versions
        self._warmer = warmer

    def cached_prices(self, snapshot: Snapshot, window: Window[str]) -> Page[Price] | None:
        """Return a page of a version, in sku order, if all of it is in memory; None where `prices` has to be asked."""
        records = self._versions.find(snapshot.price_list, snapshot.version)
        if records is None:
            return None
        run = records.run(window.size + 1, window.after, window.before, backward=window.backward)
        if run is None:
            return None
        records.read = True
        self._versions.hits += len(run)
        return window.page(run)

    async def prices(self, snapshot: Snapshot, window: Window[str]) -> Page[Price]:
        """Return a page of a version, in sku order."""
        cached = self.cached_prices(snapshot, window)
        if cached is not None:
            return cached
        records = self._versions.of(snapshot)
        records.read = True
        self._warmer.begin(records)
        async with self._warmer.page_reads:
            cached = self.cached_prices(snapshot, window)
            if cached is not None:
                return cached
            run = await self._store.query_reader.page(
                await layers_of(self._store, records),
                window.size + 1,
                after=window.after,
                before=window.before,
                backward=window.backward,
            )
        self._versions.misses += len(run)
        return window.page(run)

    async def price_lists(self, size: int, after: str | None, reach: ListFilter) -> Page[PriceList]:
        """Return a page of the lists within reach, by name."""
        records = await self._store.price_lists.by_name(size + 1, after or "", reach)
        return _forward(records, size, after)

    async def snapshots(self, price_list: str, size: int, after: int | None) -> Page[Snapshot]:
        """Return a page of a list's versions, newest first."""
        return _forward(await self._store.snapshots.newest(price_list, size + 1, after), size, after)

    async def events(self, price_list: str, size: int, after: int | None) -> Page[Event]:
        """Return a page of a list's events, newest first."""
        return _forward(await self._store.events.newest(price_list, size + 1, after), size, after)

    async def batches(
        self, price_list: str | None, state: BatchState | None, size: int, after: str | None, reach: ListFilter
    ) -> Page[Batch]:
        """Return a page of batches within reach, newest first."""
        records = await self._store.batches.newest(
            size + 1, price_list=price_list, state=state, before=after, reach=reach
        )
        return _forward(records, size, after)

    async def events_between(self, price_list: str, above: int, to: int) -> Sequence[Event]:
        """Return the events of a list with a revision above one and up to another, in their order."""
        return await self._store.events.between(price_list, above, to)

    async def last_move(self, price_list: str, to: int) -> Event | None:
        """Return the event by which the pointer came where it is at a revision; None before its first move."""
        return await self._store.events.last_move(price_list, to)

    async def count_price_lists(self, reach: ListFilter) -> int:
        """Return how many lists there are within reach."""
        return await self._store.price_lists.count(reach)

    async def count_snapshots(self, price_list: str) -> int:
        """Return how many versions of a list are kept."""
        return await self._store.snapshots.count(price_list)

    async def count_batches(self, price_list: str | None, state: BatchState | None, reach: ListFilter) -> int:
        """Return how many batches there are of that kind, within reach."""
        return await self._store.batches.count(price_list=price_list, state=state, reach=reach)


def _forward(records: Sequence[T], size: int, after: object) -> Page[T]:
    return Page(records[:size], len(records) > size, after is not None)
