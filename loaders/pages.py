"""Pages of records. Each read asks for one record more than the page shows, to learn whether another page follows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import nsmallest
from operator import attrgetter
from typing import Generic, TypeVar

from loaders.cache.version_cache import VersionCache
from loaders.cache.version_reader import VersionReader
from loaders.cache.warmer import Warmer
from storage import (
    Batch,
    BatchState,
    Due,
    Event,
    Exposure,
    ListFilter,
    Price,
    PriceList,
    Release,
    ReleaseState,
    Snapshot,
    Store,
    find_exposures,
)

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Consecutive records, and whether there are more on either side."""

    records: Sequence[T]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Window(Generic[K]):
    """The requested part of an order: `size` records after one key and before another.

    With `backward` they are the last ones of that range, as with Relay's `last`.
    """

    size: int
    after: K | None = None
    before: K | None = None
    backward: bool = False

    def page(self, records: Sequence[T]) -> Page[T]:
        """Return the page of up to `size` + 1 records that were read for this window."""
        if self.backward:
            return Page(records[-self.size :], self.before is not None, len(records) > self.size)
        return Page(records[: self.size], len(records) > self.size, self.after is not None)

    def following(self, page: Page[T], key: Callable[[T], K]) -> "Window[K] | None":
        """Return the window that a walk over pages reads after this one; None at its end, or for a first page."""
        if self.backward:
            is_walk = self.before is not None and page.has_previous
            return replace(self, before=key(page.records[0])) if is_walk else None
        return replace(self, after=key(page.records[-1])) if self.after is not None and page.has_next else None


class Pages:
    """Reads pages of prices, lists, versions, events, batches and releases.

    `lists` returns all lists, and `shows_unpublished` decides by list whether versions that were never current exist:
    see `View`.
    """

    def __init__(
        self,
        store: Store,
        versions: VersionCache,
        reader: VersionReader,
        warmer: Warmer,
        lists: Callable[[], Awaitable[Sequence[PriceList]]],
        shows_unpublished: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._memory = store.memory_reader
        self._versions = versions
        self._reader = reader
        self._warmer = warmer
        self._lists = lists
        self._shows_unpublished = shows_unpublished

    def cached_prices(self, snapshot: Snapshot, window: Window[str]) -> Page[Price] | None:
        """Return a page of a version, in sku order, from memory, or None if only `prices` can return it."""
        cached = self._versions.find(snapshot.price_list, snapshot.version)
        if cached is None or cached.stack is None:
            return None
        cached.was_read = True
        prices = self._memory.page(
            cached.stack, window.size + 1, after=window.after, before=window.before, backward=window.backward
        )
        return None if prices is None else window.page(prices)

    async def prices(self, snapshot: Snapshot, window: Window[str]) -> Page[Price]:
        """Return a page of a version, in sku order. Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`."""
        cached = self.cached_prices(snapshot, window)
        if cached is not None:
            return cached
        self._warmer.note_read(snapshot)
        read = partial(
            self._store.query_reader.page,
            limit=window.size + 1,
            after=window.after,
            before=window.before,
            backward=window.backward,
        )
        page = window.page(await self._reader.read(snapshot, read))
        following = window.following(page, lambda price: price.sku)
        if following is not None:
            self._warmer.prefetch(
                snapshot, window.size + 1, after=following.after, before=following.before, backward=window.backward
            )
        return page

    async def price_lists(self, size: int, after: str | None, list_filter: ListFilter) -> Page[PriceList]:
        """Return a page of the lists that the filter allows, by name."""
        lists = [each for each in await self._lists() if each.name > (after or "") and each.name in list_filter]
        return _forward(nsmallest(size + 1, lists, key=attrgetter("name")), size, after)

    async def snapshots(self, price_list: str, size: int, after: int | None) -> Page[Snapshot]:
        """Return a page of a list's versions, newest first."""
        unpublished = self._shows_unpublished(price_list)
        records = await self._store.snapshots.newest(price_list, size + 1, after, unpublished=unpublished)
        return _forward(records, size, after)

    async def events(self, price_list: str, size: int, after: int | None) -> Page[Event]:
        """Return a page of a list's events, newest first."""
        return _forward(await self._store.events.newest(price_list, size + 1, after), size, after)

    async def batches(
        self, price_list: str | None, state: BatchState | None, size: int, after: str | None, list_filter: ListFilter
    ) -> Page[Batch]:
        """Return a page of the batches of the lists that the filter allows, newest first."""
        records = await self._store.batches.newest(
            size + 1, price_list=price_list, state=state, before=after, list_filter=list_filter
        )
        return _forward(records, size, after)

    async def releases(
        self, state: ReleaseState | None, size: int, after: str | None, list_filter: ListFilter
    ) -> Page[Release]:
        """Return a page of the releases that have a list which the filter allows, or no list, newest first."""
        records = await self._store.releases.newest(size + 1, state=state, before=after, list_filter=list_filter)
        return _forward(records, size, after)

    async def count_events(self, price_list: str) -> int:
        """Return the number of events of a list: they are numbered without gaps."""
        return next((event.revision for event in await self._store.events.newest(price_list, 1)), 0)

    async def held_by_pin(self, price_list: PriceList, size: int, before: int | None) -> Page[Batch]:
        """Return a page of the batches that only a pin of a list held, newest version first."""
        return _forward(await self._store.batches.waiting(price_list, size + 1, before), size, before)

    async def upcoming(self, price_list: str, size: int, after: Due | None) -> Page[Batch]:
        """Return a page of the scheduled batches of a list, the next first."""
        return _forward(await self._store.batches.upcoming(price_list, size + 1, after), size, after)

    async def events_between(self, price_list: str, above: int, to: int) -> Sequence[Event]:
        """Return the events of a list with `above` < revision <= `to`, oldest first."""
        return await self._store.events.between(price_list, above, to)

    async def last_move(self, price_list: str, to: int) -> Event | None:
        """Return the event that last moved the pointer up to revision `to`, or None before its first move."""
        return await self._store.events.last_move(price_list, to)

    async def exposures(self, price_list: str, version: int) -> Sequence[Exposure]:
        """Return the periods in which a version was current, newest first."""
        return await find_exposures(self._store.moves, price_list, version)

    async def count_price_lists(self, list_filter: ListFilter) -> int:
        """Return the number of lists that the filter allows."""
        return sum(each.name in list_filter for each in await self._lists())

    async def count_snapshots(self, price_list: str) -> int:
        """Return the number of versions of a list that are kept."""
        return await self._store.snapshots.count(price_list, unpublished=self._shows_unpublished(price_list))

    async def count_held_by_pin(self, price_list: PriceList) -> int:
        """Return the number of batches that only a pin of a list held."""
        return await self._store.batches.count_waiting(price_list)

    async def count_upcoming(self, price_list: str) -> int:
        """Return the number of scheduled batches of a list."""
        return await self._store.batches.count_upcoming(price_list)

    async def count_batches(self, price_list: str | None, state: BatchState | None, list_filter: ListFilter) -> int:
        """Return the number of batches of the lists that the filter allows, by list and state."""
        return await self._store.batches.count(price_list=price_list, state=state, list_filter=list_filter)

    async def count_releases(self, state: ReleaseState | None, list_filter: ListFilter) -> int:
        """Return the number of releases that have a list which the filter allows, or no list, by state."""
        return await self._store.releases.count(state=state, list_filter=list_filter)


def _forward(records: Sequence[T], size: int, after: object) -> Page[T]:
    return Page(records[:size], len(records) > size, after is not None)
