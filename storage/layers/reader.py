"""Reads versions from their stack of layers, newest first. A row of a newer layer hides those of its sku in older ones.

What is in the block cache is read without awaiting. All blocks that are missing are fetched at once, so a look-up takes
one round trip for any number of layers, and so does a page unless tombstones leave it short.
"""

import asyncio
import operator
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from storage.catalog.snapshots import Layer
from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent, reopen_block
from storage.layers.block_cache import BlockCache, CachedLayer, DecodedBlock
from storage.layers.directory import Directory
from storage.layers.fetcher import BlockFetcher
from storage.prices.price import Price
from storage.prices.sku_range import ALL_SKUS, SkuRange

MIN_PAGE_READ = 100
"""Rows to read of each of several layers for a page, so that a few tombstones do not cost another round trip."""

DECODED_AT_ONCE = 16
"""Blocks to decode before other tasks may run: less than a millisecond."""

_ABSENT = Price(Decimal(0), "")
"""Stands for a sku that a block does not have; None stands for a tombstone."""

_Fetched = dict[tuple[str, int], BlockContent]
"""Contents by layer and index."""


class LayerReader:
    """Reads the layers of a database through the block cache of the process."""

    def __init__(self, fetcher: BlockFetcher, cache: BlockCache) -> None:
        self._fetcher = fetcher
        self.cache = cache
        self._loading: dict[str, asyncio.Task[CachedLayer]] = {}

    async def layer(self, layer: Layer) -> CachedLayer:
        """Return a layer with its directory. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        known = self.cache.layer(layer.id)
        if known is not None:
            return known
        task = self._loading.get(layer.id)
        if task is None:
            task = self._loading[layer.id] = asyncio.create_task(self._load(layer), name=f"directory of {layer.id}")
            task.add_done_callback(lambda done: self._loaded(layer.id, done))
        return await asyncio.shield(task)

    async def _load(self, layer: Layer) -> CachedLayer:
        directory = await self._fetcher.directory(layer.id, layer.checksum, layer.count)
        return self.cache.add_layer(layer.id, directory)

    def _loaded(self, layer_id: str, task: asyncio.Task[CachedLayer]) -> None:
        del self._loading[layer_id]
        if not task.cancelled():
            task.exception()  # marks it as retrieved if every caller was cancelled

    async def layers(self, layers: Sequence[Layer]) -> list[CachedLayer]:
        """Return the layers of a version with their directories. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        known = self.known_layers(layers)
        return list(await asyncio.gather(*map(self.layer, layers))) if known is None else known

    def known_layers(self, layers: Sequence[Layer]) -> list[CachedLayer] | None:
        """Return the layers of a version from memory, or None unless all of their directories are cached."""
        known = []
        for layer in layers:
            found = self.cache.layer(layer.id)
            if found is None:
                return None
            known.append(found)
        return known

    # -- Look-ups

    async def find(self, layers: Sequence[Layer], skus: Sequence[str]) -> dict[str, Price]:
        """Return the prices of the skus that a version has."""
        found: dict[str, Price] = {}
        wanted = set(skus)
        stack = await self.layers(layers)
        places = _places(stack, skus)
        fetched = await self._missing(stack, places)
        for layer, blocks in zip(stack, places, strict=True):
            for index, within in blocks.items():
                remaining = [sku for sku in within if sku in wanted]
                if not remaining:
                    continue
                for sku, price in self._prices(layer, index, remaining, fetched):
                    wanted.discard(sku)
                    if price is not None:
                        found[sku] = price
        return found

    def known(self, layers: Sequence[Layer], skus: Sequence[str]) -> list[Price | None] | None:
        """Return the prices of skus, in their order, without awaiting; None unless all that it needs is in memory."""
        stack = self.known_layers(layers)
        if stack is None:
            return None
        if len(stack) == 1:
            return self._known_in_one(stack[0], skus)
        prices: list[Price | None] = []
        for sku in skus:
            price: Price | None = None
            for layer in stack:
                block = self._known_block(layer, layer.directory.index(sku), sku)
                if block is None:
                    return None
                found = block.get(sku, _ABSENT)
                if found is not _ABSENT:
                    price = found
                    break
            prices.append(price)
        self.cache.hits += len(skus) * len(stack)
        return prices

    def _known_in_one(self, layer: CachedLayer, skus: Sequence[str]) -> list[Price | None] | None:
        firsts, decoded, prices = layer.directory.firsts, layer.decoded, list[Price | None]()
        for sku in skus:
            index = bisect_right(firsts, sku) - 1
            block = decoded[index] if index >= 0 else None
            if block is not None:
                block.used = True
                prices.append(block.prices.get(sku))
                continue
            known = self._known_block(layer, index, sku)
            if known is None:
                return None
            prices.append(known.get(sku))
        self.cache.hits += len(skus)
        return prices

    def _known_block(self, layer: CachedLayer, index: int, sku: str) -> Mapping[str, Price | None] | None:
        """Return a block's prices by sku, or at least that of `sku`; None if the block is not in memory."""
        if index < 0:
            return {}
        block = layer.decoded[index] or self.cache.admit(layer, index)
        if block is not None:
            block.used = True
            return block.prices
        frame = layer.frames[index]
        if frame is None:
            return None
        layer.used[index] = 1
        content = reopen_block(frame)
        return {found: content.price(place) for found, place in _indexes(content.skus, [sku])}

    async def find_rows(self, layers: Sequence[Layer], skus: Sequence[str]) -> dict[str, bytes]:
        """Return the newest row of each sku that some layers have, encoded, tombstones included."""
        found: dict[str, bytes] = {}
        stack = await self.layers(layers)
        places = _places(stack, skus)
        contents = [await self.contents(layer, list(blocks)) for layer, blocks in zip(stack, places, strict=True)]
        for layer_contents, blocks in zip(contents, places, strict=True):
            for content, within in zip(layer_contents, blocks.values(), strict=True):
                for sku, index in _indexes(content.skus, [sku for sku in within if sku not in found]):
                    found[sku] = bytes(content.row(index))
            await yield_to_loop()
        return found

    def _prices(
        self, layer: CachedLayer, index: int, skus: Sequence[str], fetched: _Fetched
    ) -> Iterable[tuple[str, Price | None]]:
        """Return the rows that a block has of some skus."""
        decoded = layer.decoded[index] or (None if (layer.id, index) in fetched else self.cache.admit(layer, index))
        if decoded is not None:
            decoded.used = True
            prices = decoded.prices
            return [(sku, prices[sku]) for sku in skus if sku in prices]
        content = fetched.get((layer.id, index))
        if content is None:
            frame = layer.frames[index]
            if frame is None:
                raise AssertionError("A block that was in memory, or fetched, is gone within one step.")
            layer.used[index] = 1
            content = reopen_block(frame)
        return [(sku, content.price(place)) for sku, place in _indexes(content.skus, skus)]

    async def _missing(self, stack: Sequence[CachedLayer], places: Sequence[dict[int, list[str]]]) -> _Fetched:
        """Fetch the blocks that are not in memory."""
        self.cache.hits += sum(map(len, places))
        fetched: _Fetched = {}
        while missing := [
            (layer, indexes)
            for layer, blocks in zip(stack, places, strict=True)
            if (indexes := [index for index in blocks if not _is_known(layer, index, fetched)])
        ]:  # again, if blocks were evicted while others were fetched
            for each in await asyncio.gather(*(self._fetch(*pair, keep=True) for pair in missing)):
                fetched.update(each)
        return fetched

    async def _fetch(self, layer: CachedLayer, indexes: Sequence[int], *, keep: bool) -> _Fetched:
        directory = layer.directory
        blocks = await self._fetcher.fetch(
            layer.id, [(directory.firsts[index], directory.hash(index)) for index in indexes]
        )
        self.cache.misses += len(blocks)
        self.cache.hits -= len(blocks)
        if keep:
            for index, block in zip(indexes, blocks, strict=True):
                self.cache.add(layer, index, block.frame)
        return {(layer.id, index): block.content for index, block in zip(indexes, blocks, strict=True)}

    # -- Blocks

    async def contents(self, layer: CachedLayer, indexes: Sequence[int], *, keep: bool = False) -> list[BlockContent]:
        """Return blocks of a layer; those that must be fetched stay in the cache only if `keep`."""
        missing = [index for index in indexes if layer.frames[index] is None]
        self.cache.hits += len(indexes)
        fetched = await self._fetch(layer, missing, keep=keep) if missing else {}
        contents = []
        for index in indexes:
            content = fetched.get((layer.id, index))
            if content is None:
                frame = layer.frames[index]
                content = reopen_block(frame) if frame is not None else None
            if content is None:  # it was evicted while others were fetched
                [content] = (await self._fetch(layer, [index], keep=False)).values()
            contents.append(content)
        return contents

    async def frames(self, layer: CachedLayer, indexes: Sequence[int]) -> list[bytes]:
        """Return blocks of a layer as they are stored, read from the database and proved."""
        directory = layer.directory
        blocks = await self._fetcher.fetch(
            layer.id, [(directory.firsts[index], directory.hash(index)) for index in indexes]
        )
        return [block.frame for block in blocks]

    async def load(self, layer: CachedLayer, indexes: Sequence[int]) -> None:
        """Bring blocks of a layer into the cache."""
        missing = [index for index in indexes if layer.frames[index] is None]
        if missing:
            self.cache.hits += len(missing)
            await self._fetch(layer, missing, keep=True)

    # -- Pages

    async def page(
        self,
        layers: Sequence[Layer],
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
        within: SkuRange = ALL_SKUS,
    ) -> list[Price]:
        """Return up to `limit` prices in sku order, within a range and strictly between `after` and `before`.

        With `backward` they are the last ones of that range, still in ascending order.
        """
        stack = await self.layers(layers)
        page: list[Price] = []
        sku_range: SkuRange | None = within.between(after, before)
        while sku_range is not None and len(page) < limit:
            reads = _reads(stack, sku_range, limit - len(page), backward)
            blocks = [await self._decoded(layer, read) for layer, read in zip(stack, reads, strict=True)]
            near, sku_range = _complete(stack, reads, sku_range, backward)
            page += _visible(blocks, near, backward)
        page = page[:limit]
        return page[::-1] if backward else page

    def known_page(
        self,
        layers: Sequence[Layer],
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
    ) -> list[Price] | None:
        """Return what `page` does, without awaiting; None unless all that it needs is in memory, decoded."""
        stack = self.known_layers(layers)
        if stack is None:
            return None
        page: list[Price] = []
        sku_range: SkuRange | None = ALL_SKUS.between(after, before)
        while sku_range is not None and len(page) < limit:
            reads = _reads(stack, sku_range, limit - len(page), backward)
            blocks = [layer.decoded[read.start : read.stop] for layer, read in zip(stack, reads, strict=True)]
            known = [[block for block in layer_blocks if block is not None] for layer_blocks in blocks]
            if any(map(operator.ne, map(len, known), map(len, blocks))):
                return None
            self._note_use(known)
            near, sku_range = _complete(stack, reads, sku_range, backward)
            page += _visible(known, near, backward)
        page = page[:limit]
        return page[::-1] if backward else page

    def _note_use(self, blocks: Sequence[Sequence[DecodedBlock]]) -> None:
        for layer_blocks in blocks:
            self.cache.hits += len(layer_blocks)
            for block in layer_blocks:
                block.used = True

    async def _decoded(self, layer: CachedLayer, indexes: range) -> list[DecodedBlock]:
        """Return blocks of a layer, decoded."""
        missing = [index for index in indexes if layer.decoded[index] is None]
        contents = dict(zip(missing, await self.contents(layer, missing, keep=True), strict=True))
        self.cache.hits += len(indexes) - len(missing)
        blocks = []
        for number, index in enumerate(indexes, 1):
            block = layer.decoded[index]
            if block is None:
                content = contents.get(index)
                if content is None:
                    [content] = await self.contents(layer, [index])
                block = self.cache.add_decoded(layer, index, DecodedBlock(content))
                if not number % DECODED_AT_ONCE:
                    await asyncio.sleep(0)
            block.used = True
            blocks.append(block)
        return blocks


