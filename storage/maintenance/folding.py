"""Folding: the rows of a stack of layers as the blocks of one layer, range by range of their skus.

Blocks are read from the database and proved, so that damage is never carried on. Those of the oldest layer that no
newer layer touches are copied without being decoded.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise

from storage.fair_yield import yield_to_loop
from storage.layers.block import Block
from storage.layers.cached_layer import CachedLayer
from storage.layers.cutting import BlockCutter
from storage.layers.merge import Rows, Segment, Segments
from storage.layers.reader import LayerReader
from storage.prices.price import TOMBSTONE
from storage.prices.sku_range import SkuRange

RANGE_BLOCKS = 128
"""Blocks of a range, of each layer: some 10,000 rows, which are read at once."""


class LayerFold:
    """The fold of a stack of layers, newest first. With `whole` there is no older layer: tombstones are dropped.

    `reader` must not share the block cache of the process. `distinct_skus` counts the skus of all layers as the blocks
    are read, independently of the merge.
    """

    def __init__(self, reader: LayerReader, stack: Sequence[CachedLayer], *, whole: bool) -> None:
        self._reader = reader
        self._stack = stack
        self._oldest = stack[-1]
        self._whole = whole
        self.distinct_skus = 0

    async def blocks(self) -> AsyncGenerator[list[Block], None]:
        """Yield the blocks of the folded layer. Raises `Corrupt`, `LayerGone`, `UnknownFormat`."""
        cutter = BlockCutter()
        for sku_range in self._ranges():
            await self._load(sku_range)
            segments = Segments(self._reader, self._stack, sku_range, is_needed=lambda _: False)
            async with aclosing(aiter(segments)) as stream:
                async for segment in stream:
                    yield await self._cut(cutter, segments, segment, sku_range)
            if not self._whole:
                await self._count(sku_range)
        yield cutter.finish()

    def _ranges(self) -> Iterator[SkuRange]:
        """Return ranges: each covers at most `RANGE_BLOCKS` blocks of every layer, and one that two ranges share."""
        firsts = {first for layer in self._stack for first in layer.directory.firsts[RANGE_BLOCKS::RANGE_BLOCKS]}
        return (SkuRange(low or "", high) for low, high in pairwise([None, *sorted(firsts), None]))

    async def _load(self, sku_range: SkuRange) -> None:
        """Read the blocks of a range into the cache at once. They evict the blocks of earlier ranges."""
        await asyncio.gather(
            *(self._reader.contents(layer, layer.directory.indexes(sku_range), keep=True) for layer in self._stack)
        )

    async def _cut(self, cutter: BlockCutter, segments: Segments, segment: Segment, sku_range: SkuRange) -> list[Block]:
        if segment.block is None:
            return cutter.add(*self._kept(segment.rows))
        if self._is_copied(segment.block, sku_range):
            return cutter.add_block(
                Block(self._oldest.directory.entry(segment.block), await self._frame(segment.block))
            )
        return cutter.add(*self._kept(await segments.read(segment.block)))

    def _is_copied(self, block: int, sku_range: SkuRange) -> bool:
        directory = self._oldest.directory
        return directory.is_within(block, sku_range) and not (self._whole and directory.tombstones[block])

    async def _frame(self, block: int) -> bytes:
        frame = self._oldest.frame(block)
        if frame is None:  # the range is larger than the cache
            [frame] = await self._reader.frames(self._oldest, [block])
        return frame

    def _kept(self, rows: Rows) -> Rows:
        if not self._whole or TOMBSTONE not in rows.rows:
            return rows
        kept = [index for index, row in enumerate(rows.rows) if row != TOMBSTONE]
        return Rows([rows.skus[index] for index in kept], [rows.rows[index] for index in kept])

    async def _count(self, sku_range: SkuRange) -> None:
        """Count the skus of a range. They are few enough to be in memory at once."""
        skus: set[str] = set()
        for layer in self._stack:
            for content in await self._reader.contents(layer, layer.directory.indexes(sku_range)):
                within = sku_range.indexes(content.skus)
                skus.update(content.skus[within.start : within.stop])
                await yield_to_loop()
        self.distinct_skus += len(skus)
