"""Which rows of older layers the newer ones hide: the skus of newer layers, read by blocks."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent
from storage.layers.cached_layer import CachedLayer
from storage.layers.directory import Directory
from storage.layers.reader import LayerReader

MAX_HELD_SKUS = 50_000
"""Skus to hold: some 5 MB."""

BLOCKS_PER_READ = 32
"""Blocks to read at once: some 2,400 rows."""


class NewerSkus:
    """The skus of the newer layers of a stack; those of the blocks that were read last are held.

    `spend` is called with the number of rows before they are read.
    """

    def __init__(self, reader: LayerReader, layers: Sequence[CachedLayer], spend: Callable[[int], None]) -> None:
        self._reader = reader
        self._layers = layers
        self._spend = spend
        self._held: OrderedDict[tuple[int, int], set[str]] = OrderedDict()
        self._count = 0

    def add(self, depth: int, index: int, content: BlockContent) -> None:
        """Hold the skus of a block, unless it is of the oldest layer; the ones that were read first make room."""
        if depth == len(self._layers) or (depth, index) in self._held:
            return
        self._held[depth, index] = set(content.skus)
        self._count += len(content.skus)
        while self._count > MAX_HELD_SKUS and len(self._held) > 1:
            self._count -= len(self._held.popitem(last=False)[1])

    async def find(self, depth: int, skus: Sequence[str]) -> set[str]:
        """Return those of some skus, given in their order, that a layer above `depth` has.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        found: set[str] = set()
        for newer in range(depth):
            blocks = list(_skus_by_block(self._layers[newer].directory, skus))
            for start in range(0, len(blocks), BLOCKS_PER_READ):
                some = blocks[start : start + BLOCKS_PER_READ]
                for (_, within), held in zip(
                    some, await self._skus_of(newer, [index for index, _ in some]), strict=True
                ):
                    found.update(held.intersection(within))
                await yield_to_loop()
        return found

    async def _skus_of(self, depth: int, indexes: Sequence[int]) -> list[set[str]]:
        """Return the skus of blocks of a layer."""
        held = {index: self._held.get((depth, index)) for index in indexes}
        missing = [index for index, skus in held.items() if skus is None]
        layer = self._layers[depth]
        self._spend(sum(layer.directory.rows[index] for index in missing))
        for index, content in zip(missing, await self._reader.contents(layer, missing), strict=True):
            held[index] = set(content.skus)
            self.add(depth, index, content)
        return [skus or set() for skus in held.values()]


def _skus_by_block(directory: Directory, skus: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the indexes of the blocks that may have skus, each with these skus."""
    start = 0
    while start < len(skus):
        index = directory.index(skus[start])
        end = len(skus)
        if index + 1 < len(directory):
            end = bisect_left(skus, directory.firsts[index + 1], start)
        if index >= 0:
            yield index, skus[start:end]
        start = end
