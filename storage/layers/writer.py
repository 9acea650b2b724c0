"""Writes layers: immutable collections that exactly one batch, or one compaction, wrote.

The life of a layer: `write`, once, under an id that no other attempt has; `freeze`, from when on the server refuses
every insert and update; `storage.layers.proof`, which reads it back. From then on it is only read
(`storage.layers.reader`), until garbage collection drops it.
"""

from collections.abc import AsyncIterable, Sequence
from typing import Any

from pymongo.errors import OperationFailure

from storage.catalog.snapshots import Layer
from storage.errors import Unavailable
from storage.layers.block import BLOCK_FORMAT, Block, BlockEntry, collection_of
from storage.layers.directory import PAGE_BLOCKS, Root, compress_page, encode_page
from storage.layers.durable_inserts import DurableInserts
from storage.mongodb.connection import NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND, Database, Document

LAYERS_PER_READ = 1000
"""Names of layers that are read at once."""

_MATCH_NOTHING: dict[str, Any] = {"$nor": [{}]}
"""The validator of a sealed layer. No document matches it, so the server refuses every insert and update."""


class LayerWriter:
    """Writes the layers of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def write(self, layer_id: str, blocks: AsyncIterable[Sequence[Block]]) -> Layer:
        """Write blocks, which arrive in sku order, and their directory at `w: majority, j: true`.

        Raises `LayerSealed` if the layer was frozen meanwhile, `Corrupt` if the server refuses a document, and the
        driver's errors if no majority accepts an insert within `timeoutMS`.
        """
        await self.create(layer_id)
        pages = _Pages()
        async with DurableInserts(self._db, collection_of(layer_id)) as inserts:
            async for run in blocks:
                for block in run:
                    await inserts.add(_document(block.entry.first, block.frame))
                    for page in pages.add(block.entry):
                        await inserts.add(page)
            for page in pages.finish():
                await inserts.add(page)
        return Layer(layer_id, pages.rows, pages.root.hex)

    async def create(self, layer_id: str) -> None:
        """Create the collection of a layer, unless it exists."""
        try:
            await self._db.create_collection(collection_of(layer_id), check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise

    async def freeze(self, layer_id: str) -> None:
        """Make the server refuse every insert and update. Raises `Unavailable` if no majority confirms it."""
        reply = await self._db.command(
            {
                "collMod": collection_of(layer_id),
                "validator": _MATCH_NOTHING,
                "validationLevel": "strict",
                "validationAction": "error",
                "writeConcern": self._db.write_concern.document,
            }
        )
        if "writeConcernError" in reply:
            raise Unavailable(f"Layer {layer_id} is not sealed by a majority yet. Try again in a moment.")

    async def is_sealed(self, layer_id: str) -> bool | None:
        """Whether the server refuses every insert and update; None without such a layer."""
        collections = await self._db.list_collections(filter={"name": collection_of(layer_id)})
        for found in await collections.to_list():
            options = found["options"]
            validation = (options.get("validationLevel", "strict"), options.get("validationAction", "error"))
            return options.get("validator") == _MATCH_NOTHING and validation == ("strict", "error")
        return None

    async def all(self) -> list[str]:
        """Return the ids of all layers, read in pages."""
        page = {"batchSize": LAYERS_PER_READ}
        query = {"name": {"$regex": r"^layer\."}}
        names = await self._db.list_collections(filter=query, nameOnly=True, cursor=page)
        return [each["name"].removeprefix("layer.") async for each in names]

    async def stats(self, layer_id: str) -> dict[str, Any]:
        """Return the server's statistics of a layer; empty without such a layer."""
        stages: list[dict[str, Any]] = [{"$collStats": {"storageStats": {}}}]
        try:
            [stats] = await (await self._db[collection_of(layer_id)].aggregate(stages)).to_list()
        except OperationFailure as error:
            if error.code != NAMESPACE_NOT_FOUND:
                raise
            return {}
        found: dict[str, Any] = stats["storageStats"]
        return found

    async def drop(self, layer_id: str) -> None:
        """Drop a layer, which no manifest may name."""
        await self._db[collection_of(layer_id)].drop()


class _Pages:
    """The pages of a directory, complete as their blocks arrive."""

    def __init__(self) -> None:
        self.root = Root()
        self.rows = 0
        self._entries: list[BlockEntry] = []
        self._number = 0

    def add(self, entry: BlockEntry) -> list[Document]:
        """Add a block, and return the document of a page that it completes."""
        self.rows += entry.rows
        self._entries.append(entry)
        return [self._page()] if len(self._entries) == PAGE_BLOCKS else []

    def finish(self) -> list[Document]:
        """Return the document of the last page. A layer without blocks has an empty one."""
        return [self._page()] if self._entries or not self._number else []

    def _page(self) -> Document:
        content = encode_page(self._entries)
        self.root.add(content)
        number, self._number, self._entries = self._number, self._number + 1, []
        return _document(number, compress_page(content))


def _document(key: str | int, frame: bytes) -> Document:
    return {"_id": key, "format": BLOCK_FORMAT, "data": frame}