def _places(stack: Sequence[CachedLayer], skus: Sequence[str]) -> list[dict[int, list[str]]]:
    """Return, for each layer, the indexes of the blocks that may have skus, each with these skus."""
    places = []
    for layer in stack:
        index_of = layer.directory.index
        blocks: dict[int, list[str]] = defaultdict(list)
        for sku in skus:
            blocks[index_of(sku)].append(sku)
        blocks.pop(-1, None)
        places.append(blocks)
    return places


def _is_known(layer: CachedLayer, index: int, fetched: _Fetched) -> bool:
    return layer.decoded[index] is not None or layer.frames[index] is not None or (layer.id, index) in fetched


def _indexes(block_skus: Sequence[str], skus: Iterable[str]) -> list[tuple[str, int]]:
    """Return where a block has skus, for those that it has."""
    found = []
    for sku in skus:
        index = bisect_left(block_skus, sku)
        if index < len(block_skus) and block_skus[index] == sku:
            found.append((sku, index))
    return found


def _reads(stack: Sequence[CachedLayer], sku_range: SkuRange, rows: int, backward: bool) -> list[range]:
    """Return the indexes of the blocks of each layer to read for `rows` rows at one end of a range."""
    size = rows if len(stack) == 1 else max(rows, MIN_PAGE_READ)
    return [_blocks_for(layer.directory, sku_range, size, backward) for layer in stack]


