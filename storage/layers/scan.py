"""Scans: the prices of a version that a filter lets through, or in another order than that of their skus.

The server reads and compares. From each layer come only the skus that match, in runs; those that a newer layer says
something of, whatever it says, are hidden. Layers have no index but that of their skus, so a scan reads the records
themselves: at most `max_records` of them, and what would take more is refused before or when it comes so far.
"""

import asyncio
from collections.abc import Iterator, Sequence

from storage.catalog.snapshots import Layer, Snapshot
from storage.errors import ScanLimit
from storage.layers.writer import collection_of
from storage.mongodb.connection import Collection, Database, Document
from storage.prices.selection import Place, PriceOrder, Selection
from storage.prices.sku_range import SkuRange, successor

# The most that a request should keep others waiting: 300,000 records were seen to take the database 0.3 to 1.1 s.
MAX_SCAN = 1_000_000

# Scans of one process that run at once; others wait, and leave the connections to those who read by sku.
SCANS_AT_ONCE = 4

# A walk that ends early does so, mostly, within so many records: only beyond them is the limit's place looked for.
FIRST_STRETCH = 20_000

# The skus of all layers together that are held at once.
BATCH_ROWS = 5000

# Of each layer at least so many, so that some that are hidden do not cost another round trip.
_LEAST_READ = 100

# The event loop has its turn after decoding so many.
_BATCH = 1000


