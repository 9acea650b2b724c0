"""Writes layers: immutable collections that exactly one batch wrote, with one document per price.

The life of a layer: any number of `fill` (sending a slice again changes nothing), `freeze`. From then on it
is only read (`storage.layers.reader`), until garbage collection drops it.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import OperationFailure

from storage.errors import Corrupt, LayerSealed, Unavailable
from storage.fair_yield import yield_to_loop
from storage.files.errors import FileRefused
from storage.mongodb.bulk_insert import BulkInsert
from storage.mongodb.connection import NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND, Database
from storage.prices.checksum import Checksum, checksum
from storage.prices.price import position_of, sku_of
from storage.prices.row_decoder import ItemError, Slice

MAX_ITEM_ERRORS = 100
"""Errors of a batch that are kept; all are counted."""

MAX_CONCURRENT_INSERTS = 4
"""Inserts of one `fill` that are in flight at once."""

PART_BITS = 32
"""Lower bits of a position, for the index of a row in its part; the upper bits are the number of the part."""

_DUPLICATE_KEY = 11000
_REFUSED_BY_VALIDATOR = 121

_MATCH_NOTHING: dict[str, Any] = {"$nor": [{}]}
"""The validator of a sealed layer. No document matches it, so the server refuses every insert and update."""

MAX_INSERT_ROWS = 3000
"""Rows per insert: the server acknowledges each insert as a whole, at a majority."""

MAX_INSERT_BYTES = 8 * 1024 * 1024
"""Bytes per insert: a command must fit into 16 MiB."""

Compare = Callable[[Sequence[bytes]], Coroutine[None, None, None]]
"""Receives the documents of a batch as they are inserted into its layer."""


def collection_of(layer: str) -> str:
    """Return the name of a layer's collection."""
    return f"layer.{layer}"


@dataclass(slots=True)
class FillResult:
    """The rows stored in a layer, and the refused ones: the first `MAX_ITEM_ERRORS` errors, and the number of all."""

    stored: Checksum = field(default_factory=Checksum)
    errors: list[ItemError] = field(default_factory=list)
    error_count: int = 0

    def refuse(self, errors: Iterable[ItemError]) -> None:
        """Count errors, and keep the `MAX_ITEM_ERRORS` with the lowest indexes."""
        errors = list(errors)
        self.error_count += len(errors)
        self.errors = sorted((*self.errors, *errors), key=lambda error: error.index)[:MAX_ITEM_ERRORS]

    @property
    def received(self) -> int:
        """Number of rows received, stored and refused."""
        return self.stored.count + self.error_count


@dataclass(slots=True)
class _Insert:
    """The documents of one insert."""

    documents: list[bytes] = field(default_factory=list)
    checksum: Checksum = field(default_factory=Checksum)


