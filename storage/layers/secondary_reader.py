"""Reading a version on secondaries: what they do not answer in time, or seem not to have, is read on the primary."""

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


class SecondaryLayerReader(LayerReader):
    """Reads layers on secondaries where it can.

    A layer that looks empty there is read again on the primary. So that this is rare, a look-up also asks for a
    witness: a sku that the layer is known to have.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        super().__init__(db)
        self._secondaries = Secondaries(db, clock)
        self._witnesses: dict[str, str] = {}

    async def _ask(self, read: Callable[[Database, Session], Awaitable[list[T]]]) -> list[T]:
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
        """Return the documents of one layer in sku order, removals too, in runs of a thousand.

        Each run is a read of its own, so that a secondary may be lost between two of them.
        """
        while True:
            documents = await self._run_of_raw(layer, within)
            if documents:
                yield documents
            if len(documents) < READ_BATCH:
                return
            within = within.above(sku_of(documents[-1]))

    async def _run_of_raw(self, layer: str, within: SkuRange) -> list[bytes]:
        async def find(db: Database, session: Session) -> list[bytes]:
            cursor = db[collection_of(layer)].find_raw_batches(within.query, batch_size=READ_BATCH + 1, session=session)
            runs = await cursor.sort("_id", 1).limit(READ_BATCH).to_list()
            return [document for run in runs for document in split(cast("bytes", run))]

        return await self._ask(find)
