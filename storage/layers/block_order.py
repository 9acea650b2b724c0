"""The order in which a scan reads blocks: their stats bound where their prices are in the order of a selection."""

import heapq
import sys
from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from typing import NamedTuple

from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockStats
from storage.layers.block_filter import BlockFilter
from storage.layers.cached_layer import CachedLayer
from storage.layers.directory import PAGE_BLOCKS, Directory
from storage.prices.price import MAX_SKU_BYTES
from storage.prices.selection import PriceOrder, Selection, SortKey

EXAMINED_AT_ONCE = 512
"""Blocks whose stats are examined before other tasks may run: about a millisecond."""

_AFTER_ALL_SKUS = chr(sys.maxunicode) * MAX_SKU_BYTES


class OrderedBlock(NamedTuple):
    """A block that may have matches. None of its prices comes before `key` in the direction of the scan."""

    key: SortKey
    depth: int
    number: int
    stats: BlockStats


class BlockOrder:
    """The blocks of a stack of layers in the order of a selection, between two keys of it."""

    def __init__(
        self,
        stack: Sequence[CachedLayer],
        selection: Selection,
        between: tuple[SortKey | None, SortKey | None],
        backward: bool,
    ) -> None:
        self._stack = stack
        self._selection = selection
        self._lower, self._upper = between
        self._backward = backward
        self.sku_range = selection.filter.sku_range
        """The range of the skus that can match."""
        if selection.order is PriceOrder.SKU:
            self.sku_range = self.sku_range.between(*(key and key[1] for key in between))

    async def blocks(self) -> AsyncGenerator[OrderedBlock, None]:
        """Yield the blocks that may have matches, in the order of their keys."""
        layers = [self._blocks_of(depth) for depth in range(len(self._stack))]
        if self._selection.order is PriceOrder.SKU:
            async for block in self._in_sku_order(layers):
                yield block
            return
        runs: list[list[OrderedBlock]] = []
        for layer in layers:
            run: list[OrderedBlock] = []
            async for block in layer:
                run.append(block)
                if len(run) == EXAMINED_AT_ONCE:
                    runs.append(sorted(run, reverse=self._backward))
                    run = []
            runs.append(sorted(run, reverse=self._backward))
        for block in heapq.merge(*runs, reverse=self._backward):
            yield block

    async def _in_sku_order(
        self, layers: Sequence[AsyncGenerator[OrderedBlock, None]]
    ) -> AsyncGenerator[OrderedBlock, None]:
        """Merge the blocks of layers, none of which is examined further than its first block that is not yielded."""
        first = max if self._backward else min
        heads = {depth: head for depth, layer in enumerate(layers) if (head := await anext(layer, None))}
        while heads:
            block = first(heads.values())
            yield block
            following = await anext(layers[block.depth], None)
            if following:
                heads[block.depth] = following
            else:
                del heads[block.depth]

    async def _blocks_of(self, depth: int) -> AsyncGenerator[OrderedBlock, None]:
        """Yield the blocks of a layer that may have matches, in sku order."""
        directory = self._stack[depth].directory
        block_filter = BlockFilter(self._selection.filter_between(self._lower, self._upper))
        indexes = directory.indexes(self.sku_range)
        stats, page = list[BlockStats](), -1
        for number, index in enumerate(reversed(indexes) if self._backward else indexes, 1):
            if index // PAGE_BLOCKS != page:
                page = index // PAGE_BLOCKS
                stats = directory.stats(page)
            block_stats = stats[index % PAGE_BLOCKS]
            if not block_filter.excludes(block_stats) and self._reaches(directory, index, block_stats):
                key = self._key(directory, index, block_stats, least=not self._backward)
                yield OrderedBlock(key, depth, index, block_stats)
            if not number % EXAMINED_AT_ONCE:
                await yield_to_loop()

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
        return self._selection.key(sku, Decimal(amount or 0))
