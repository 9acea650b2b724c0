"""Batches by id."""

from strawberry.dataloader import DataLoader

from storage import Batch, Store


class BatchLoader(DataLoader[str, Batch | None]):
    """Loads the batches that a request asks for in one round trip; None where there is no such batch."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.batches.get_many)
