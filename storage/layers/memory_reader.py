"""Reads versions from the block cache, without awaiting: the path of nearly every request.

A stack of layers is read newest first. The prices of the decoded blocks of a layer are in one mapping, so a look-up of
a sku in memory costs one look-up in a dict for each layer down to the one that has it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, Literal, cast

from storage.catalog.snapshots import Layer
from storage.layers.block import reopen_block
from storage.layers.block_cache import BlockCache
from storage.layers.cached_layer import CachedLayer, DecodedBlock
from storage.prices.price import Price
from storage.prices.sku_range import ALL_SKUS, SkuRange

NOTED_EVERY = 16
"""Of the look-ups that find their price decoded, one in 16 notes that the block was read, which takes longer than the
look-up. A block that is read often is noted soon."""


MAX_OPENED = 128
"""Blocks to decompress without awaiting: about two milliseconds."""


class NotFound(Enum):
    """The results of a look-up besides a price, and None for a tombstone or a sku that a version does not have."""

    MISSING = auto()
    """A block or directory that is needed is not in memory."""
    ABSENT = auto()
    """The layer has no row of the sku."""


MISSING: Final = NotFound.MISSING
ABSENT: Final = NotFound.ABSENT

Found = Price | None | Literal[NotFound.MISSING]
"""The result of a look-up in a version."""

_InLayer = Price | None | NotFound


class MemoryReader:
    """Reads what the block cache has of versions, given as stacks of cached layers."""

    def __init__(self, cache: BlockCache) -> None:
        self.cache = cache
        self._opened = 0

    def stack(self, layers: Sequence[Layer]) -> list[CachedLayer] | None:
        """Return the layers of a version, or None unless all of their directories are cached."""
        known = []
        for layer in layers:
            found = self.cache.layer(layer.id)
            if found is None:
                return None
            known.append(found)
        return known

    def price(self, stack: Sequence[CachedLayer], sku: str) -> Found:
        """Return the price of a sku, or None if the version has none; MISSING unless all that it needs is in memory."""
        hits = self.cache.hits = self.cache.hits + 1
        for layer in stack:
            found: _InLayer = layer.prices.get(sku, ABSENT)
            if found is not ABSENT:
                if not hits % NOTED_EVERY:
                    _note(layer, sku)
                return found
            if layer.undecoded:
                found = self._price_in(layer, sku)
                if found is MISSING:
                    self.cache.hits -= 1
                if found is not ABSENT:
                    return found
        return None

    def prices(self, stack: Sequence[CachedLayer], skus: Sequence[str]) -> list[Price | None] | None:
        """Return the prices of skus, in their order.

        Returns None unless all that it needs is in memory, and little of it compressed: `LayerReader` lets other tasks
        run while it opens many blocks.
        """
        prices: list[Price | None]
        if len(stack) == 1 and not stack[0].undecoded:
            prices = list(map(stack[0].prices.get, skus))
            for sku in skus[self.cache.hits % NOTED_EVERY :: NOTED_EVERY]:
                _note(stack[0], sku)
            self.cache.hits += len(skus)
            return prices
        prices, self._opened = [], 0
        hits = self.cache.hits
        for sku in skus:
            price = self.price(stack, sku)
            if price is MISSING or self._opened > MAX_OPENED:
                self.cache.hits = hits
                return None
            prices.append(price)
        return prices

    def layer_prices(self, layer: Layer, skus: Sequence[str]) -> dict[str, Price | None] | None:
        """Return the prices that one layer has of some skus, None for a tombstone.

        Returns None unless all that it needs is in memory, decoded.
        """
        cached = self.cache.layer(layer.id)
        if cached is None:
            return None
        prices = cached.prices
        found = {sku: prices[sku] for sku in skus if sku in prices}
        if cached.undecoded and len(found) < len(skus):
            absent = [sku for sku in skus if sku not in found]
            if not _are_decoded(cached, absent):
                return None
        for sku in skus[self.cache.hits % NOTED_EVERY :: NOTED_EVERY]:
            _note(cached, sku)
        self.cache.hits += len(skus)
        return found

    def _price_in(self, layer: CachedLayer, sku: str) -> _InLayer:
        """Return the price that a layer has of a sku which is not among its decoded prices."""
        index = layer.directory.index(sku)
        if index < 0 or layer.decoded(index):
            return ABSENT
        self._opened += 1
        admitted = self.cache.admit(layer, index)
        if admitted is not None:
            return _find(admitted.skus, admitted.prices, sku)
        frame = layer.frame(index)
        if frame is None:
            return MISSING
        content = reopen_block(frame)
        place = bisect_left(content.skus, sku)
        return content.price(place) if place < len(content.skus) and content.skus[place] == sku else ABSENT

    def page(
        self,
        stack: Sequence[CachedLayer],
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
    ) -> list[Price] | None:
        """Return a page as `LayerReader.page` does; None unless all that it needs is in memory, decoded."""
        page: list[Price] = []
        sku_range: SkuRange | None = ALL_SKUS.between(after, before)
        rows = 0
        while sku_range is not None and len(page) < limit:
            rows = next_page_read(stack, limit - len(page), rows)
            reads = blocks_to_read(stack, sku_range, rows, backward)
            blocks = []
            for layer, read in zip(stack, reads, strict=True):
                known = [layer.decoded(index) for index in read]
                if None in known:
                    return None
                blocks.append(cast("list[DecodedBlock]", known))
            self.cache.hits += sum(map(len, reads))
            near, sku_range = read_part(stack, reads, sku_range, backward)
            page += visible(stack, blocks, near, backward)
        del page[limit:]
        return page[::-1] if backward else page


def _are_decoded(layer: CachedLayer, skus: Sequence[str]) -> bool:
    """Whether all blocks of a layer that may have some skus are decoded."""
    index_of, is_decoded = layer.directory.index, layer.is_decoded
    near = range(max(0, index_of(min(skus))), index_of(max(skus)) + 1)  # those of a page lie in few blocks
    return all(map(is_decoded, near)) or all(is_decoded(index) for index in set(map(index_of, skus)) if index >= 0)


def _note(layer: CachedLayer, sku: str) -> None:
    """Note that the decoded block that has a sku was read, and its layer."""
    index = layer.directory.index(sku)
    if index >= 0:
        layer.used = True
        layer.decoded(index)


def _find(skus: list[str], prices: list[Price | None], sku: str) -> _InLayer:
    place = bisect_left(skus, sku)
    return prices[place] if place < len(skus) and skus[place] == sku else ABSENT


# -- Pages

MIN_PAGE_READ = 100
"""Rows to read of each of several layers for a page, so that a few tombstones do not cost another round trip."""

MAX_PAGE_READ = 10_000
"""Limit of the rows to read of each layer at once, unless the page itself has more."""


def blocks_to_read(stack: Sequence[CachedLayer], sku_range: SkuRange, rows: int, backward: bool) -> list[range]:
    """Return the indexes of the blocks of each layer to read for `rows` prices at one end of a range."""
    return [_blocks_for(layer, sku_range, rows, backward) for layer in stack]


def next_page_read(stack: Sequence[CachedLayer], missing: int, before: int) -> int:
    """Return how many rows of each layer to read for `missing` prices, after `before` rows did not suffice.

    It at least doubles each time, so that a long range of hidden rows or tombstones takes few steps.
    """
    if not before and len(stack) == 1:
        return missing
    return min(max(missing, MIN_PAGE_READ, 2 * before), max(missing, MAX_PAGE_READ))


def _blocks_for(layer: CachedLayer, sku_range: SkuRange, rows: int, backward: bool) -> range:
    """Return the indexes of the blocks, at one end of a range, that have `rows` rows of it; else of all of them."""
    directory = layer.directory
    indexes = directory.indexes(sku_range)
    counts = directory.rows
    read = 0
    for index in reversed(indexes) if backward else indexes:
        if (index != indexes[0] and index != indexes[-1]) or directory.is_within(index, sku_range):
            read += counts[index]
        if read >= rows:
            return range(index, indexes.stop) if backward else range(indexes.start, index + 1)
    return indexes


def read_part(
    stack: Sequence[CachedLayer], reads: Sequence[range], sku_range: SkuRange, backward: bool
) -> tuple[SkuRange, SkuRange | None]:
    """Return the part of a range of which all layers were read, and the rest of it; None if nothing is left."""
    cuts = []
    for layer, read in zip(stack, reads, strict=True):
        firsts = layer.directory.firsts
        if backward and read and firsts[read.start] > sku_range.low:
            cuts.append(firsts[read.start])
        if not backward and read.stop < len(firsts) and (sku_range.high is None or firsts[read.stop] < sku_range.high):
            cuts.append(firsts[read.stop])
    if not cuts:
        return sku_range, None
    return sku_range.cut(max(cuts) if backward else min(cuts), backward=backward)


def visible(
    stack: Sequence[CachedLayer], blocks: Sequence[Sequence[DecodedBlock]], sku_range: SkuRange, backward: bool
) -> list[Price]:
    """Return the prices of the blocks of each layer within a range, in its order."""
    *newer, oldest = [_Run(layer_blocks, sku_range) for layer_blocks in blocks]
    prices: list[Price | None] = oldest.prices
    if any(run.skus for run in newer):
        newest = dict(zip(oldest.skus, oldest.prices, strict=True))
        for run in reversed(newer):
            newest.update(zip(run.skus, run.prices, strict=True))
        prices = [newest[sku] for sku in sorted(newest)]
    if any(layer.has_tombstones for layer in stack):
        prices = [price for price in prices if price is not None]
    if backward:
        prices.reverse()
    return cast("list[Price]", prices)


class _Run:
    """The rows of consecutive blocks of a layer within a range."""

    __slots__ = ("prices", "skus")

    def __init__(self, blocks: Sequence[DecodedBlock], sku_range: SkuRange) -> None:
        self.skus: list[str] = []
        self.prices: list[Price | None] = []
        for block in blocks:
            self.skus += block.skus
            self.prices += block.prices
        within = sku_range.indexes(self.skus)
        if len(within) < len(self.skus):
            self.skus = self.skus[within.start : within.stop]
            self.prices = self.prices[within.start : within.stop]
