"""Stored sequences by batch."""

from strawberry.dataloader import DataLoader

from storage import Store


class SequenceLoader(DataLoader[str, list[int]]):
    """Loads which sequences are stored of the batches that a request asks for, in one round trip."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.parts.stored_sequences)
