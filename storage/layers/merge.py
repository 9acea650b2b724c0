"""Versions as sequences of segments: a merge of layers that reads only the blocks that newer layers touch.

A segment is a stretch of skus: up to where the next block of the oldest layer begins, or less if newer layers have many
rows there. If they have none, the segment is the block of the oldest layer, and is not read until its rows are
needed. So a block that no newer layer touches costs only its entry in the directory.
"""

from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import NamedTuple

from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent
from storage.layers.cached_layer import CachedLayer
from storage.layers.reader import LayerReader
from storage.prices.sku_range import ALL_SKUS, SkuRange, successor

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
        """`is_needed` returns whether the caller expects to read the block of an index; others are not read ahead."""
        self._reader = reader
        self._newer, self._oldest = list(stack[:-1]), stack[-1]
        self._within = within
        self._is_needed = is_needed
        self._contents: dict[int, BlockContent] = {}

    async def read(self, index: int) -> Rows:
        """Return the rows of a block of the oldest layer, within the range. Reads the next ones, too.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        content = self._contents.pop(index, None)
        if content is None:
            indexes = self._next_indexes(index)
            contents = await self._reader.contents(self._oldest, indexes)
            self._contents.update(zip(indexes, contents, strict=True))
            content = self._contents.pop(index)
        return _within(Rows(content.skus, content.rows()), self._within)

    def _next_indexes(self, index: int) -> list[int]:
        """Return a block and those that follow it, will be read next, and were not read ahead yet."""
        end = min(self._oldest.directory.indexes(self._within).stop, index + BLOCKS_PER_READ)
        following = (each for each in range(index + 1, end) if each not in self._contents)
        return [index, *filter(self._is_needed, following)]

    async def __aiter__(self) -> AsyncGenerator[Segment, None]:
        newer = _Buffer(merged(self._reader, self._newer, self._within) if self._newer else _nothing())
        try:
            for index, end in self._stretches():
                if not await newer.has(end):
                    if index is not None:
                        yield Segment(end, index, NO_ROWS)
                else:
                    below = NO_ROWS if index is None else await self.read(index)
                    while await newer.has(end):
                        above = newer.take(end)
                        stop = successor(above.skus[-1]) if await newer.has(end) else end
                        now, below = below.cut(stop)
                        yield Segment(stop, None, _overlaid(above, now))
                await yield_to_loop()
        finally:
            await newer.close()

    def _stretches(self) -> Iterator[tuple[int | None, str | None]]:
        """Return where the blocks of the oldest layer end, by index; and before them where the first begins."""
        firsts, indexes = self._oldest.directory.firsts, self._oldest.directory.indexes(self._within)
        ends: list[str | None] = [*firsts[indexes.start : indexes.stop], None]
        if ends[0] is None or ends[0] > self._within.low:
            yield None, ends[0]
        yield from zip(indexes, ends[1:], strict=True)


async def merged(
    reader: LayerReader, stack: Sequence[CachedLayer], within: SkuRange = ALL_SKUS
) -> AsyncGenerator[Rows, None]:
    """Yield the newest row of each sku of a stack of layers, in sku order, with tombstones.

    Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
    """
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

    async def has(self, end: str | None) -> bool:
        """Whether there are rows with skus before `end`; None: any rows."""
        while self._rows is not None and not self._rows.skus:
            self._rows = await anext(self._stream, None)
        return self._rows is not None and (end is None or self._rows.skus[0] < end)

    def take(self, end: str | None) -> Rows:
        """Take rows with skus before `end`, of which there are some. There may be more: those not read yet."""
        taken, self._rows = (self._rows or NO_ROWS).cut(end)
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
    within = sku_range.indexes(rows.skus)
    if len(within) == len(rows.skus):
        return rows
    return Rows(rows.skus[within.start : within.stop], rows.rows[within.start : within.stop])
