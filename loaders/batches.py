"""Batches by id."""

from loaders.loading import Loader
from storage import Batch, Store


class BatchLoader(Loader[str, Batch | None]):
    """Loads the batches that a request asks for in one round trip; None where there is no such batch."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.batches.get_many)