class LayerWriter:
    """Writes the layers of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._inserts = BulkInsert(db)

    async def create(self, layer: str) -> None:
        """Create the collection of a layer, unless it exists."""
        try:
            await self._db.create_collection(collection_of(layer), check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise

    async def fill(
        self,
        layer: str,
        slices: AsyncIterable[Slice],
        filled: FillResult,
        compare: Compare,
    ) -> None:
        """Insert slices as they arrive, several at once, and update `filled` with the rows stored and refused so far.

        The first rows create the collection, so that a batch without rows has none.

        `compare` receives the documents of each insert while the database stores them. A document that the layer
        already has at the same position (`n`) was stored by an earlier attempt; at another position, its sku was sent
        twice.

        Raises `Unavailable` if no primary accepts an insert for `storage.mongodb.bulk_insert.RESEND_TIMEOUT_SECONDS`.
        """
        in_flight: set[asyncio.Task[None]] = set()
        is_created = False
        try:
            async for insert in _inserts(slices, filled):
                if not is_created:
                    await self.create(layer)
                    is_created = True
                if len(in_flight) >= MAX_CONCURRENT_INSERTS:
                    done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                in_flight.add(asyncio.create_task(self._store(layer, insert, filled, compare)))
            await asyncio.gather(*in_flight)
        except FileRefused:
            await asyncio.gather(*in_flight, return_exceptions=True)  # so that `delete_part` deletes all of them
            raise
        finally:
            for task in in_flight:
                task.cancel()

    async def _store(self, layer: str, insert: _Insert, filled: FillResult, compare: Compare) -> None:
        comparing: asyncio.Task[None] = asyncio.create_task(compare(insert.documents))
        try:
            stored, errors = await self._insert(layer, insert)
            await comparing
        finally:
            comparing.cancel()
        filled.stored += stored
        filled.refuse(errors)

    async def _insert(self, layer: str, insert: _Insert) -> tuple[Checksum, list[ItemError]]:
        documents = insert.documents
        refused = await self._inserts.send(collection_of(layer), documents)
        other = next((error for error in refused if error["code"] != _DUPLICATE_KEY), None)
        if other:
            if other["code"] == _REFUSED_BY_VALIDATOR:
                raise LayerSealed(
                    f"Layer {layer} was sealed while rows were still arriving; check the state of its batch."
                )
            raise Corrupt(f"Layer {layer} rejected rows: {other.get('errmsg')}")
        if not refused:
            return insert.checksum, []
        repeated = await self._repeated(layer, [documents[error["index"]] for error in refused])
        return checksum(document for document in documents if document not in repeated), list(repeated.values())

    async def _repeated(self, layer: str, documents: Sequence[bytes]) -> dict[bytes, ItemError]:
        """Return the documents whose sku the layer has at another position, each with its error."""
        skus = [sku_of(document) for document in documents]
        cursor = self._db[collection_of(layer)].find({"_id": {"$in": skus}}, {"n": 1})
        stored = {found["_id"]: found["n"] async for found in cursor}
        repeated = {}
        for sku, document in zip(skus, documents, strict=True):
            position = position_of(document)
            if sku not in stored:
                raise LayerSealed(
                    f"Layer {layer} was dropped while rows were still arriving; check the state of its batch."
                )
            if stored[sku] != position:
                repeated[document] = _duplicate_sku(sku, position, stored[sku])
        return repeated

    async def delete_part(self, layer: str, part: int) -> None:
        """Delete the rows of a part that failed; `part` is its first position. Reads the whole layer."""
        await self._db[collection_of(layer)].delete_many({"n": {"$gte": part, "$lt": part + (1 << PART_BITS)}})

    async def freeze(self, layer: str) -> None:
        """Make the server refuse every insert and update. Raises `Unavailable` if no majority confirms it."""
        reply = await self._db.command(
            {
                "collMod": collection_of(layer),
                "validator": _MATCH_NOTHING,
                "validationLevel": "strict",
                "validationAction": "error",
                "writeConcern": self._db.write_concern.document,
            }
        )
        if "writeConcernError" in reply:
            raise Unavailable(f"Layer {layer} is not sealed by a majority yet. Try again in a moment.")

    async def create_frozen(self, layer: str) -> None:
        """Freeze the layer of a failed batch, so that rows that are still in flight do not create it again.

        Creates it first: the batch may have failed before it did.
        """
        await self.create(layer)
        await self.freeze(layer)

    async def is_sealed(self, layer: str) -> bool | None:
        """Whether the server refuses every insert and update; None without such a layer."""
        collections = await self._db.list_collections(filter={"name": collection_of(layer)})
        for found in await collections.to_list():
            options = found["options"]
            validation = (options.get("validationLevel", "strict"), options.get("validationAction", "error"))
            return options.get("validator") == _MATCH_NOTHING and validation == ("strict", "error")
        return None

    async def fold(self, layers: Sequence[str], target: str, *, drop_tombstones: bool) -> None:
        """Merge layers, given oldest first, into a new one, within the server."""
        for layer in layers:
            stage = {"$merge": {"into": collection_of(target), "whenMatched": "replace", "whenNotMatched": "insert"}}
            await (await self._db[collection_of(layer)].aggregate([stage])).to_list()
        if drop_tombstones:
            await self._db[collection_of(target)].delete_many({"removed": True})

    async def all(self) -> list[str]:
        """Return the ids of all layers."""
        names = await self._db.list_collection_names(filter={"name": {"$regex": r"^layer\."}})
        return [name.removeprefix("layer.") for name in names]

    async def stats(self, layer: str) -> dict[str, Any]:
        """Return the server's statistics of a layer; empty without such a layer."""
        stages: list[dict[str, Any]] = [{"$collStats": {"storageStats": {}}}]
        try:
            [stats] = await (await self._db[collection_of(layer)].aggregate(stages)).to_list()
        except OperationFailure as error:
            if error.code != NAMESPACE_NOT_FOUND:
                raise
            return {}
        found: dict[str, Any] = stats["storageStats"]
        return found

    async def drop(self, layer: str) -> None:
        """Drop a layer, which no manifest may name."""
        await self._db[collection_of(layer)].drop()


async def _inserts(slices: AsyncIterable[Slice], filled: FillResult) -> AsyncIterator[_Insert]:
    """Yield the documents of slices, grouped into inserts, and add the errors to `filled`."""
    insert, size = _Insert(), 0
    async for rows in slices:
        filled.refuse(rows.errors)
        for run, run_size in _cut(rows.documents):
            if insert.documents and (
                len(insert.documents) + len(run) > MAX_INSERT_ROWS or size + run_size > MAX_INSERT_BYTES
            ):
                yield insert
                insert, size = _Insert(), 0
            insert.documents += run
            insert.checksum += checksum(run)
            size += run_size
        await yield_to_loop()
    if insert.documents:
        yield insert


def _cut(documents: list[bytes]) -> Iterable[tuple[list[bytes], int]]:
    """Return documents in runs of at most `MAX_INSERT_BYTES`, each with its size."""
    size = sum(map(len, documents))
    if size <= MAX_INSERT_BYTES:
        return [(documents, size)]
    half = len(documents) // 2
    return [*_cut(documents[:half]), *_cut(documents[half:])]


def _duplicate_sku(sku: str, position: int, other: int) -> ItemError:
    """Return the error of a sku at two positions: at the later one if both are in the same part."""
    is_same_part = position >> PART_BITS == other >> PART_BITS
    first, second = sorted((position, other)) if is_same_part else (other, position)
    part, item = divmod(first, 1 << PART_BITS)
    earlier = f"item {item}" if is_same_part else f"item {item} of sequence {part}"
    return ItemError(second, sku, "sku", "DUPLICATE_SKU", f"The sku was sent before, as {earlier}.")
