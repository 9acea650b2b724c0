"""The parts of a batch that is sent in several requests, numbered by their `sequence`."""

from collections.abc import Sequence

import msgspec
from pymongo.errors import DuplicateKeyError

from storage.batches.item_errors import ErrorReport
from storage.batches.staging import StagedRun
from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import to_document

MAX_PARTS = 10_000
"""Number of parts that a batch may have."""


class Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The record of a part whose rows are staged, in `runs`. `rows` are valid, `prices` are those it came with."""

    sequence: int
    fingerprint: str
    prices: int
    rows: int
    runs: tuple[StagedRun, ...] = ()
    error_report: ErrorReport | None = None
    error_count: int = 0

    @property
    def received(self) -> int:
        """Number of rows received, valid and invalid."""
        return self.rows + self.error_count


class PartRepository:
    """The parts of a database's batches."""

    def __init__(self, db: Database) -> None:
        self._collection = db["parts"]

    async def find(self, batch: str, sequence: int) -> Part | None:
        """Return a part, or None."""
        found = await self._collection.find_one({"_id": _id(batch, sequence)})
        return _from_document(found) if found else None

    async def add(self, batch: str, part: Part) -> Part:
        """Record that all rows of a part are staged; return its record, that of another attempt if that was first."""
        document = {**to_document(part), "_id": _id(batch, part.sequence)}
        del document["sequence"]
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError:
            return await self.find(batch, part.sequence) or part
        return part

    async def by_batch(self, batch: str) -> list[Part]:
        """Return the parts of a batch, in the order of their numbers."""
        cursor = self._collection.find(_range(batch)).sort("_id", 1)
        return [_from_document(document) async for document in cursor]

    async def stored_sequences(self, batches: Sequence[str]) -> list[list[int]]:
        """Return the numbers of the stored parts of each batch, in the order of the batches."""
        query = {"$or": [_range(batch) for batch in batches]}
        stored: dict[str, list[int]] = {batch: [] for batch in batches}
        async for document in self._collection.find(query, {"_id": 1}).sort("_id", 1):
            stored[document["_id"]["batch"]].append(document["_id"]["sequence"])
        return [stored[batch] for batch in batches]

    async def stored_errors(self, batch: str) -> int:
        """Return how many errors the reports of a batch's parts have."""
        total = {"$group": {"_id": None, "count": {"$sum": "$errorReport.count"}}}
        cursor = await self._collection.aggregate([{"$match": _range(batch)}, total])
        return sum([document["count"] async for document in cursor])

    async def drop(self, batch: str) -> None:
        """Delete the records of all parts of a batch."""
        await self._collection.delete_many(_range(batch))


def _id(batch: str, sequence: int) -> Document:
    return {"batch": batch, "sequence": sequence}


def _range(batch: str) -> Document:
    return {"_id": {"$gte": _id(batch, 0), "$lte": _id(batch, MAX_PARTS)}}


def _from_document(document: Document) -> Part:
    check_format("part", document)
    return msgspec.convert({**document, "sequence": document["_id"]["sequence"]}, Part)
