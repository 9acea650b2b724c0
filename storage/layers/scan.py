"""Scans: the prices of a version that match a filter, or that are in another order than by sku.

The server reads and compares. Each layer returns only the skus that match, in runs; a row of a newer layer, of any
kind, hides those of its sku in older ones. Layers have no index except by sku, so a scan reads the records themselves:
at most `max_records`. A scan that needs more is refused, before it starts if possible.
"""

import asyncio
from collections.abc import Iterator, Sequence

from storage.catalog.snapshots import Layer, Snapshot
from storage.errors import ScanLimit
from storage.layers.block import collection_of
from storage.mongodb.connection import Collection, Database, Document
from storage.prices.selection import PriceOrder, Selection, SortPosition
from storage.prices.sku_range import SkuRange, successor

MAX_SCAN = 1_000_000
"""Default limit of the records that a scan reads. The database took 0.3 to 1.1 s for 300,000."""

MAX_CONCURRENT_SCANS = 4
"""Scans that run at once in a process; others wait, which leaves connections for look-ups by sku."""

FIRST_SCAN_RECORDS = 20_000
"""Records to read before the limit is located: most scans that end early end within them."""

MAX_HELD_SKUS = 5000
"""Skus of all layers together to hold in memory."""

MIN_RUN = 100
"""Minimum skus to read of each layer, so that a few hidden ones do not cost another round trip."""

CURSOR_BATCH = 1000
"""Documents per reply of the server; other tasks run between two replies."""


