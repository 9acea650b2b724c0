"""Reads a version from its stack of layers, newest first. A row of a newer layer hides those of its sku in older ones.

All layers are read at once, so a look-up takes one round trip for any number of layers, and so does a page unless
tombstones leave it short. A batch size above the limit lets the server close the cursor with its first reply.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar, cast

import bson
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.layers.writer import collection_of
from storage.mongodb.connection import Database, Document
from storage.prices.price import Price, decode, is_tombstone, sku_of, split
from storage.prices.sku_range import ALL_SKUS, SkuRange

T = TypeVar("T")

Session = AsyncClientSession | None

MIN_PAGE_READ = 100
"""Minimum documents to read of each layer for a page, so that a few tombstones do not cost another round trip."""

READ_BATCH = 1000
"""Documents per run of a sequential read."""

DECODE_BATCH = 150
"""Documents to decode before other tasks may run: a little more than a millisecond."""


class LayerReader:
    """Reads the layers of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, layers: Sequence[str], skus: Sequence[str]) -> dict[str, Price]:
        """Return the prices of the skus that a version has."""
        found = await self.find_with_tombstones(layers, skus)
        return {sku: price for sku, price in found.items() if price is not None}

    async def find_with_tombstones(self, layers: Sequence[str], skus: Sequence[str]) -> dict[str, Price | None]:
        """Return the newest row of each sku that some layers have: a price, or None for a tombstone."""
        found = await asyncio.gather(*(self._find_in(layer, skus) for layer in layers))
        visible: dict[str, Document] = {}
        for documents in reversed(found):
            visible.update((document["_id"], document) for document in documents)
        return {sku: None if "removed" in document else decode(document) for sku, document in visible.items()}

    async def _find_in(self, layer: str, skus: Sequence[str]) -> list[Document]:
        async def find(db: Database, session: Session) -> list[Document]:
            cursor = db[collection_of(layer)].find({"_id": {"$in": list(skus)}}, session=session)
            return await cursor.batch_size(len(skus) + 1).to_list()

        return await self._read(find)

    async def _read(self, read: Callable[[Database, Session], Awaitable[list[T]]]) -> list[T]:
        """Run a read of a layer."""
        return await read(self._db, None)

    async def page(
        self,
        layers: Sequence[str],
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
        within: SkuRange = ALL_SKUS,
    ) -> list[Price]:
        """Return up to `limit` prices in sku order, within a range and strictly between `after` and `before`.

        With `backward` they are the last ones of that range, still in ascending order.
        """
        page: list[Price] = []
        sku_range = within.between(after, before)
        size = limit if len(layers) == 1 else max(limit, MIN_PAGE_READ)
        while True:
            runs = await asyncio.gather(*(self._run_of(layer, size, sku_range, backward) for layer in layers))
            # Beyond the nearest end of a truncated run, its layer may have more rows.
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
            sku_range = sku_range.below(horizon) if backward else sku_range.above(horizon)

    async def _run_of(self, layer: str, size: int, sku_range: SkuRange, backward: bool) -> list[Document]:
        async def find(db: Database, session: Session) -> list[Document]:
            cursor = db[collection_of(layer)].find(sku_range.query, session=session)
            return await cursor.sort("_id", -1 if backward else 1).limit(size).batch_size(size + 1).to_list()

        return await self._read(find)

    async def read(self, layers: Sequence[str]) -> AsyncGenerator[list[tuple[str, Price | None]], None]:
        """Yield slices of the newest rows of all skus in some layers, in sku order: prices, or None for tombstones."""
        async with aclosing(self.merged(layers)) as runs:
            async for run in runs:
                for start in range(0, len(run), DECODE_BATCH):
                    yield [_decoded(document) for document in run[start : start + DECODE_BATCH]]

    async def runs(
        self, layer: str, *, ordered: bool = False, within: SkuRange = ALL_SKUS
    ) -> AsyncGenerator[list[bytes], None]:
        """Yield runs of the documents of one layer at read concern `majority`, with tombstones.

        The next run is fetched while one is processed.
        """
        query = {} if within == ALL_SKUS else within.query
        cursor = self._db[collection_of(layer)].find_raw_batches(
            query, sort=[("_id", 1)] if ordered else None, batch_size=READ_BATCH
        )
        next_run = asyncio.ensure_future(anext(cursor, None))
        try:
            while (run := await next_run) is not None:
                next_run = asyncio.ensure_future(anext(cursor, None))
                yield list(split(cast("bytes", run)))
        finally:
            next_run.cancel()
            await asyncio.wait([next_run])
            await cursor.close()

    async def merged(self, layers: Sequence[str], within: SkuRange = ALL_SKUS) -> AsyncGenerator[list[bytes], None]:
        """Yield runs of the newest document of each sku in a stack of layers, in sku order, with tombstones."""
        cursors = [self.runs(layer, ordered=True, within=within) for layer in layers]
        try:
            async for run in _merged(cursors):
                yield run
        finally:
            for cursor in cursors:
                await cursor.aclose()

    async def find_raw(self, layers: Sequence[str], skus: Sequence[str]) -> dict[str, bytes]:
        """Return the documents of the skus that a version has."""
        found = await asyncio.gather(*(self.find_raw_in_layer(layer, skus) for layer in layers))
        visible: dict[str, bytes] = {}
        for documents in reversed(found):
            visible.update(documents)
        return {sku: document for sku, document in visible.items() if not is_tombstone(document)}

    async def find_raw_in_layer(self, layer: str, skus: Sequence[str]) -> dict[str, bytes]:
        """Return the documents of some skus in one layer, with tombstones."""
        # One more than there can be, so that the server closes the cursor with the first batch.
        query, size = {"_id": {"$in": list(skus)}}, len(skus) + 1
        cursor = self._db[collection_of(layer)].find_raw_batches(query, batch_size=size)
        return {sku_of(document): document async for run in cursor for document in split(cast("bytes", run))}


async def _merged(cursors: Sequence[AsyncGenerator[list[bytes], None]]) -> AsyncGenerator[list[bytes], None]:
    unread: list[dict[str, bytes] | None] = [{} for _ in cursors]
    while True:
        for index, cursor in enumerate(cursors):
            if unread[index] == {}:
                run = await anext(cursor, None)
                unread[index] = None if run is None else {sku_of(document): document for document in run}
        ends = [next(reversed(documents)) for documents in unread if documents]
        if not ends:
            return
        # All layers are read completely up to the nearest end.
        horizon, visible = min(ends), dict[str, bytes]()
        for index in reversed(range(len(cursors))):
            documents = unread[index] or {}
            visible.update((sku, document) for sku, document in documents.items() if sku <= horizon)
            if documents:
                unread[index] = {sku: document for sku, document in documents.items() if sku > horizon}
        yield [visible[sku] for sku in sorted(visible)]


def _decoded(document: bytes) -> tuple[str, Price | None]:
    if is_tombstone(document):
        return sku_of(document), None
    price = decode(bson.decode(document))
    return price.sku, price
