"""Scans: the prices of a version that match a filter, or that are in another order than by sku.

The stats of a block bound where its prices are in an order. A scan reads blocks in the order of these bounds, and stops
when no further block can have a price of the page; blocks that cannot have a match are not read at all. A row of a
newer layer, of any kind, hides those of its sku in older ones, so each match is looked up in the newer layers.
"""

import asyncio
import heapq
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from decimal import Decimal
from itertools import chain, islice
from typing import NamedTuple

from storage.catalog.snapshots import Snapshot
from storage.errors import ScanLimit
from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent, BlockStats
from storage.layers.cached_layer import CachedLayer
from storage.layers.block_filter import BlockFilter
from storage.layers.directory import PAGE_BLOCKS, Directory
from storage.layers.newer_skus import NewerSkus
from storage.layers.reader import LayerReader
from storage.prices.price import MAX_SKU_BYTES, Price, amount_of, decode_row
from storage.prices.selection import PriceOrder, Selection, SortKey, SortPosition

MAX_SCAN = 1_000_000
"""Default limit of the rows that a scan reads: about a second of CPU."""

MAX_CONCURRENT_SCANS = 4
"""Scans that run at once in a process; others wait."""

FIRST_READ_BLOCKS = 2
"""Blocks to read first for a page; then twice as many each time, because one that is full needs few."""

MAX_READ_BLOCKS = 32
"""Blocks to read at once: some 2,400 rows."""

LISTED_AT_ONCE = 512
"""Blocks to put into the order of a scan before other tasks may run: about a millisecond."""

_ZERO = Decimal(0)

_AFTER_ALL_SKUS = chr(sys.maxunicode) * MAX_SKU_BYTES


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
        Raises `ScanLimit`, and what `LayerReader` raises.
        """
        async with self._slots:
            scan = await self._scan(snapshot, selection, after, before, backward=backward)
            return await scan.page(limit)

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return the number of prices in a selection. Raises `ScanLimit`, and what `LayerReader` raises."""
        async with self._slots:
            return await (await self._scan(snapshot, selection)).count()

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
        return _Scan(self._reader, stack, selection, (lower, upper), backward, _Allowance(self._max_rows, refusal))


class _Allowance:
    """The rows that a scan still may read."""

    def __init__(self, rows: int, refusal: ScanLimit) -> None:
        self.rows = rows
        self.refusal = refusal

    def spend(self, rows: int) -> None:
        """Account for rows to be read. Raises `ScanLimit`."""
        if rows > self.rows:
            raise self.refusal
        self.rows -= rows


class _Block(NamedTuple):
    """A block that may have matches. None of its prices comes before `key` in the direction of the scan."""

    key: SortKey
    depth: int
    number: int
    stats: BlockStats


class _Match(NamedTuple):
    key: SortKey
    row: bytes


