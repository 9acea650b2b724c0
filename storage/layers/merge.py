"""Versions as sequences of segments, and the differences of two versions.

A segment is a stretch of skus that begins where a block of the oldest layer begins. If no newer layer has a row in it,
the segment is that block, and is not read until somebody asks for its rows. So what is equal in two versions, and what
a merge did not touch, costs nothing but its entry in the directory.
"""

from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple

from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent
from storage.layers.cached_layer import CachedLayer
from storage.layers.reader import LayerReader
from storage.prices.sku_range import ALL_SKUS, SkuRange

BLOCKS_PER_READ = 64
"""Blocks of a layer to read at once: some 5,000 rows."""


class Rows(NamedTuple):
    """Rows in sku order."""

    skus: list[str]
    rows: list[bytes]

    def cut(self, end: str | None) -> tuple["Rows", "Rows"]:
        """Return the rows with skus before `end`, and the others; None cuts nothing off."""
        if end is None or not self.skus or self.skus[-1] < end:
            return self, NO_ROWS
        index = bisect_left(self.skus, end)
        return Rows(self.skus[:index], self.rows[:index]), Rows(self.skus[index:], self.rows[index:])


NO_ROWS = Rows([], [])


class Segment(NamedTuple):
    """The rows of a stack of layers with skus before `end`, from where the segment before ended; None: all that follow.

    Either `block` is the index of the only block that has any, in the oldest layer; or `rows` has them, with
    tombstones.
    """

    end: str | None
    block: int | None
    rows: Rows


class Segments:
    """The segments of a stack of layers within a range of skus."""

    def __init__(
        self,
        reader: LayerReader,
        stack: Sequence[CachedLayer],
        within: SkuRange = ALL_SKUS,
        is_needed: Callable[[int], bool] = lambda _: True,
    ) -> None:
        """`is_needed` tells by its index whether the caller expects to read a block; others are not read ahead."""
        self._reader = reader
        self._newer, self.oldest = list(stack[:-1]), stack[-1]
        self._within = within
        self._is_needed = is_needed
        self._contents: dict[int, BlockContent] = {}

    async def read(self, index: int) -> Rows:
        """Return the rows of a block of the oldest layer, within the range. Reads the next ones, too."""
        content = self._contents.pop(index, None)
        if content is None:
            indexes = self._next_indexes(index)
            contents = await self._reader.contents(self.oldest, indexes)
            self._contents = dict(zip(indexes, contents, strict=True))
            content = self._contents.pop(index)
        return _within(Rows(content.skus, content.rows()), self._within)

    def _next_indexes(self, index: int) -> list[int]:
        """Return a block and those that follow it and probably are read next."""
        end = min(self.oldest.directory.indexes(self._within).stop, index + BLOCKS_PER_READ)
        return [index, *filter(self._is_needed, range(index + 1, end))]

    async def __aiter__(self) -> AsyncGenerator[Segment, None]:
        directory = self.oldest.directory
        newer = _Buffer(merged(self._reader, self._newer, self._within) if self._newer else _nothing())
        try:
            indexes = directory.indexes(self._within)
            if indexes and directory.firsts[indexes.start] > self._within.low:
                before = await newer.take(directory.firsts[indexes.start])
                if before.skus:
                    yield Segment(directory.firsts[indexes.start], None, before)
            for index in indexes:
                end = directory.firsts[index + 1] if index + 1 < len(directory) else None
                if end is not None and self._within.high is not None and end >= self._within.high:
                    end = None
                above = await newer.take(end)
                if above.skus:
                    yield Segment(end, None, _overlaid(above, await self.read(index)))
                else:
                    yield Segment(end, index, NO_ROWS)
                await yield_to_loop()
            rest = await newer.take(None)
            if rest.skus:
                yield Segment(None, None, rest)
        finally:
            await newer.close()


async def merged(
    reader: LayerReader, stack: Sequence[CachedLayer], within: SkuRange = ALL_SKUS
) -> AsyncGenerator[Rows, None]:
    """Yield the newest row of each sku of a stack of layers, in sku order, with tombstones."""
    segments = Segments(reader, stack, within)
    async for segment in segments:
        rows = segment.rows if segment.block is None else await segments.read(segment.block)
        if rows.skus:
            yield rows


async def _nothing() -> AsyncGenerator[Rows, None]:
    return
    yield


class _Buffer:
    """Rows of a stream that were read and not yet taken."""

    def __init__(self, stream: AsyncGenerator[Rows, None]) -> None:
        self._stream = stream
        self._rows: Rows | None = NO_ROWS

    async def take(self, end: str | None) -> Rows:
        """Take the rows with skus before `end`; None takes all."""
        taken = Rows([], [])
        while self._rows is not None:
            before, self._rows = self._rows.cut(end)
            taken.skus.extend(before.skus)
            taken.rows.extend(before.rows)
            if self._rows.skus:
                break
            self._rows = await anext(self._stream, None)
        return taken

    async def close(self) -> None:
        await self._stream.aclose()


def _overlaid(above: Rows, below: Rows) -> Rows:
    """Return the rows of both, those of `above` where both have a sku."""
    newest = dict(zip(*below, strict=True))
    newest.update(zip(*above, strict=True))
    skus = sorted(newest)
    return Rows(skus, [newest[sku] for sku in skus])


def _within(rows: Rows, sku_range: SkuRange) -> Rows:
    start = bisect_left(rows.skus, sku_range.low)
    end = len(rows.skus) if sku_range.high is None else bisect_left(rows.skus, sku_range.high)
    return rows if end - start == len(rows.skus) else Rows(rows.skus[start:end], rows.rows[start:end])
