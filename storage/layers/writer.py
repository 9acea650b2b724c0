"""Writing layers: immutable collections that exactly one batch wrote, one document a price.

The life of a layer: `create`, `fill` as often as it takes (a slice that is sent again changes nothing), `freeze`;
then it is only read (`storage.layers.reader`), until retention drops it.
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

MAX_ERRORS = 100
INSERTS_IN_FLIGHT = 4

# A position is the number of a part in its upper bits, and the index of a row within that part in its lower ones.
PART_BITS = 32

_DUPLICATE_KEY = 11000
_REFUSED_BY_VALIDATOR = 121

# No document meets this, so the server refuses every insert and every update.
_NOTHING: dict[str, Any] = {"$nor": [{}]}


# An insert takes so many rows at the most, for a majority answers each; and so many bytes, for a command has to fit
# into 16 MiB.
INSERT_ROWS = 3000
INSERT_BYTES = 8 * 1024 * 1024


Compare = Callable[[Sequence[bytes]], Coroutine[None, None, None]]
"""What is given the documents of a batch as they go into its layer."""


def collection_of(layer: str) -> str:
    """Return the name of a layer's collection."""
    return f"layer.{layer}"


@dataclass(slots=True)
class Filled:
    """What has gone into a layer, and what was refused: the first `MAX_ERRORS` errors, and the count of all."""

    stored: Checksum = field(default_factory=Checksum)
    errors: list[ItemError] = field(default_factory=list)
    error_count: int = 0

    def refuse(self, errors: Iterable[ItemError]) -> None:
        """Count errors, and keep those with the lowest index."""
        errors = list(errors)
        self.error_count += len(errors)
        self.errors = sorted((*self.errors, *errors), key=lambda error: error.index)[:MAX_ERRORS]

    @property
    def received(self) -> int:
        """How many rows came, good and bad."""
        return self.stored.count + self.error_count


@dataclass(slots=True)
class _Insert:
    """The documents of one insert."""

    documents: list[bytes] = field(default_factory=list)
    checksum: Checksum = field(default_factory=Checksum)


