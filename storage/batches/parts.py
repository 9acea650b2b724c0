"""The parts of a chunked batch: which sequences were stored, and what was in each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from storage.batches.changes import Changes
from storage.layers.writer import Filled
from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.prices.checksum import Checksum
from storage.prices.row_decoder import ItemError

MAX_PARTS = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """What one sequence brought, and what its rows do to the version that was current as they came.

    `stored` is False while its rows are still being stored, or were broken off.
    """

    sequence: int
    fingerprint: str | None
    stored: bool
    prices: int
    checksum: Checksum
    errors: tuple[ItemError, ...]
    error_count: int
    changes: Changes | None = None


class PartRepository:
    """The parts of a database's batches."""

    def __init__(self, db: Database) -> None:
        self._collection = db["parts"]

    async def begin(self, batch: str, sequence: int, fingerprint: str | None) -> Part | None:
        """Note that a sequence is being stored; return what is known of it from an earlier attempt, or None."""
        document = {"_id": _id(batch, sequence), "format": FORMAT, "stored": False, "fingerprint": fingerprint}
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError:
            return await self.find(batch, sequence)
        return None

    async def find(self, batch: str, sequence: int) -> Part | None:
        """Return what is known of a sequence, or None."""
        found = await self._collection.find_one({"_id": _id(batch, sequence)})
        return _from_document(found) if found else None

    async def forget(self, batch: str, sequence: int) -> None:
        """Forget a sequence that brought nothing."""
        await self._collection.delete_one({"_id": _id(batch, sequence), "stored": False})

    async def complete(
        self, batch: str, sequence: int, fingerprint: str, filled: Filled, prices: int, changes: Changes
    ) -> bool:
        """Note that all rows of a sequence are stored; False where another attempt was first."""
        result = await self._collection.find_one_and_update(
            {"_id": _id(batch, sequence), "stored": False},
            {
                "$set": {
                    "stored": True,
                    "fingerprint": fingerprint,
                    "prices": prices,
                    "count": filled.stored.count,
                    "checksum": filled.stored.hex,
                    "errors": [asdict(error) for error in filled.errors],
                    "errorCount": filled.error_count,
                    "changes": changes.to_document(),
                }
            },
            return_document=ReturnDocument.AFTER,
        )
        return result is not None

    async def of(self, batch: str) -> list[Part]:
        """Return the parts of a batch, by sequence."""
        cursor = self._collection.find(_range(batch)).sort("_id", 1)
        return [_from_document(document) async for document in cursor]

    async def stored_sequences(self, batches: Sequence[str]) -> list[list[int]]:
        """Return the sequences that are stored of each of these batches."""
        wanted = {"$or": [_range(batch) for batch in batches], "stored": True}
        stored: dict[str, list[int]] = {batch: [] for batch in batches}
        async for document in self._collection.find(wanted, {"_id": 1}).sort("_id", 1):
            stored[document["_id"]["batch"]].append(document["_id"]["sequence"])
        return [stored[batch] for batch in batches]

    async def drop(self, batch: str) -> None:
        """Forget the parts of a batch that came to its end."""
        await self._collection.delete_many(_range(batch))


def _id(batch: str, sequence: int) -> Document:
    return {"batch": batch, "sequence": sequence}


def _range(batch: str) -> Document:
    return {"_id": {"$gte": _id(batch, 0), "$lte": _id(batch, MAX_PARTS)}}


def _from_document(document: Document) -> Part:
    check_format("part", document)
    return Part(
        document["_id"]["sequence"],
        document["fingerprint"],
        document["stored"],
        document.get("prices", 0),
        Checksum(document.get("count", 0), int(document.get("checksum", "0"), 16)),
        tuple(ItemError(**error) for error in document.get("errors", ())),
        document.get("errorCount", 0),
        Changes.from_document(document["changes"]) if "changes" in document else None,
    )
