"""The loaders of one request: made for it, and gone with it."""

from loaders.batches import BatchLoader
from loaders.heads import Heads
from loaders.histories import HistoryLoader
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

    def __init__(self, store: Store, heads: Heads) -> None:
        self.prices = PriceLoader(store)
        self.snapshots = SnapshotLoader(store)
        self.batches = BatchLoader(store)
        self.sequences = SequenceLoader(store)
        self.served = ServedLoader(store)
        self.pages = Pages(store)
        self.selections = Selections(store, self.prices)
        self.histories = HistoryLoader(store)
        self.view = View(heads, self.snapshots)
