"""Layers in memory, for tests that need no server."""

import asyncio
from collections.abc import Iterable, Mapping

from storage.catalog.snapshots import Layer
from storage.errors import LayerGone
from storage.layers.block import Block, BlockContent, open_block
from storage.layers.cutting import BlockCutter
from storage.layers.directory import Directory, Root, encode_page
from storage.layers.fetcher import BlockFetcher, FetchedBlock
from storage.prices.price import TOMBSTONE, encode_row


class MemoryLayer:
    """A layer of {sku: row}, or {sku: amount} in EUR; None is a tombstone."""

    def __init__(self, layer_id: str, prices: Mapping[str, bytes | str | None]) -> None:
        skus, cutter = sorted(prices), BlockCutter()
        rows = [_row(prices[sku]) for sku in skus]
        self.blocks: list[Block] = [*cutter.add(skus, rows), *cutter.finish()]
        self.page, root = encode_page([block.entry for block in self.blocks]), Root()
        root.add(self.page)
        self.directory = Directory([self.page])
        self.layer = Layer(layer_id, len(skus), root.hex)

    def content(self, index: int) -> BlockContent:
        """The content of a block."""
        return open_block(self.blocks[index].frame, self.blocks[index].entry.hash)


def _row(price: bytes | str | None) -> bytes:
    if price is None:
        return TOMBSTONE
    return price if isinstance(price, bytes) else encode_row(price, "EUR")


class MemoryFetcher(BlockFetcher):
    """Fetches from layers in memory, after a turn of the event loop."""

    def __init__(self, *layers: MemoryLayer) -> None:
        self.layers = {layer.layer.id: layer for layer in layers}
        self.fetched: list[str] = []

    async def directory(self, layer_id: str, checksum: str, count: int) -> Directory:
        await asyncio.sleep(0)
        return self._layer(layer_id).directory

    async def fetch(self, layer_id: str, blocks: Iterable[tuple[str, bytes]]) -> list[FetchedBlock]:
        firsts = dict(blocks)
        await asyncio.sleep(0)
        self.fetched += firsts
        frames = {block.entry.first: block.frame for block in self._layer(layer_id).blocks}
        return [FetchedBlock(frames[first], open_block(frames[first], firsts[first])) for first in firsts]

    def _layer(self, layer_id: str) -> MemoryLayer:
        if layer_id not in self.layers:
            raise LayerGone(layer_id)
        return self.layers[layer_id]
