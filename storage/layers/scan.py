"""Scans: the prices of a version that match a filter, or that are in another order than by sku.

The stats of a block bound where its prices are in an order. A scan reads blocks in the order of these bounds, and stops
when no further block can have a price of the page; blocks that cannot have a match are not read at all. A row of a
newer layer, of any kind, hides those of its sku in older ones, so each match is looked up in the newer layers.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence, Set
from contextlib import aclosing
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from storage.catalog.snapshots import Snapshot
from storage.errors import ScanLimit
from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent
from storage.layers.block_filter import BlockFilter
from storage.layers.block_order import BlockOrder, OrderedBlock
from storage.layers.cached_layer import CachedLayer
from storage.layers.newer_skus import NewerSkus
from storage.layers.reader import LayerReader
from storage.layers.row_allowance import MAX_SCAN, RowAllowance
from storage.prices.price import Price, amount_of, decode_row
from storage.prices.selection import Selection, SortKey, SortPosition

MAX_CONCURRENT_SCANS = 4
"""Scans that run at once in a process; others wait."""

FIRST_READ_BLOCKS = 2
"""Blocks to read first for a page; then twice as many each time, because one that is full needs few."""

MAX_READ_BLOCKS = 32
"""Blocks to read at once: some 2,400 rows."""

BLOCKS_PER_STEP = 8
"""Blocks to search before other tasks may run: half a millisecond."""

_ZERO = Decimal(0)


class LayerScanner:
    """Scans the versions of a database."""

    def __init__(self, reader: LayerReader, max_rows: int = MAX_SCAN) -> None:
        self._reader = reader
        self._max_rows = max_rows
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
    ) -> list[Price]:
        """Return up to `limit` prices of a selection, in its order, strictly between two positions.

        With `backward` they are the last ones of that range, still in the selection's order.
        Raises `ScanLimit`, `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        async with self._slots:
            scan = await self._scan(snapshot, selection, after, before, backward=backward)
            return await scan.page(limit)

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return the number of prices in a selection. Raises `ScanLimit`, `LayerGone`, `Corrupt`, `UnknownFormat`."""
        async with self._slots:
            return await (await self._scan(snapshot, Selection(selection.filter))).count()

    async def _scan(
        self,
        snapshot: Snapshot,
        selection: Selection,
        after: SortPosition | None = None,
        before: SortPosition | None = None,
        *,
        backward: bool = False,
    ) -> "_Scan":
        refusal = ScanLimit(
            f"{selection} would read more than {self._max_rows} rows of version {snapshot.version} of "
            f"{snapshot.price_list!r}, the limit of a request. Narrow it with `skuPrefix`, which reads only the "
            "matching skus, or page through all `prices` without filter and order."
        )
        stack = await self._reader.layers(snapshot.layers)
        lower, upper = (place and selection.key(place.sku, place.amount or _ZERO) for place in (after, before))
        return _Scan(self._reader, stack, selection, (lower, upper), backward, RowAllowance(self._max_rows, refusal))


class _Match(NamedTuple):
    key: SortKey
    row: bytes


_key_of: Callable[[_Match], SortKey] = itemgetter(0)


class _Scan:
    """One scan of a stack of layers, strictly between two keys of its order."""

    def __init__(
        self,
        reader: LayerReader,
        stack: Sequence[CachedLayer],
        selection: Selection,
        between: tuple[SortKey | None, SortKey | None],
        backward: bool,
        allowance: RowAllowance,
    ) -> None:
        self._reader = reader
        self._stack = stack
        self._selection = selection
        self._lower, self._upper = between
        self._backward = backward
        self._allowance = allowance
        self._newer = NewerSkus(reader, stack[:-1], allowance.spend)
        self._held: OrderedBlock | None = None
        self._order = BlockOrder(stack, selection, between, backward)
        self._range = self._order.sku_range

    async def page(self, limit: int) -> list[Price]:
        """Return the first `limit` prices, the last ones if the scan goes backward."""
        size, best = FIRST_READ_BLOCKS, list[_Match]()
        async with aclosing(self._order.blocks()) as blocks:
            while run := await self._next_run(blocks, size):
                for number, (content, indexes) in enumerate(await self._visible(run), 1):
                    best += self._matches(content, indexes)
                    if not number % BLOCKS_PER_STEP:
                        await yield_to_loop()
                best.sort(key=_key_of, reverse=self._backward)
                del best[limit:]
                if len(best) == limit:
                    self._end_before(best[-1].key)
                size = min(2 * size, MAX_READ_BLOCKS)
        prices = (decode_row(key[1], row) for key, row in (reversed(best) if self._backward else best))
        return [price for price in prices if price is not None]

    async def count(self) -> int:
        """Return the number of all prices."""
        blocks, rows = list[OrderedBlock](), 0
        async with aclosing(self._order.blocks()) as listed:
            async for block in listed:
                blocks.append(block)
                rows += self._stack[block.depth].directory.rows[block.number]
                if rows > self._allowance.rows:
                    raise self._allowance.refusal
        total = 0
        for start in range(0, len(blocks), MAX_READ_BLOCKS):
            visible = await self._visible(blocks[start : start + MAX_READ_BLOCKS])
            total += sum(len(indexes) for _, indexes in visible)
        return total

    async def _next_run(self, blocks: AsyncGenerator[OrderedBlock, None], size: int) -> list[OrderedBlock]:
        """Take up to `size` next blocks that may contribute, as many as may be read, but at least one."""
        run, rows = list[OrderedBlock](), 0
        while len(run) < size:
            block, self._held = self._held or await anext(blocks, None), None
            if block is None or self._is_past(block.key):
                break
            rows += self._stack[block.depth].directory.rows[block.number]
            if run and rows > self._allowance.rows:
                self._held = block
                break
            run.append(block)
        return run

    def _is_past(self, key: SortKey) -> bool:
        """Whether the scan ends before a key."""
        if self._backward:
            return self._lower is not None and key <= self._lower
        return self._upper is not None and key >= self._upper

    def _end_before(self, key: SortKey) -> None:
        if self._backward:
            self._lower = key
        else:
            self._upper = key

    async def _visible(self, run: Sequence[OrderedBlock]) -> list[tuple[BlockContent, Sequence[int]]]:
        """Read blocks, and return them with the indexes of their matches that no newer layer hides."""
        block_filter = BlockFilter(self._selection.filter_between(self._lower, self._upper))
        found: list[tuple[OrderedBlock, BlockContent, Sequence[int]]] = []
        skus: dict[int, list[str]] = defaultdict(list)
        for number, (block, content) in enumerate(zip(run, await self._read(run), strict=True), 1):
            self._newer.add(block.depth, block.number, content)
            indexes = block_filter.matches(content, block.stats, self._within(block, content))
            if indexes:
                found.append((block, content, indexes))
                if block.depth:
                    skus[block.depth] += [content.skus[index] for index in indexes]
            if not number % BLOCKS_PER_STEP:
                await yield_to_loop()
        hidden = {depth: await self._newer.find(depth, sorted(some)) for depth, some in skus.items()}
        return [
            (content, _without(content, indexes, hidden[block.depth]) if hidden.get(block.depth) else indexes)
            for block, content, indexes in found
        ]

    async def _read(self, run: Sequence[OrderedBlock]) -> list[BlockContent]:
        indexes: dict[int, list[int]] = defaultdict(list)
        for block in run:
            indexes[block.depth].append(block.number)
            self._allowance.spend(self._stack[block.depth].directory.rows[block.number])
        contents = await asyncio.gather(
            *(self._reader.contents(self._stack[depth], some) for depth, some in indexes.items())
        )
        by_depth = {depth: iter(each) for depth, each in zip(indexes, contents, strict=True)}
        return [next(by_depth[block.depth]) for block in run]

    def _within(self, block: OrderedBlock, content: BlockContent) -> range:
        """Return the indexes of the rows within the range of skus."""
        if self._stack[block.depth].directory.is_within(block.number, self._range):
            return range(len(content.skus))
        return self._range.indexes(content.skus)

    def _matches(self, content: BlockContent, indexes: Iterable[int]) -> Iterator[_Match]:
        """Yield the matches between the keys."""
        for index in indexes:
            row = bytes(content.row(index))
            key = self._selection.key(content.skus[index], amount_of(row))
            if (self._lower is None or key > self._lower) and (self._upper is None or key < self._upper):
                yield _Match(key, row)


def _without(content: BlockContent, indexes: Iterable[int], hidden: Set[str]) -> list[int]:
    skus = content.skus
    return [index for index in indexes if skus[index] not in hidden]
