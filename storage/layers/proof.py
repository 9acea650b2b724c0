"""Proofs of layers: everything is read back at read concern `majority`, and compared with what the manifest names."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from storage.catalog.snapshots import Layer
from storage.errors import Corrupt, UnknownFormat
from storage.fair_yield import yield_to_loop
from storage.layers.block import BLOCK_FORMAT, BlockContent, collection_of, open_block
from storage.layers.block_cache import BlockCache
from storage.layers.directory import Directory
from storage.layers.fetcher import BlockFetcher
from storage.mongodb.connection import Database
from storage.mongodb.deadlines import read_without_deadline
from storage.prices.price import TOMBSTONE

READ_BATCH = 200
"""Blocks per reply of the server."""


class DamageKind(StrEnum):
    """Kinds of damage to a document of a layer."""

    BLOCK_DAMAGED = "BLOCK_DAMAGED"
    BLOCK_MISSING = "BLOCK_MISSING"
    BLOCK_SURPLUS = "BLOCK_SURPLUS"
    FORMAT_UNKNOWN = "FORMAT_UNKNOWN"


class Damage(NamedTuple):
    """Damage to a document of a layer; `text` describes it, and names the block by its first sku."""

    kind: DamageKind
    text: str


@dataclass(frozen=True, slots=True)
class ProvedBlock:
    """A block that is as the directory of its layer describes it."""

    index: int
    frame: bytes
    content: BlockContent


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
        cached, fits = self._cache.add_layer(layer.id, directory), True
        async with aclosing(self.read_back(layer.id, directory)) as results:
            async for result in results:
                if isinstance(result, Damage):
                    raise Corrupt(f"Layer {layer.id} is not as it was written: {result.text}")
                fits = fits and self._cache.add(cached, result.index, result.frame, idle_only=True)

    async def read_back(self, layer_id: str, directory: Directory) -> AsyncGenerator[ProvedBlock | Damage, None]:
        """Yield each block of a layer, and each damaged, missing or surplus document."""
        cursor = self._db[collection_of(layer_id)].find(batch_size=READ_BATCH).sort("_id", 1)
        index = 0
        # Pages, whose keys are numbers, then blocks, then what has no place in a layer.
        async with aclosing(read_without_deadline(cursor)) as documents:
            async for document in documents:
                key = document["_id"]
                if type(key) is int and 0 <= key < directory.pages:
                    continue
                while isinstance(key, str) and index < len(directory) and directory.firsts[index] < key:
                    yield _missing(directory, index)
                    index += 1
                if index == len(directory) or directory.firsts[index] != key:
                    yield Damage(DamageKind.BLOCK_SURPLUS, f"The document {key!r} is not in its directory.")
                    continue
                yield _prove(directory, index, document)
                index += 1
                await yield_to_loop()
        for missing in range(index, len(directory)):
            yield _missing(directory, missing)


def _missing(directory: Directory, index: int) -> Damage:
    return Damage(DamageKind.BLOCK_MISSING, f"The block {directory.firsts[index]!r} is missing.")


def _prove(directory: Directory, index: int, document: dict[str, Any]) -> ProvedBlock | Damage:
    name = f"The block {document['_id']!r}"
    if document.get("format") != BLOCK_FORMAT:
        error = UnknownFormat("block", document.get("format"), BLOCK_FORMAT)
        return Damage(DamageKind.FORMAT_UNKNOWN, f"{name}: {error.message}")
    try:
        block = ProvedBlock(index, document["data"], open_block(document["data"], directory.hash(index)))
    except Corrupt as error:
        return Damage(DamageKind.BLOCK_DAMAGED, f"{name} is damaged. {error.message}")
    except (KeyError, TypeError) as error:
        return Damage(DamageKind.BLOCK_DAMAGED, f"{name} is unreadable ({type(error).__name__}: {error}).")
    if _counts(block.content) != (directory.rows[index], directory.tombstones[index]):
        return Damage(DamageKind.BLOCK_DAMAGED, f"{name} has another number of rows than its directory.")
    return block


def _counts(content: BlockContent) -> tuple[int, int]:
    return len(content.skus), content.rows().count(TOMBSTONE)
