"""The loaders of one request: made for it when they are first asked for, and gone with it."""

from functools import cached_property

from loaders.batches import BatchLoader
from loaders.diffs import Diffs
from loaders.heads import Heads
from loaders.histories import HistoryLoader
from loaders.min_versions import NONE, MinVersions
from loaders.pages import Pages
from loaders.prices import PriceLoader
from loaders.selections import Selections
from loaders.sequences import SequenceLoader
from loaders.served import ServedLoader
from loaders.snapshots import SnapshotLoader
from loaders.view import View
from storage import Store


class Loaders:
    """Everything through which the resolvers of one request read."""

    def __init__(self, store: Store, heads: Heads, min_versions: MinVersions = NONE) -> None:
        self._store = store
        self._heads = heads
        self.prices = PriceLoader(store, heads.versions, heads.warmer)
        self.snapshots = SnapshotLoader(store, heads.versions, heads.reads)
        self.view = View(heads, self.snapshots, min_versions)

    @cached_property
    def batches(self) -> BatchLoader:
        """Batches by id."""
        return BatchLoader(self._store)

    @cached_property
    def sequences(self) -> SequenceLoader:
        """Stored sequences by batch."""
        return SequenceLoader(self._store)

    @cached_property
    def served(self) -> ServedLoader:
        """How many processes answer by a revision of a pointer."""
        return ServedLoader(self._store)

    @cached_property
    def pages(self) -> Pages:
        """Pages of everything that is listed."""
        return Pages(self._store, self._heads.versions, self._heads.warmer)

    @cached_property
    def selections(self) -> Selections:
        """Pages of filtered or otherwise ordered prices."""
        return Selections(self._store, self._heads.versions, self.prices)

    @cached_property
    def diffs(self) -> Diffs:
        """Differences between versions."""
        return Diffs(self._store, self._heads.versions, self._heads.summaries)

    @cached_property
    def histories(self) -> HistoryLoader:
        """Histories by (list, version, sku)."""
        return HistoryLoader(self._store)