class LayerScanner:
    """Scans the versions of a database."""

    def __init__(self, db: Database, max_records: int = MAX_SCAN) -> None:
        self._db = db
        self._max_records = max_records
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_SCANS)

    async def page(
        self,
        snapshot: Snapshot,
        selection: Selection,
        limit: int,
        *,
        after: SortPosition | None = None,
        before: SortPosition | None = None,
        backward: bool = False,
    ) -> list[str]:
        """Return the skus of up to `limit` prices of a selection, in its order, strictly between two positions.

        With `backward` they are the last ones of that range, still in the selection's order.
        Raises `ScanLimit`.
        """
        conditions, sku_range = selection.filter.conditions(), selection.filter.sku_range
        async with self._slots:
            if selection.order is PriceOrder.SKU:
                sku_range = sku_range.between(after and after.sku, before and before.sku)
                skus = await self._by_sku(snapshot, selection, sku_range, conditions, limit, backward)
            else:
                await self._check_size(snapshot, selection, sku_range)
                conditions += [selection.beyond(after, forward=True)] if after else []
                conditions += [selection.beyond(before, forward=False)] if before else []
                skus = await self._by_amount(snapshot, selection, sku_range, conditions, limit, backward)
        return skus[::-1] if backward else skus

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return the number of prices in a selection. Raises `ScanLimit`."""
        conditions, sku_range = selection.filter.conditions(), selection.filter.sku_range
        async with self._slots:
            await self._check_size(snapshot, selection, sku_range)
            matching = {"$and": [sku_range.query, *conditions]}
            counts = await asyncio.gather(
                *(self._collection(layer).count_documents(matching) for layer in snapshot.layers)
            )
            return sum(counts) - await self._count_hidden(snapshot.layers, sku_range, conditions)

    async def _by_sku(
        self,
        snapshot: Snapshot,
        selection: Selection,
        sku_range: SkuRange,
        conditions: Sequence[Document],
        limit: int,
        backward: bool,
    ) -> list[str]:
        layers, found = snapshot.layers, list[str]()
        whole = _size(layers) <= self._max_records
        left, stretch = self._max_records, FIRST_SCAN_RECORDS
        while True:
            cut = None if whole else await self._find_cut(layers, sku_range, min(left, stretch), backward)
            near, far = (sku_range, None) if cut is None else sku_range.cut(cut, backward=backward)
            rest: SkuRange | None = near
            while rest and len(found) < limit:
                size = limit - len(found) if len(layers) == 1 else max(limit - len(found), MIN_RUN)
                runs, rest = await self._runs(layers, rest, conditions, size, backward=backward)
                found += sorted((position.sku for position in await self._visible(layers, runs)), reverse=backward)
            if far is None or len(found) >= limit:
                return found[:limit]
            read = await self._count_records(layers, near)
            if not read:
                raise self._scan_limit(snapshot, selection)
            sku_range, left, stretch = far, left - read, stretch * 8

    async def _by_amount(
        self,
        snapshot: Snapshot,
        selection: Selection,
        sku_range: SkuRange,
        conditions: Sequence[Document],
        limit: int,
        backward: bool,
    ) -> list[str]:
        layers = snapshot.layers
        if len(layers) == 1:
            cursor = self._collection(layers[0]).find({"$and": [sku_range.query, *conditions]}, {"_id": 1})
            return [document["_id"] async for document in cursor.sort(selection.sort(backward=backward)).limit(limit)]
        best: list[SortPosition] = []
        size = _share(layers)
        rest: SkuRange | None = sku_range
        while rest:
            # Once the page is full, only prices that precede its last one matter.
            better = [selection.beyond(best[-1], forward=backward)] if len(best) == limit else []
            runs, rest = await self._runs(layers, rest, [*conditions, *better], size)
            found = await self._visible(layers, runs)
            best = selection.sorted([*best, *found], backward=backward)[:limit]
        return [position.sku for position in best]

    async def _count_hidden(self, layers: Sequence[Layer], sku_range: SkuRange, conditions: Sequence[Document]) -> int:
        """Return the number of matching records that a newer layer hides."""
        newer, size, hidden = layers[:-1], _share(layers), 0
        rest: SkuRange | None = sku_range if newer else None
        while rest:
            runs, rest = await self._runs(newer, rest, [], size)
            above, counts = set[str](), []
            for run, layer in zip(runs, layers[1:], strict=True):
                above |= {position.sku for position in run}
                matching = {"$and": [{"_id": {"$in": list(above)}}, *conditions]}
                counts.append(self._collection(layer).count_documents(matching))
            hidden += sum(await asyncio.gather(*counts))
        return hidden

    async def _runs(
        self,
        layers: Sequence[Layer],
        sku_range: SkuRange,
        conditions: Sequence[Document],
        size: int,
        *,
        backward: bool = False,
    ) -> tuple[list[list[SortPosition]], SkuRange | None]:
        """Return the next matches of each layer, up to where all were read, and the range that remains."""
        runs = await asyncio.gather(*(self._run(layer, sku_range, conditions, size, backward) for layer in layers))
        ends = [run[-1].sku for run in runs if len(run) == size]
        if not ends:
            return runs, None
        horizon = max(ends) if backward else min(ends)
        _, rest = sku_range.cut(horizon if backward else successor(horizon), backward=backward)
        return [
            [position for position in run if (position.sku >= horizon if backward else position.sku <= horizon)]
            for run in runs
        ], rest

    async def _run(
        self, layer: Layer, sku_range: SkuRange, conditions: Sequence[Document], size: int, backward: bool
    ) -> list[SortPosition]:
        cursor = self._collection(layer).find(
            {"$and": [sku_range.query, *conditions]}, {"amount": 1}, batch_size=CURSOR_BATCH
        )
        return [
            SortPosition(document["_id"], document["amount"].to_decimal() if "amount" in document else None)
            async for document in cursor.sort("_id", -1 if backward else 1).limit(size)
        ]

    async def _visible(self, layers: Sequence[Layer], runs: Sequence[Sequence[SortPosition]]) -> list[SortPosition]:
        """Return the matches that no newer layer hides."""
        candidates = [[position.sku for older in runs[depth:] for position in older] for depth in range(1, len(runs))]
        present = await asyncio.gather(
            *(self._present(layer, skus) for layer, skus in zip(layers[:-1], candidates, strict=True))
        )
        visible, above = list(runs[0]), set[str]()
        for run, skus in zip(runs[1:], present, strict=True):
            above |= skus
            visible += [position for position in run if position.sku not in above]
        return visible

    async def _present(self, layer: Layer, skus: Sequence[str]) -> set[str]:
        """Return the skus that a layer has, as prices or tombstones."""
        if not skus:
            return set()
        cursor = self._collection(layer).find({"_id": {"$in": list(skus)}}, {"_id": 1}, batch_size=CURSOR_BATCH)
        return {document["_id"] async for document in cursor}

    async def _find_cut(self, layers: Sequence[Layer], sku_range: SkuRange, records: int, backward: bool) -> str | None:
        """Return where to cut a range so that the near part has at most `records`, or None if all of it fits."""
        ends = await asyncio.gather(
            *(self._sku_at(layer, sku_range, share, backward) for layer, share in _shares(layers, records))
        )
        cuts = [end for end in ends if end is not None]
        if not cuts:
            return None
        return successor(max(cuts)) if backward else min(cuts)

    async def _sku_at(self, layer: Layer, sku_range: SkuRange, index: int, backward: bool) -> str | None:
        if layer.count <= index:
            return None
        cursor = self._collection(layer).find(sku_range.query, {"_id": 1}).sort("_id", -1 if backward else 1)
        return next((document["_id"] for document in await cursor.skip(index).limit(1).to_list()), None)

    async def _check_size(self, snapshot: Snapshot, selection: Selection, sku_range: SkuRange) -> None:
        """Raise `ScanLimit` if a range has more records than the limit."""
        if _size(snapshot.layers) <= self._max_records:
            return
        if selection.filter.sku_prefix and await self._count_records(snapshot.layers, sku_range) <= self._max_records:
            return
        raise self._scan_limit(snapshot, selection)

    async def _count_records(self, layers: Sequence[Layer], sku_range: SkuRange) -> int:
        """Return the number of records of a range in all layers, up to one more than the limit of each."""
        limit = self._max_records + 1
        counts = (self._collection(layer).count_documents(sku_range.query, limit=limit) for layer in layers)
        return sum(await asyncio.gather(*counts))

    def _scan_limit(self, snapshot: Snapshot, selection: Selection) -> ScanLimit:
        return ScanLimit(
            f"{selection} would read more than {self._max_records} records of version {snapshot.version} of "
            f"{snapshot.price_list!r}, the limit of a request. Narrow it with `skuPrefix`, which reads only the "
            "matching skus, or page through all `prices` without filter and order."
        )

    def _collection(self, layer: Layer) -> Collection:
        return self._db[collection_of(layer.id)]


def _size(layers: Sequence[Layer]) -> int:
    return sum(layer.count for layer in layers)


def _share(layers: Sequence[Layer]) -> int:
    return max(MAX_HELD_SKUS // len(layers), MIN_RUN)


def _shares(layers: Sequence[Layer], records: int) -> Iterator[tuple[Layer, int]]:
    """Divide a number of records among layers: small ones are read whole, and the large ones share the rest."""
    for remaining, layer in zip(range(len(layers), 0, -1), sorted(layers, key=lambda layer: layer.count), strict=True):
        share = min(layer.count, records // remaining)
        records -= share
        yield layer, share
