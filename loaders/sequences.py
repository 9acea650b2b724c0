"""Stored sequences by batch."""

from loaders.loading import Loader
from storage import Store


class SequenceLoader(Loader[str, list[int]]):
    """Loads which sequences are stored of the batches that a request asks for, in one round trip."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.parts.stored_sequences)
