"""Layers in memory: a fetcher that needs no server, and counts what it is asked for."""

import datetime
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from storage import Layer, Snapshot, SnapshotState
from storage.layers.block import Block, encode_block, open_block
from storage.layers.block_cache import DEFAULT_CACHE_BYTES, BlockCache
from storage.layers.cutting import BlockCutter
from storage.layers.directory import PAGE_BLOCKS, Directory, Root, encode_page
from storage.layers.fetcher import BlockFetcher, FetchedBlock
from storage.layers.reader import LayerReader


def blocks_of(rows: Mapping[str, bytes]) -> list[Block]:
    """The blocks of rows, by sku."""
    skus, cutter = sorted(rows), BlockCutter()
    return cutter.add(skus, [rows[sku] for sku in skus]) + cutter.finish()


def blocks_of_size(rows: Mapping[str, bytes], size: int) -> list[Block]:
    """Blocks of some rows each, not cut by the rule, on which readers do not depend."""
    skus = sorted(rows)
    return [
        encode_block(skus[start : start + size], [rows[sku] for sku in skus[start : start + size]])
        for start in range(0, len(skus), size)
    ]


def pages_of(blocks: Sequence[Block]) -> list[bytes]:
    """The contents of the pages of a directory of blocks."""
    entries = [block.entry for block in blocks]
    return [encode_page(entries[start : start + PAGE_BLOCKS]) for start in range(0, max(len(entries), 1), PAGE_BLOCKS)]


def root_of(blocks: Sequence[Block]) -> str:
    """The checksum of a layer of blocks."""
    root = Root()
    for page in pages_of(blocks):
        root.add(page)
    return root.hex


async def arriving(blocks: Iterable[Block]) -> AsyncIterator[Sequence[Block]]:
    """Blocks as a writer takes them."""
    for block in blocks:
        yield [block]


class MemoryLayers(BlockFetcher):
    """Layers that are kept in memory. `fetched` are the blocks that were fetched, by layer and first sku."""

    def __init__(self) -> None:
        self.layers: dict[str, tuple[Directory, dict[str, bytes]]] = {}
        self.fetched: list[tuple[str, str]] = []

    def add(self, rows: Mapping[str, bytes], blocks: Sequence[Block] | None = None) -> Layer:
        """Add a layer of rows, or of blocks."""
        blocks = blocks_of(rows) if blocks is None else blocks
        directory, layer_id = Directory(pages_of(blocks)), secrets.token_hex(6)
        self.layers[layer_id] = directory, {block.entry.first: block.frame for block in blocks}
        return Layer(layer_id, directory.count, root_of(blocks))

    async def directory(self, layer_id: str, checksum: str, count: int) -> Directory:
        """Return the directory of a layer."""
        return self.layers[layer_id][0]

    async def fetch(self, layer_id: str, directory: Directory, indexes: Sequence[int]) -> list[FetchedBlock]:
        """Return blocks of a layer."""
        found = []
        for index in indexes:
            first = directory.firsts[index]
            self.fetched.append((layer_id, first))
            frame = self.layers[layer_id][1][first]
            found.append(FetchedBlock(frame, open_block(frame, directory.hash(index))))
        return found

    def reader(self, budget: int = DEFAULT_CACHE_BYTES) -> LayerReader:
        """Return a reader with a cache of its own."""
        return LayerReader(self, BlockCache(budget))

    def rows_fetched(self) -> int:
        """Return how many rows were fetched."""
        total = 0
        for layer_id, first in self.fetched:
            directory = self.layers[layer_id][0]
            total += directory.rows[directory.firsts.index(first)]
        return total


def version_of(layers: Iterable[Layer], size: int = 0) -> Snapshot:
    """The manifest of a version of layers, newest first."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return Snapshot("retail", 3, tuple(layers), size, SnapshotState.PUBLISHED, now, now, None, "x", None)
