"""Reads versions from their stack of layers, newest first. A row of a newer layer hides those of its sku in older ones.

All blocks that are missing in memory are fetched at once, so a look-up takes one round trip for any number of layers,
and so does a page unless tombstones leave it short.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

from storage.catalog.snapshots import Layer
from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockContent, reopen_block
from storage.layers.block_cache import BlockCache
from storage.layers.cached_layer import CachedLayer, DecodedBlock
from storage.layers.fetcher import OPENED_AT_ONCE, BlockFetcher, FetchedBlock
from storage.layers.memory_reader import MemoryReader, blocks_to_read, next_page_read, read_part, visible
from storage.prices.price import Price
from storage.prices.sku_range import ALL_SKUS, SkuRange

DECODED_AT_ONCE = 16
"""Blocks to decode before other tasks may run: less than a millisecond."""

_Key = tuple[CachedLayer, int]
"""Layer and index of a block."""

_Block = DecodedBlock | BlockContent | bytes
"""A block: decoded, opened or compressed."""

_Places = dict[CachedLayer, dict[int, list[str]]]
"""By layer, newest first, the indexes of the blocks that may have some skus, each with these skus."""


class LayerReader:
    """Reads the layers of a database through the block cache of the process."""

    def __init__(self, fetcher: BlockFetcher, cache: BlockCache) -> None:
        self._fetcher = fetcher
        self.cache = cache
        self._memory = MemoryReader(cache)
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
        known = self._memory.stack(layers)
        return list(await asyncio.gather(*map(self.layer, layers))) if known is None else known

    # -- Look-ups

    async def find(self, layers: Sequence[Layer], skus: Sequence[str]) -> dict[str, Price]:
        """Return the prices of the skus that a version has. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        rows = await self._find_newest(layers, skus)
        return {sku: price for sku, price in rows.items() if price is not None}

    def layer_prices_in_memory(self, layer: Layer, skus: Sequence[str]) -> dict[str, Price | None] | None:
        """Return the prices that one layer has of some skus, None for a tombstone.

        Returns None unless all that it needs is in memory, decoded.
        """
        return self._memory.layer_prices(layer, skus)

    async def layer_prices(self, layer: Layer, skus: Sequence[str]) -> dict[str, Price | None]:
        """Return the prices that one layer has of some skus, None for a tombstone.

        Blocks that are fetched for it stay in the cache as far as none that was read lately must go for them.
        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        return await self._find_newest([layer], skus, idle_only=True)

    async def _find_newest(
        self, layers: Sequence[Layer], skus: Sequence[str], *, idle_only: bool = False
    ) -> dict[str, Price | None]:
        stack = await self.layers(layers)
        places = _places(stack, skus)
        rows: dict[str, Price | None] = {}
        held = await self._held(stack, places, idle_only=idle_only)
        for number, ((layer, index), block) in enumerate(held.items(), 1):
            wanted = places[layer][index]
            if len(stack) > 1:
                wanted = [sku for sku in wanted if sku not in rows]
            self._add_rows(rows, layer, index, block, wanted)
            if not number % OPENED_AT_ONCE:
                await asyncio.sleep(0)
        return rows

    async def find_rows(self, layers: Sequence[Layer], skus: Sequence[str]) -> dict[str, bytes]:
        """Return the newest row of each sku that some layers have, encoded, tombstones included.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        found: dict[str, bytes] = {}
        stack = await self.layers(layers)
        places = _places(stack, skus)
        contents = await asyncio.gather(*(self.contents(layer, list(places[layer])) for layer in stack))
        for layer, layer_contents in zip(stack, contents, strict=True):
            for content, within in zip(layer_contents, places[layer].values(), strict=True):
                for sku, index in _indexes(content.skus, [sku for sku in within if sku not in found]):
                    found[sku] = bytes(content.row(index))
            await yield_to_loop()
        return found

    async def _held(
        self, stack: Sequence[CachedLayer], places: _Places, *, idle_only: bool = False
    ) -> dict[_Key, _Block]:
        """Return all blocks of some places, newest layers first. Those that are missing in memory are fetched."""
        held: dict[_Key, _Block | None] = {
            (layer, index): layer.decoded(index) or layer.frame(index) for layer in stack for index in places[layer]
        }
        missing: dict[CachedLayer, list[int]] = defaultdict(list)
        for (layer, index), block in held.items():
            if block is None:
                missing[layer].append(index)
        self.cache.hits += len(held) - sum(map(len, missing.values()))
        reads = [self._fetch(*pair) for pair in missing.items()]
        found = [await reads[0]] if len(reads) == 1 else await asyncio.gather(*reads)
        for (layer, indexes), blocks in zip(missing.items(), found, strict=True):
            self._keep(layer, indexes, blocks, idle_only=idle_only)
            held.update({(layer, index): block.content for index, block in zip(indexes, blocks, strict=True)})
        return cast("dict[_Key, _Block]", held)

    def _add_rows(
        self, rows: dict[str, Price | None], layer: CachedLayer, index: int, block: _Block, skus: Iterable[str]
    ) -> None:
        """Add the rows that a block has of some skus."""
        if isinstance(block, bytes):
            block = self.cache.admit(layer, index) or reopen_block(block)
        block_skus = block.skus
        for sku in skus:
            place = bisect_left(block_skus, sku)
            if place < len(block_skus) and block_skus[place] == sku:
                rows[sku] = block.prices[place] if isinstance(block, DecodedBlock) else block.price(place)

    def _keep(
        self,
        layer: CachedLayer,
        indexes: Iterable[int],
        blocks: Iterable[FetchedBlock],
        *,
        idle_only: bool = False,
    ) -> None:
        if self.cache.room:
            for index, block in zip(indexes, blocks, strict=True):
                self.cache.add(layer, index, block.frame, idle_only=idle_only)

    async def _fetch(self, layer: CachedLayer, indexes: Sequence[int]) -> list[FetchedBlock]:
        self.cache.misses += len(indexes)
        return await self._fetcher.fetch(layer.id, layer.directory, indexes)

    # -- Blocks

    async def contents(self, layer: CachedLayer, indexes: Sequence[int], *, keep: bool = False) -> list[BlockContent]:
        """Return blocks of a layer; those that must be fetched stay in the cache only if `keep`.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        frames = {index: frame for index in indexes if (frame := layer.frame(index)) is not None}
        missing = [index for index in indexes if index not in frames]
        self.cache.hits += len(frames)
        fetched = dict(zip(missing, await self._fetch(layer, missing) if missing else (), strict=True))
        if keep:
            self._keep(layer, fetched, fetched.values())
        contents = []
        for number, index in enumerate(indexes, 1):
            contents.append(fetched[index].content if index in fetched else reopen_block(frames[index]))
            if not number % OPENED_AT_ONCE:
                await asyncio.sleep(0)
        return contents

    async def frames(self, layer: CachedLayer, indexes: Sequence[int]) -> list[bytes]:
        """Return blocks of a layer as they are stored, read from the database and proved.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        blocks = await self._fetcher.fetch(layer.id, layer.directory, indexes)
        return [block.frame for block in blocks]

    async def load(self, layer: CachedLayer, indexes: Sequence[int]) -> bool:
        """Bring blocks of a layer into the cache, sparing what was read lately. Returns False if they do not fit.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        missing = [index for index in indexes if not layer.has(index)]
        blocks = await self._fetch(layer, missing) if missing else []
        return all(
            self.cache.add(layer, index, block.frame, idle_only=True)
            for index, block in zip(missing, blocks, strict=True)
        )

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
        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        stack = await self.layers(layers)
        page: list[Price] = []
        sku_range: SkuRange | None = within.between(after, before)
        rows = 0
        while sku_range is not None and len(page) < limit:
            rows = next_page_read(stack, limit - len(page), rows)
            reads = blocks_to_read(stack, sku_range, rows, backward)
            blocks = await asyncio.gather(
                *(self._decoded(layer, read) for layer, read in zip(stack, reads, strict=True))
            )
            near, sku_range = read_part(stack, reads, sku_range, backward)
            page += visible(stack, blocks, near, backward)
        del page[limit:]
        return page[::-1] if backward else page

    async def load_page(
        self,
        layers: Sequence[Layer],
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
    ) -> None:
        """Bring the blocks of a page into the cache, if they fit. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        stack = await self.layers(layers)
        rows = next_page_read(stack, limit, 0)
        reads = blocks_to_read(stack, ALL_SKUS.between(after, before), rows, backward)
        await asyncio.gather(*(self.load(layer, read) for layer, read in zip(stack, reads, strict=True)))

    async def _decoded(self, layer: CachedLayer, indexes: range) -> list[DecodedBlock]:
        """Return blocks of a layer, decoded."""
        blocks = {index: block for index in indexes if (block := layer.decoded(index))}
        self.cache.hits += len(blocks)
        missing = [index for index in indexes if index not in blocks]
        for number, (index, content) in enumerate(
            zip(missing, await self.contents(layer, missing, keep=True), strict=True), 1
        ):
            blocks[index] = DecodedBlock(content)
            if self.cache.admits_decoded():
                self.cache.add_decoded(layer, index, blocks[index])
            if not number % DECODED_AT_ONCE:
                await asyncio.sleep(0)
        return [blocks[index] for index in indexes]


def _places(stack: Sequence[CachedLayer], skus: Sequence[str]) -> _Places:
    places: _Places = {}
    for layer in stack:
        index_of = layer.directory.index
        blocks: dict[int, list[str]] = defaultdict(list)
        for sku in skus:
            blocks[index_of(sku)].append(sku)
        blocks.pop(-1, None)
        places[layer] = blocks
    return places


def _indexes(block_skus: Sequence[str], skus: Iterable[str]) -> list[tuple[str, int]]:
    """Return where a block has skus, for those that it has."""
    found = []
    for sku in skus:
        index = bisect_left(block_skus, sku)
        if index < len(block_skus) and block_skus[index] == sku:
            found.append((sku, index))
    return found