class Layers:
    """Writes the layers of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._inserts = BulkInsert(db)

    async def create(self, layer: str) -> None:
        """Create the layer's collection, unless an earlier attempt did."""
        try:
            await self._db.create_collection(collection_of(layer), check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise

    async def fill(
        self,
        layer: str,
        slices: AsyncIterable[Slice],
        filled: Filled,
        compare: Compare,
    ) -> None:
        """Insert slices as they come, several in flight; `filled` tells at any time what was stored and refused.

        `compare` is given the documents of each insert while the database takes them.
        Rows are told apart by `_id` and `n`: a document that is there with the same position was stored by an
        earlier attempt, one with another position is a sku sent twice.
        Raises `Unavailable` when no primary takes them for `storage.mongodb.bulk_insert.RESEND_TIMEOUT_SECONDS`.
        """
        in_flight: set[asyncio.Task[None]] = set()
        try:
            async for insert in _inserts(slices, filled):
                if len(in_flight) >= INSERTS_IN_FLIGHT:
                    done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                in_flight.add(asyncio.create_task(self._take(layer, insert, filled, compare)))
            await asyncio.gather(*in_flight)
        except FileRefused:
            await asyncio.gather(*in_flight, return_exceptions=True)  # so that who takes rows back takes all of them
            raise
        finally:
            for task in in_flight:
                task.cancel()

    async def _take(self, layer: str, insert: _Insert, filled: Filled, compare: Compare) -> None:
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
                raise LayerSealed(f"Layer {layer} was sealed while rows were still coming; look at its batch's state.")
            raise Corrupt(f"Layer {layer} refuses rows: {other.get('errmsg')}")
        if not refused:
            return insert.checksum, []
        repeated = await self._repeated(layer, [documents[error["index"]] for error in refused])
        return checksum(document for document in documents if document not in repeated), list(repeated.values())

    async def _repeated(self, layer: str, documents: Sequence[bytes]) -> dict[bytes, ItemError]:
        """Return the documents whose sku stands in the layer at another position, each with its error."""
        skus = [sku_of(document) for document in documents]
        cursor = self._db[collection_of(layer)].find({"_id": {"$in": skus}}, {"n": 1})
        there = {found["_id"]: found["n"] async for found in cursor}
        repeated = {}
        for sku, document in zip(skus, documents, strict=True):
            position = position_of(document)
            if sku not in there:
                raise LayerSealed(f"Layer {layer} was dropped while rows were still coming; look at its batch's state.")
            if there[sku] != position:
                repeated[document] = _sent_twice(sku, position, there[sku])
        return repeated

    async def take_back(self, layer: str, part: int) -> None:
        """Delete the rows of a part, whose first position is given, that came to nothing. Reads the whole layer."""
        await self._db[collection_of(layer)].delete_many({"n": {"$gte": part, "$lt": part + (1 << PART_BITS)}})

    async def freeze(self, layer: str) -> None:
        """Make the server refuse every insert and update from here on. Raises `Unavailable` when no majority does."""
        reply = await self._db.command(
            {
                "collMod": collection_of(layer),
                "validator": _NOTHING,
                "validationLevel": "strict",
                "validationAction": "error",
                "writeConcern": self._db.write_concern.document,
            }
        )
        if "writeConcernError" in reply:
            raise Unavailable(f"Layer {layer} is not sealed by a majority yet. Try again in a moment.")

    async def shut(self, layer: str) -> None:
        """Freeze a layer that comes to nothing, so that rows which are still on their way do not bring it back to life.

        It is created first, for its batch may have come to its end before it was.
        """
        await self.create(layer)
        await self.freeze(layer)

    async def is_sealed(self, layer: str) -> bool | None:
        """Whether the server refuses every insert and update; None where there is no such layer."""
        collections = await self._db.list_collections(filter={"name": collection_of(layer)})
        for found in await collections.to_list():
            options = found["options"]
            refuses = (options.get("validationLevel", "strict"), options.get("validationAction", "error"))
            return options.get("validator") == _NOTHING and refuses == ("strict", "error")
        return None

    async def fold(self, layers: Sequence[str], target: str, *, drop_removals: bool) -> None:
        """Lay layers, oldest first, over each other into a new one, within the server."""
        for layer in layers:
            stage = {"$merge": {"into": collection_of(target), "whenMatched": "replace", "whenNotMatched": "insert"}}
            await (await self._db[collection_of(layer)].aggregate([stage])).to_list()
        if drop_removals:
            await self._db[collection_of(target)].delete_many({"removed": True})

    async def all(self) -> list[str]:
        """Return the ids of all layers that there are."""
        names = await self._db.list_collection_names(filter={"name": {"$regex": r"^layer\."}})
        return [name.removeprefix("layer.") for name in names]

    async def stats(self, layer: str) -> dict[str, Any]:
        """Return the server's statistics of the layer; empty where there is no such layer."""
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
        """Drop the layer. Only for one that no manifest names."""
        await self._db[collection_of(layer)].drop()


async def _inserts(slices: AsyncIterable[Slice], filled: Filled) -> AsyncIterator[_Insert]:
    """Return the documents of slices, put together into inserts, and note the errors in `filled`."""
    insert, size = _Insert(), 0
    async for rows in slices:
        filled.refuse(rows.errors)
        for run, run_size in _cut(rows.documents):
            if insert.documents and (len(insert.documents) + len(run) > INSERT_ROWS or size + run_size > INSERT_BYTES):
                yield insert
                insert, size = _Insert(), 0
            insert.documents += run
            insert.checksum += checksum(run)
            size += run_size
        await yield_to_loop()
    if insert.documents:
        yield insert


def _cut(documents: list[bytes]) -> Iterable[tuple[list[bytes], int]]:
    """Return documents in runs of at most `INSERT_BYTES`, each with its size."""
    size = sum(map(len, documents))
    if size <= INSERT_BYTES:
        return [(documents, size)]
    half = len(documents) // 2
    return [*_cut(documents[:half]), *_cut(documents[half:])]


def _sent_twice(sku: str, position: int, other: int) -> ItemError:
    """Return the error of a sku that stands at two positions: told at the later one, where both are of one part."""
    within_one_part = position >> PART_BITS == other >> PART_BITS
    first, again = sorted((position, other)) if within_one_part else (other, position)
    sequence, item = divmod(first, 1 << PART_BITS)
    place = f"item {item}" if within_one_part else f"item {item} of sequence {sequence}"
    return ItemError(again, sku, "sku", "DUPLICATE_SKU", f"The sku was sent before, as {place}.")