class LayerScanner:
    """Scans the versions of a database."""

    def __init__(self, db: Database, max_records: int = MAX_SCAN) -> None:
        self._db = db
        self._max_records = max_records
        self._turns = asyncio.Semaphore(SCANS_AT_ONCE)

    async def page(
        self,
        snapshot: Snapshot,
        selection: Selection,
        limit: int,
        *,
        after: Place | None = None,
        before: Place | None = None,
        backward: bool = False,
    ) -> list[str]:
        """Return the skus of up to `limit` prices of a selection, in its order, strictly between two places.

        With `backward` they are the last ones of that range, still in the selection's order.
        Raises `ScanLimit`.
        """
        conditions, span = selection.filter.conditions(), selection.filter.span
        async with self._turns:
            if selection.order is PriceOrder.SKU:
                span = span.between(after and after.sku, before and before.sku)
                skus = await self._by_sku(snapshot, selection, span, conditions, limit, backward)
            else:
                await self._check_size(snapshot, selection, span)
                conditions += [selection.beyond(after, forward=True)] if after else []
                conditions += [selection.beyond(before, forward=False)] if before else []
                skus = await self._by_amount(snapshot, selection, span, conditions, limit, backward)
        return skus[::-1] if backward else skus

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return how many prices a selection has. Raises `ScanLimit`."""
        conditions, span = selection.filter.conditions(), selection.filter.span
        async with self._turns:
            await self._check_size(snapshot, selection, span)
            matching = {"$and": [span.query, *conditions]}
            counts = await asyncio.gather(
                *(self._collection(layer).count_documents(matching) for layer in snapshot.layers)
            )
            return sum(counts) - await self._count_hidden(snapshot.layers, span, conditions)

    async def _by_sku(
        self,
        snapshot: Snapshot,
        selection: Selection,
        span: SkuRange,
        conditions: Sequence[Document],
        limit: int,
        backward: bool,
    ) -> list[str]:
        layers, found = snapshot.layers, list[str]()
        whole = _size(layers) <= self._max_records
        left, stretch = self._max_records, FIRST_STRETCH
        while True:
            cut = None if whole else await self._place_after(layers, span, min(left, stretch), backward)
            near, far = (span, None) if cut is None else span.cut(cut, backward=backward)
            rest: SkuRange | None = near
            while rest and len(found) < limit:
                size = limit - len(found) if len(layers) == 1 else max(limit - len(found), _LEAST_READ)
                runs, rest = await self._runs(layers, rest, conditions, size, backward=backward)
                found += sorted((place.sku for place in await self._visible(layers, runs)), reverse=backward)
            if far is None or len(found) >= limit:
                return found[:limit]
            read = await self._records_in(layers, near)
            if not read:
                raise self._refusal(snapshot, selection)
            span, left, stretch = far, left - read, stretch * 8

    async def _by_amount(
        self,
        snapshot: Snapshot,
        selection: Selection,
        span: SkuRange,
        conditions: Sequence[Document],
        limit: int,
        backward: bool,
    ) -> list[str]:
        layers = snapshot.layers
        if len(layers) == 1:
            cursor = self._collection(layers[0]).find({"$and": [span.query, *conditions]}, {"_id": 1})
            return [document["_id"] async for document in cursor.sort(selection.sort(backward=backward)).limit(limit)]
        best: list[Place] = []
        size = _share(layers)
        rest: SkuRange | None = span
        while rest:
            # Once a page is full, only what would come before its last one is of interest.
            better = [selection.beyond(best[-1], forward=backward)] if len(best) == limit else []
            runs, rest = await self._runs(layers, rest, [*conditions, *better], size)
            found = await self._visible(layers, runs)
            best = selection.sorted([*best, *found], backward=backward)[:limit]
        return [place.sku for place in best]

    async def _count_hidden(self, layers: Sequence[Layer], span: SkuRange, conditions: Sequence[Document]) -> int:
        """Return how many records match that a newer layer says something of."""
        newer, size, hidden = layers[:-1], _share(layers), 0
        rest: SkuRange | None = span if newer else None
        while rest:
            runs, rest = await self._runs(newer, rest, [], size)
            above, counts = set[str](), []
            for run, layer in zip(runs, layers[1:], strict=True):
                above |= {place.sku for place in run}
                matching = {"$and": [{"_id": {"$in": list(above)}}, *conditions]}
                counts.append(self._collection(layer).count_documents(matching))
            hidden += sum(await asyncio.gather(*counts))
        return hidden

    async def _runs(
        self,
        layers: Sequence[Layer],
        span: SkuRange,
        conditions: Sequence[Document],
        size: int,
        *,
        backward: bool = False,
    ) -> tuple[list[list[Place]], SkuRange | None]:
        """Return the next matches of each layer, as far as all of them were read, and the span that is left beyond."""
        runs = await asyncio.gather(*(self._run(layer, span, conditions, size, backward) for layer in layers))
        ends = [run[-1].sku for run in runs if len(run) == size]
        if not ends:
            return runs, None
        horizon = max(ends) if backward else min(ends)
        _, rest = span.cut(horizon if backward else successor(horizon), backward=backward)
        return [
            [place for place in run if (place.sku >= horizon if backward else place.sku <= horizon)] for run in runs
        ], rest

    async def _run(
        self, layer: Layer, span: SkuRange, conditions: Sequence[Document], size: int, backward: bool
    ) -> list[Place]:
        cursor = self._collection(layer).find({"$and": [span.query, *conditions]}, {"amount": 1}, batch_size=_BATCH)
        return [
            Place(document["_id"], document["amount"].to_decimal() if "amount" in document else None)
            async for document in cursor.sort("_id", -1 if backward else 1).limit(size)
        ]

    async def _visible(self, layers: Sequence[Layer], runs: Sequence[Sequence[Place]]) -> list[Place]:
        """Return those of the layers' matches that no newer layer says anything of."""
        asked = [[place.sku for older in runs[depth:] for place in older] for depth in range(1, len(runs))]
        present = await asyncio.gather(
            *(self._present(layer, skus) for layer, skus in zip(layers[:-1], asked, strict=True))
        )
        visible, above = list(runs[0]), set[str]()
        for run, skus in zip(runs[1:], present, strict=True):
            above |= skus
            visible += [place for place in run if place.sku not in above]
        return visible

    async def _present(self, layer: Layer, skus: Sequence[str]) -> set[str]:
        """Return those of some skus that a layer says anything of."""
        if not skus:
            return set()
        cursor = self._collection(layer).find({"_id": {"$in": list(skus)}}, {"_id": 1}, batch_size=_BATCH)
        return {document["_id"] async for document in cursor}

    async def _place_after(self, layers: Sequence[Layer], span: SkuRange, records: int, backward: bool) -> str | None:
        """Return where to cut a span so that the near part has at most so many records; None where it has no more."""
        ends = await asyncio.gather(
            *(self._sku_at(layer, span, share, backward) for layer, share in _shares(layers, records))
        )
        cuts = [end for end in ends if end is not None]
        if not cuts:
            return None
        return successor(max(cuts)) if backward else min(cuts)

    async def _sku_at(self, layer: Layer, span: SkuRange, place: int, backward: bool) -> str | None:
        if layer.count <= place:
            return None
        cursor = self._collection(layer).find(span.query, {"_id": 1}).sort("_id", -1 if backward else 1)
        return next((document["_id"] for document in await cursor.skip(place).limit(1).to_list()), None)

    async def _check_size(self, snapshot: Snapshot, selection: Selection, span: SkuRange) -> None:
        """Raise `ScanLimit` when a span has more records than may be read."""
        most = self._max_records
        if _size(snapshot.layers) <= most:
            return
        if selection.filter.sku_prefix and await self._records_in(snapshot.layers, span) <= most:
            return
        raise self._refusal(snapshot, selection)

    async def _records_in(self, layers: Sequence[Layer], span: SkuRange) -> int:
        """Return how many records a span has in all layers, as the index of their skus tells; the limit is enough."""
        enough = self._max_records + 1
        counts = (self._collection(layer).count_documents(span.query, limit=enough) for layer in layers)
        return sum(await asyncio.gather(*counts))

    def _refusal(self, snapshot: Snapshot, selection: Selection) -> ScanLimit:
        return ScanLimit(
            f"{selection} would read more than {self._max_records} records of version {snapshot.version} of "
            f"{snapshot.price_list!r}, and no request may. Narrow it by `skuPrefix`, which reads only what it names, "
            "or walk all `prices` without filter and order."
        )

    def _collection(self, layer: Layer) -> Collection:
        return self._db[collection_of(layer.id)]


def _size(layers: Sequence[Layer]) -> int:
    return sum(layer.count for layer in layers)


def _share(layers: Sequence[Layer]) -> int:
    return max(BATCH_ROWS // len(layers), _LEAST_READ)


def _shares(layers: Sequence[Layer], records: int) -> Iterator[tuple[Layer, int]]:
    """Return how many records of each layer may be read: small ones whole, and the large ones share what is left."""
    for left, layer in zip(range(len(layers), 0, -1), sorted(layers, key=lambda layer: layer.count), strict=True):
        share = min(layer.count, records // left)
        records -= share
        yield layer, share