def _blocks_for(directory: Directory, sku_range: SkuRange, rows: int, backward: bool) -> range:
    """Return the indexes of the blocks, at one end of a range, that have `rows` prices of it; else of all of them."""
    indexes = directory.indexes(sku_range)
    read = 0
    for index in reversed(indexes) if backward else indexes:
        if directory.is_within(index, sku_range):
            read += directory.rows[index] - directory.tombstones[index]
        if read >= rows:
            return range(index, indexes.stop) if backward else range(indexes.start, index + 1)
    return indexes


def _complete(
    stack: Sequence[CachedLayer], reads: Sequence[range], sku_range: SkuRange, backward: bool
) -> tuple[SkuRange, SkuRange | None]:
    """Return the part of a range of which all layers were read, and the rest of it; None if nothing is left."""
    cuts = []
    for layer, read in zip(stack, reads, strict=True):
        firsts = layer.directory.firsts
        if backward and read and firsts[read.start] > sku_range.low:
            cuts.append(firsts[read.start])
        elif (
            not backward and read.stop < len(firsts) and (sku_range.high is None or firsts[read.stop] < sku_range.high)
        ):
            cuts.append(firsts[read.stop])
    if not cuts:
        return sku_range, None
    return sku_range.cut(max(cuts) if backward else min(cuts), backward=backward)


def _visible(blocks: Sequence[Sequence[DecodedBlock]], sku_range: SkuRange, backward: bool) -> list[Price]:
    """Return the prices of the blocks of each layer, newest first, within a range in its order."""
    newest: dict[str, Price | None] = {}
    for layer_blocks in reversed(blocks):
        for block in layer_blocks:
            newest.update(block.prices)
    low, high = sku_range.low, sku_range.high
    skus = [sku for sku in newest if sku >= low and (high is None or sku < high)]
    if len(blocks) > 1:
        skus.sort()
    if backward:
        skus.reverse()
    return [price for sku in skus if (price := newest[sku]) is not None]
