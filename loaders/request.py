"""The loaders of one request: made for it, and gone with it."""

from loaders.batches import BatchLoader
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
        self.prices = PriceLoader(store, heads.versions, heads.warmer)
        self.snapshots = SnapshotLoader(store, heads.versions)
        self.batches = BatchLoader(store)
        self.sequences = SequenceLoader(store)
        self.served = ServedLoader(store)
        self.pages = Pages(store, heads.versions, heads.warmer)
        self.selections = Selections(store, self.prices)
        self.histories = HistoryLoader(store)
        self.view = View(heads, self.snapshots, min_versions)
