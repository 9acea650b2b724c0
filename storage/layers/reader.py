"""Reading a version: its layers as a stack, newest first. What a newer layer says of a sku hides what older ones say.

All layers are asked at once, so a look-up takes one round trip however many there are, and a page takes one unless
removals leave it short. A batch size above what is asked for lets the server close the cursor with its first reply.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar, cast

import bson
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.layers.writer import collection_of
from storage.mongodb.connection import Database, Document
from storage.prices.price import Price, decode, is_removal, sku_of, split
from storage.prices.sku_range import ALL_SKUS, SkuRange

T = TypeVar("T")

Layers = Sequence[str]
Session = AsyncClientSession | None

# A page reads at least so many records of each layer, so that some removals do not cost another round trip.
_LEAST_READ = 100

READ_BATCH = 1000

# So many documents are decoded at once, which takes a little more than a millisecond.
DECODE_SLICE = 150


class LayerReader:
    """Reads the layers of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, layers: Layers, skus: Sequence[str]) -> dict[str, Price]:
        """Return the prices of those skus that a version has."""
        said = await self.find_with_tombstones(layers, skus)
        return {sku: price for sku, price in said.items() if price is not None}

    async def find_with_tombstones(self, layers: Layers, skus: Sequence[str]) -> dict[str, Price | None]:
        """Return what layers say of those skus: a price, None for a removal, nothing where older ones may say more."""
        found = await asyncio.gather(*(self._find_in(layer, skus) for layer in layers))
        visible: dict[str, Document] = {}
        for documents in reversed(found):
            visible.update((document["_id"], document) for document in documents)
        return {sku: None if "removed" in document else decode(document) for sku, document in visible.items()}

    async def _find_in(self, layer: str, skus: Sequence[str]) -> list[Document]:
        async def find(db: Database, session: Session) -> list[Document]:
            cursor = db[collection_of(layer)].find({"_id": {"$in": list(skus)}}, session=session)
            return await cursor.batch_size(len(skus) + 1).to_list()

        return await self._ask(find)

    async def _ask(self, read: Callable[[Database, Session], Awaitable[list[T]]]) -> list[T]:
        """Return what a read of a layer finds."""
        return await read(self._db, None)

    async def page(
        self,
        layers: Layers,
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
        within: SkuRange = ALL_SKUS,
    ) -> list[Price]:
        """Return up to `limit` prices in sku order, within a span and strictly between `after` and `before`.

        With `backward` they are the last ones of that range, still in ascending order.
        """
        page: list[Price] = []
        span = within.between(after, before)
        size = limit if len(layers) == 1 else max(limit, _LEAST_READ)
        while True:
            runs = await asyncio.gather(*(self._run_of(layer, size, span, backward) for layer in layers))
            # Beyond the nearest end of a run that was cut off, its layer may have more to say.
            ends = [run[-1]["_id"] for run in runs if len(run) == size]
            horizon = (max(ends) if backward else min(ends)) if ends else None
            visible: dict[str, Document] = {}
            for run in reversed(runs):
                visible.update((document["_id"], document) for document in run)
            for sku in sorted(visible, reverse=backward):
                if horizon is not None and (sku < horizon if backward else sku > horizon):
                    break
                if "removed" not in visible[sku]:
                    page.append(decode(visible[sku]))
            if horizon is None or len(page) >= limit:
                page = page[:limit]
                return page[::-1] if backward else page
            span = span.below(horizon) if backward else span.above(horizon)

    async def _run_of(self, layer: str, size: int, span: SkuRange, backward: bool) -> list[Document]:
        async def find(db: Database, session: Session) -> list[Document]:
            cursor = db[collection_of(layer)].find(span.query, session=session)
            return await cursor.sort("_id", -1 if backward else 1).limit(size).batch_size(size + 1).to_list()

        return await self._ask(find)

    async def read(self, layers: Layers) -> AsyncGenerator[list[tuple[str, Price | None]], None]:
        """Return all that layers say, in sku order, a slice at a time: of each sku the price, None for a removal."""
        async with aclosing(self.merged(layers)) as runs:
            async for run in runs:
                for start in range(0, len(run), DECODE_SLICE):
                    yield [_decoded(document) for document in run[start : start + DECODE_SLICE]]

    async def runs(
        self, layer: str, *, ordered: bool = False, within: SkuRange = ALL_SKUS
    ) -> AsyncGenerator[list[bytes], None]:
        """Return the documents of one layer as a majority has them, removals too, in runs of a thousand.

        The next run is on its way while one is worked on.
        """
        query = {} if within == ALL_SKUS else within.query
        cursor = self._db[collection_of(layer)].find_raw_batches(
            query, sort=[("_id", 1)] if ordered else None, batch_size=READ_BATCH
        )
        coming = asyncio.ensure_future(anext(cursor, None))
        try:
            while (run := await coming) is not None:
                coming = asyncio.ensure_future(anext(cursor, None))
                yield list(split(cast("bytes", run)))
        finally:
            coming.cancel()
            await asyncio.wait([coming])
            await cursor.close()

    async def merged(self, layers: Layers, within: SkuRange = ALL_SKUS) -> AsyncGenerator[list[bytes], None]:
        """Return what a stack of layers says, in sku order, in runs: of each sku the newest document, removals too."""
        cursors = [self.runs(layer, ordered=True, within=within) for layer in layers]
        try:
            async for run in _merged(cursors):
                yield run
        finally:
            for cursor in cursors:
                await cursor.aclose()

    async def find_raw(self, layers: Layers, skus: Sequence[str]) -> dict[str, bytes]:
        """Return the documents of those skus that a version has."""
        found = await asyncio.gather(*(self.find_in(layer, skus) for layer in layers))
        visible: dict[str, bytes] = {}
        for documents in reversed(found):
            visible.update(documents)
        return {sku: document for sku, document in visible.items() if not is_removal(document)}

    async def find_in(self, layer: str, skus: Sequence[str]) -> dict[str, bytes]:
        """Return the documents of those skus that one layer has, removals too."""
        # One more than can come, so that the server knows with the first batch that there is no other.
        query, size = {"_id": {"$in": list(skus)}}, len(skus) + 1
        cursor = self._db[collection_of(layer)].find_raw_batches(query, batch_size=size)
        return {sku_of(document): document async for run in cursor for document in split(cast("bytes", run))}


async def _merged(cursors: Sequence[AsyncGenerator[list[bytes], None]]) -> AsyncGenerator[list[bytes], None]:
    unread: list[dict[str, bytes] | None] = [{} for _ in cursors]
    while True:
        for place, cursor in enumerate(cursors):
            if unread[place] == {}:
                run = await anext(cursor, None)
                unread[place] = None if run is None else {sku_of(document): document for document in run}
        ends = [next(reversed(documents)) for documents in unread if documents]
        if not ends:
            return
        # Up to the nearest end of what was read, every layer has said what it has to say.
        horizon, visible = min(ends), dict[str, bytes]()
        for place in reversed(range(len(cursors))):
            documents = unread[place] or {}
            visible.update((sku, document) for sku, document in documents.items() if sku <= horizon)
            if documents:
                unread[place] = {sku: document for sku, document in documents.items() if sku > horizon}
        yield [visible[sku] for sku in sorted(visible)]


def _decoded(document: bytes) -> tuple[str, Price | None]:
    if is_removal(document):
        return sku_of(document), None
    price = decode(bson.decode(document))
    return price.sku, price
