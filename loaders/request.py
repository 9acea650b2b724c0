"""The loaders of one request, each created on first use."""

from functools import cached_property

from loaders.dataloaders import (
    BatchByIdLoader,
    HistoryBySkuLoader,
    ItemErrorsByRangeLoader,
    KeepByVersionLoader,
    PartNumbersByBatchLoader,
    ReleaseByIdLoader,
    ServedByRevisionLoader,
    SnapshotByVersionLoader,
)
from loaders.diffs import Diffs
from loaders.instants import Instants
from loaders.min_versions import NONE, MinVersions
from loaders.pages import Pages
from loaders.pointer_cache import PointerCache
from loaders.prices import PriceLoader
from loaders.selections import Selections
from loaders.timelines import TimelineLoader
from loaders.view import View
from storage import NO_LISTS, ListFilter, Preview, Store


class Loaders:
    """All readers that the resolvers of one request use."""

    def __init__(
        self,
        store: Store,
        pointers: PointerCache,
        min_versions: MinVersions = NONE,
        works_on: ListFilter = NO_LISTS,
        preview: Preview | None = None,
    ) -> None:
        self._store = store
        self._pointers = pointers
        self._works_on = works_on
        self.prices = PriceLoader(store, pointers.versions, pointers.reader, pointers.warmer)
        self.snapshots = SnapshotByVersionLoader(store, pointers.versions, pointers.reads)
        self.view = View(pointers, self.snapshots, Instants(store), min_versions, works_on, preview)

    @cached_property
    def keeps(self) -> KeepByVersionLoader:
        """Until when versions are kept, by (list, version)."""
        return KeepByVersionLoader(self._store)

    @cached_property
    def batches(self) -> BatchByIdLoader:
        """Batches by id."""
        return BatchByIdLoader(self._store)

    @cached_property
    def releases(self) -> ReleaseByIdLoader:
        """Releases by id, of those that the caller sees."""
        return ReleaseByIdLoader(self._store, self._works_on)

    @cached_property
    def part_numbers(self) -> PartNumbersByBatchLoader:
        """Numbers of stored parts by batch."""
        return PartNumbersByBatchLoader(self._store)

    @cached_property
    def item_errors(self) -> ItemErrorsByRangeLoader:
        """Errors of invalid items by range of a report."""
        return ItemErrorsByRangeLoader(self._store)

    @cached_property
    def served(self) -> ServedByRevisionLoader:
        """Processes that serve a revision of a pointer, by (list, revision)."""
        return ServedByRevisionLoader(self._store, self._pointers)

    @cached_property
    def pages(self) -> Pages:
        """Pages of prices, lists, versions, events, batches and releases."""
        return Pages(
            self._store,
            self._pointers.versions,
            self._pointers.reader,
            self._pointers.warmer,
            self.view.lists,
            self.view.shows_unpublished,
        )

    @cached_property
    def selections(self) -> Selections:
        """Pages of prices by filter and order."""
        return Selections(self._store, self._pointers.reader)

    @cached_property
    def diffs(self) -> Diffs:
        """Differences between versions."""
        return Diffs(self._store, self._pointers.reader, self._pointers.summaries)

    @cached_property
    def histories(self) -> HistoryBySkuLoader:
        """Histories by (list, version, sku)."""
        return HistoryBySkuLoader(self._store)

    @cached_property
    def timelines(self) -> TimelineLoader:
        """Timelines by (list, window, sku)."""
        return TimelineLoader(self._store, self._pointers.moves, self.view)
