"""The parts of a batch that is sent in several requests, numbered by their `sequence`."""

from collections.abc import Sequence

import msgspec
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from storage.batches.changes import Changes
from storage.layers.writer import MAX_ITEM_ERRORS, FillResult
from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.mongodb.documents import to_builtins
from storage.prices.checksum import Checksum
from storage.prices.row_decoder import ItemError

MAX_PARTS = 10_000
"""Number of parts that a batch may have."""


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """The record of a part. `changes` compares its rows with the version that was current as they arrived.

    `stored` is False until all rows are stored.
    """

    sequence: int
    fingerprint: str | None
    stored: bool
    prices: int = 0
    checksum: Checksum = Checksum()
    errors: tuple[ItemError, ...] = ()
    error_count: int = 0
    changes: Changes | None = None


class PartRepository:
    """The parts of a database's batches."""

    def __init__(self, db: Database) -> None:
        self._collection = db["parts"]

    async def begin(self, batch: str, sequence: int, fingerprint: str | None) -> Part | None:
        """Record that a part is being stored; return the record of an earlier attempt, or None."""
        document = {"_id": _id(batch, sequence), "format": FORMAT, "stored": False, "fingerprint": fingerprint}
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError:
            return await self.find(batch, sequence)
        return None

    async def find(self, batch: str, sequence: int) -> Part | None:
        """Return a part, or None."""
        found = await self._collection.find_one({"_id": _id(batch, sequence)})
        return _from_document(found) if found else None

    async def forget(self, batch: str, sequence: int) -> None:
        """Delete the record of a part that is not stored."""
        await self._collection.delete_one({"_id": _id(batch, sequence), "stored": False})

    async def complete(
        self, batch: str, sequence: int, fingerprint: str, filled: FillResult, prices: int, changes: Changes
    ) -> bool:
        """Record that all rows of a part are stored; return False if another attempt was first."""
        result = await self._collection.find_one_and_update(
            {"_id": _id(batch, sequence), "stored": False},
            {
                "$set": {
                    "stored": True,
                    "fingerprint": fingerprint,
                    "prices": prices,
                    "count": filled.stored.count,
                    "checksum": filled.stored.hex,
                    "errors": to_builtins(filled.errors),
                    "errorCount": filled.error_count,
                    "changes": changes.to_document(),
                }
            },
            return_document=ReturnDocument.AFTER,
        )
        return result is not None

    async def by_batch(self, batch: str) -> list[Part]:
        """Return the parts of a batch without their errors, in the order of their numbers."""
        cursor = self._collection.find(_range(batch), {"errors": 0}).sort("_id", 1)
        return [_from_document(document) async for document in cursor]

    async def errors(self, batch: str) -> dict[int, tuple[ItemError, ...]]:
        """Return the errors of the first parts that have any, by the number of the part: `MAX_ITEM_ERRORS` parts."""
        query = {**_range(batch), "errorCount": {"$gt": 0}}
        cursor = self._collection.find(query).sort("_id", 1).limit(MAX_ITEM_ERRORS)
        return {part.sequence: part.errors for part in [_from_document(document) async for document in cursor]}

    async def stored_sequences(self, batches: Sequence[str]) -> list[list[int]]:
        """Return the numbers of the stored parts of each batch, in the order of the batches."""
        query = {"$or": [_range(batch) for batch in batches], "stored": True}
        stored: dict[str, list[int]] = {batch: [] for batch in batches}
        async for document in self._collection.find(query, {"_id": 1}).sort("_id", 1):
            stored[document["_id"]["batch"]].append(document["_id"]["sequence"])
        return [stored[batch] for batch in batches]

    async def drop(self, batch: str) -> None:
        """Delete the records of all parts of a batch."""
        await self._collection.delete_many(_range(batch))


def _id(batch: str, sequence: int) -> Document:
    return {"batch": batch, "sequence": sequence}


def _range(batch: str) -> Document:
    return {"_id": {"$gte": _id(batch, 0), "$lte": _id(batch, MAX_PARTS)}}


def _from_document(document: Document) -> Part:
    check_format("part", document)
    stored = Checksum(document.get("count", 0), int(document.get("checksum", "0"), 16))
    return msgspec.convert({**document, "sequence": document["_id"]["sequence"], "checksum": stored}, Part)