class _Scan:
    """One scan of a stack of layers, strictly between two keys of its order."""

    def __init__(
        self,
        reader: LayerReader,
        stack: Sequence[CachedLayer],
        selection: Selection,
        between: tuple[SortKey | None, SortKey | None],
        backward: bool,
        allowance: _Allowance,
    ) -> None:
        self._reader = reader
        self._stack = stack
        self._selection = selection
        self._lower, self._upper = between
        self._backward = backward
        self._allowance = allowance
        self._newer = NewerSkus(reader, stack[:-1], allowance.spend)
        self._blocks: Iterator[_Block] = iter(())
        self._range = selection.filter.sku_range
        if selection.order is PriceOrder.SKU:
            self._range = self._range.between(*(key and key[1] for key in between))

    async def page(self, limit: int) -> list[Price]:
        """Return the first `limit` prices, the last ones if the scan goes backward."""
        self._blocks = await self._in_order()
        size, best = FIRST_READ_BLOCKS, list[_Match]()
        while run := self._next_run(size):
            for content, indexes in await self._visible(run):
                best += self._matches(content, indexes)
                await yield_to_loop()
            best.sort(reverse=self._backward)
            del best[limit:]
            if len(best) == limit:
                self._end_before(best[-1].key)
            size = min(2 * size, MAX_READ_BLOCKS)
        prices = (decode_row(key[1], row) for key, row in (reversed(best) if self._backward else best))
        return [price for price in prices if price is not None]

    async def count(self) -> int:
        """Return the number of all prices."""
        blocks, rows = list[_Block](), 0
        for block in await self._in_order():
            blocks.append(block)
            rows += self._stack[block.depth].directory.rows[block.number]
            if rows > self._allowance.rows:
                raise self._allowance.refusal
            if not len(blocks) % LISTED_AT_ONCE:
                await yield_to_loop()
        self._blocks, total = iter(blocks), 0
        while run := self._next_run(MAX_READ_BLOCKS):
            total += sum(len(indexes) for _, indexes in await self._visible(run))
        return total

    async def _in_order(self) -> Iterator[_Block]:
        """Return the blocks that may have matches, in the order of their keys."""
        runs: list[Iterable[_Block]] = []
        for depth in range(len(self._stack)):
            blocks = self._blocks_of(depth)
            if self._selection.order is PriceOrder.SKU:
                runs.append(blocks)
                continue
            while run := sorted(islice(blocks, LISTED_AT_ONCE), reverse=self._backward):
                runs.append(run)
                await yield_to_loop()
        return heapq.merge(*runs, reverse=self._backward)

    def _blocks_of(self, depth: int) -> Iterator[_Block]:
        """Yield the blocks of a layer that may have matches, in sku order."""
        directory = self._stack[depth].directory
        block_filter = BlockFilter(self._selection.filter_between(self._lower, self._upper))
        indexes = directory.indexes(self._range)
        stats, page = list[BlockStats](), -1
        for index in reversed(indexes) if self._backward else indexes:
            if index // PAGE_BLOCKS != page:
                page = index // PAGE_BLOCKS
                stats = directory.stats(page)
            block_stats = stats[index % PAGE_BLOCKS]
            if not block_filter.excludes(block_stats) and self._reaches(directory, index, block_stats):
                key = self._key(directory, index, block_stats, least=not self._backward)
                yield _Block(key, depth, index, block_stats)

    def _reaches(self, directory: Directory, index: int, stats: BlockStats) -> bool:
        """Whether a block may have prices after the key where the scan begins."""
        if self._backward:
            return self._upper is None or self._key(directory, index, stats, least=True) < self._upper
        return self._lower is None or self._key(directory, index, stats, least=False) > self._lower

    def _key(self, directory: Directory, index: int, stats: BlockStats, *, least: bool) -> SortKey:
        """Return the least key that a price of a block can have, or else the greatest."""
        amount = stats.least if least is (self._selection.order is not PriceOrder.AMOUNT_DESC) else stats.greatest
        if least:
            sku = directory.firsts[index]
        else:
            sku = directory.firsts[index + 1] if index + 1 < len(directory) else _AFTER_ALL_SKUS
        return self._selection.key(sku, amount or _ZERO)

    def _next_run(self, size: int) -> list[_Block]:
        """Take up to `size` next blocks that may contribute. Raises `ScanLimit` if not even one may be read."""
        run, rows = list[_Block](), 0
        for block in self._blocks:
            if self._is_past(block.key):
                break
            rows += self._stack[block.depth].directory.rows[block.number]
            if run and rows > self._allowance.rows:
                self._blocks = chain([block], self._blocks)
                break
            run.append(block)
            if len(run) == size:
                break
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

    async def _visible(self, run: Sequence[_Block]) -> list[tuple[BlockContent, Sequence[int]]]:
        """Read blocks, and return them with the indexes of their matches that no newer layer hides."""
        block_filter = BlockFilter(self._selection.filter_between(self._lower, self._upper))
        found: list[tuple[_Block, BlockContent, Sequence[int]]] = []
        skus: dict[int, list[str]] = defaultdict(list)
        for block, content in zip(run, await self._read(run), strict=True):
            self._newer.add(block.depth, block.number, content)
            indexes = block_filter.matches(content, block.stats, self._within(block, content))
            if indexes:
                found.append((block, content, indexes))
                if block.depth:
                    skus[block.depth] += [content.skus[index] for index in indexes]
            await yield_to_loop()
        hidden = {depth: await self._newer.find(depth, sorted(some)) for depth, some in skus.items()}
        return [
            (content, _without(content, indexes, hidden[block.depth]) if hidden.get(block.depth) else indexes)
            for block, content, indexes in found
        ]

    async def _read(self, run: Sequence[_Block]) -> list[BlockContent]:
        indexes: dict[int, list[int]] = defaultdict(list)
        for block in run:
            indexes[block.depth].append(block.number)
            self._allowance.spend(self._stack[block.depth].directory.rows[block.number])
        contents = await asyncio.gather(
            *(self._reader.contents(self._stack[depth], some) for depth, some in indexes.items())
        )
        by_depth = {depth: iter(each) for depth, each in zip(indexes, contents, strict=True)}
        return [next(by_depth[block.depth]) for block in run]

    def _within(self, block: _Block, content: BlockContent) -> range:
        """Return the indexes of the rows within the range of skus."""
        if self._stack[block.depth].directory.is_within(block.number, self._range):
            return range(len(content.skus))
        start = bisect_left(content.skus, self._range.low)
        high = self._range.high
        return range(start, len(content.skus) if high is None else bisect_left(content.skus, high))

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
