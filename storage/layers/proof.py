"""Proofs of layers: everything is read back at read concern `majority`, and compared with what the manifest names."""

from collections.abc import AsyncGenerator

from storage.catalog.snapshots import Layer
from storage.errors import Corrupt, UnknownFormat
from storage.fair_yield import yield_to_loop
from storage.layers.block import BLOCK_FORMAT, BlockContent, collection_of, open_block
from storage.layers.block_cache import BlockCache
from storage.layers.cached_layer import CachedLayer
from storage.layers.directory import Directory
from storage.layers.fetcher import BlockFetcher
from storage.mongodb.connection import Database, Document
from storage.prices.price import TOMBSTONE

READ_BATCH = 200
"""Blocks per reply of the server."""


class LayerProver:
    """Proves the layers of a database."""

    def __init__(self, db: Database, fetcher: BlockFetcher, cache: BlockCache) -> None:
        self._db = db
        self._fetcher = fetcher
        self._cache = cache

    async def prove(self, layer: Layer) -> None:
        """Prove that a layer holds what its manifest names, and keep it in the block cache.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        directory = await self._fetcher.directory(layer.id, layer.checksum, layer.count)
        cached = self._cache.add_layer(layer.id, directory)
        async for problem in self.damages(layer, directory, cached):
            raise Corrupt(f"Layer {layer.id} is not as it was written: {problem}")

    async def damages(
        self, layer: Layer, directory: Directory, cached: CachedLayer | None = None
    ) -> AsyncGenerator[str, None]:
        """Yield a description of each damaged, missing or surplus block; keep the sound ones in `cached`."""
        cursor = self._db[collection_of(layer.id)].find({"_id": {"$gte": ""}}, batch_size=READ_BATCH).sort("_id", 1)
        index = 0
        async for document in cursor:
            first = document["_id"]
            while index < len(directory) and directory.firsts[index] < first:
                yield f"The block {directory.firsts[index]!r} is missing."
                index += 1
            if index == len(directory) or directory.firsts[index] != first:
                yield f"The block {first!r} is not in the directory."
                continue
            problem = _problem(directory, index, document)
            if problem:
                yield f"The block {first!r}: {problem}"
            elif cached and not self._cache.add(cached, index, document["data"], spare=True):
                cached = None
            index += 1
            await yield_to_loop()
        for first in directory.firsts[index:]:
            yield f"The block {first!r} is missing."


def _problem(directory: Directory, index: int, document: Document) -> str | None:
    try:
        if document.get("format") != BLOCK_FORMAT:
            return UnknownFormat("block", document.get("format"), BLOCK_FORMAT).message
        content = open_block(document["data"], directory.hash(index))
    except Corrupt as error:
        return error.message
    except (KeyError, TypeError) as error:
        return f"Its document is unreadable ({type(error).__name__}: {error})."
    return None if _counts(content) == (directory.rows[index], directory.tombstones[index]) else "Its counts are wrong."


def _counts(content: BlockContent) -> tuple[int, int]:
    return len(content.skus), content.rows().count(TOMBSTONE)
