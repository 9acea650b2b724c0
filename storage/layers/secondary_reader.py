"""Reads a version from secondaries, and from the primary if they do not respond in time or seem to lack the data."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar, cast

from storage.layers.reader import READ_BATCH, LayerReader, Session
from storage.layers.writer import collection_of
from storage.mongodb.connection import Database, Document
from storage.mongodb.secondaries import Clock, Secondaries
from storage.prices.price import sku_of, split
from storage.prices.sku_range import ALL_SKUS, SkuRange

T = TypeVar("T")

MAX_WITNESSES = 10_000
"""Layers whose witness a process remembers."""


class SecondaryLayerReader(LayerReader):
    """Reads layers from secondaries when possible.

    A layer that looks empty there is read again from the primary. To keep this rare, each look-up also requests a
    witness: a sku that the layer is known to have.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        super().__init__(db)
        self._secondaries = Secondaries(db, clock)
        self._witnesses: dict[str, str] = {}

    async def _read(self, read: Callable[[Database, Session], Awaitable[list[T]]]) -> list[T]:
        return await self._secondaries.read(read) or await read(self._db, None)

    async def _find_in(self, layer: str, skus: Sequence[str]) -> list[Document]:
        witness = self._witnesses.get(layer)
        if witness is None:
            found = await super()._find_in(layer, skus)
            if found:
                if len(self._witnesses) >= MAX_WITNESSES:
                    self._witnesses.clear()
                self._witnesses[layer] = found[0]["_id"]
            return found
        found = await super()._find_in(layer, [*skus, witness])
        return found if witness in skus else [document for document in found if document["_id"] != witness]

    async def runs(
        self, layer: str, *, ordered: bool = False, within: SkuRange = ALL_SKUS
    ) -> AsyncGenerator[list[bytes], None]:
        """Yield runs of the documents of one layer in sku order, with tombstones.

        Each run is a separate read, so that the loss of a secondary between two of them does no harm.
        """
        while True:
            documents = await self._raw_run(layer, within)
            if documents:
                yield documents
            if len(documents) < READ_BATCH:
                return
            within = within.above(sku_of(documents[-1]))

    async def _raw_run(self, layer: str, within: SkuRange) -> list[bytes]:
        async def find(db: Database, session: Session) -> list[bytes]:
            cursor = db[collection_of(layer)].find_raw_batches(within.query, batch_size=READ_BATCH + 1, session=session)
            runs = await cursor.sort("_id", 1).limit(READ_BATCH).to_list()
            return [document for run in runs for document in split(cast("bytes", run))]

        return await self._read(find)
