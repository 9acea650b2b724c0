"""Held batches: the queries of those that only a pin held, and the writes that need no lease."""

from collections.abc import Sequence
from typing import Any

import msgspec
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch, from_document, to_fields
from storage.batches.states import BatchState
from storage.catalog.price_lists import PriceList
from storage.errors import BatchNotFound, BatchNotHeld, LeaseLost
from storage.mongodb.connection import Collection, Document


class HeldBatches:
    """The batches of a database that are held. Their state guards each write, in a transaction."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def held(self) -> dict[str, int]:
        """Return the number of held batches by list, without those that are scheduled."""
        stages: list[Document] = [
            {"$match": {"state": BatchState.HELD, "publishAt": None}},
            {"$group": {"_id": "$list", "count": {"$sum": 1}}},
        ]
        return {each["_id"]: each["count"] async for each in await self._collection.aggregate(stages)}

    async def waiting(
        self,
        price_list: PriceList,
        limit: int,
        before: int | None = None,
        session: AsyncClientSession | None = None,
    ) -> list[Batch]:
        """Return up to `limit` batches that only a pin of the list held, of versions below `before`, newest first.

        Those that are superseded are left out.
        """
        query = _waiting(price_list)
        if before is not None:
            query["version"]["$lt"] = before
        cursor = self._collection.find(query, session=session).sort("version", -1).limit(limit)
        return [from_document(document) async for document in cursor]

    async def count_waiting(self, price_list: PriceList) -> int:
        """Return the number of batches that only a pin of the list held, without those that are superseded."""
        return await self._collection.count_documents(_waiting(price_list))

    async def superseded(
        self, price_list: str, before: int, limit: int, session: AsyncClientSession | None = None
    ) -> list[Batch]:
        """Return up to `limit` batches that only a pin of the list held, of versions below `before`, oldest first."""
        query = {**_held_by_pin(price_list), "version": {"$lt": before}}
        cursor = self._collection.find(query, session=session).sort("version", 1).limit(limit)
        return [from_document(document) async for document in cursor]

    async def count_superseded(self, price_list: str, before: int) -> int:
        """Return the number of batches that `superseded` finds."""
        return await self._collection.count_documents({**_held_by_pin(price_list), "version": {"$lt": before}})

    async def get_held(self, batch_id: str, session: AsyncClientSession) -> Batch:
        """Return a held batch, as a transaction sees it. Raises `BatchNotFound`, `BatchNotHeld`."""
        found = await self._collection.find_one({"_id": batch_id}, session=session)
        if found is None:
            raise BatchNotFound(batch_id)
        batch = from_document(found)
        if batch.state is not BatchState.HELD:
            raise BatchNotHeld(batch.id, batch.state)
        return batch

    async def amend_held(self, batch: Batch, session: AsyncClientSession, **changes: Any) -> Batch:
        """Set fields of a batch that stays HELD. Raises `LeaseLost` if it is not HELD any more."""
        amended = await self._collection.find_one_and_update(
            {"_id": batch.id, "state": BatchState.HELD},
            {"$set": to_fields(changes)},
            session=session,
            return_document=ReturnDocument.AFTER,
        )
        if amended is None:
            raise LeaseLost(f"Batch {batch.id} is not held any more; look at its state.")
        return from_document(amended)

    async def advance_held(
        self, batches: Sequence[Batch], state: BatchState, session: AsyncClientSession, **changes: Any
    ) -> list[Batch]:
        """Move held batches to their next state and set fields, in one write. Raises `LeaseLost` if one is not HELD."""
        result = await self._collection.update_many(
            {"_id": {"$in": [batch.id for batch in batches]}, "state": BatchState.HELD},
            {"$set": {"state": state, **to_fields(changes)}},
            session=session,
        )
        if result.matched_count != len(batches):
            raise LeaseLost("Another process has ended some of the held batches; look at their states.")
        return [msgspec.structs.replace(batch, state=state, **changes) for batch in batches]


def _held_by_pin(price_list: str) -> Document:
    """Return the query for held batches that a partial index has, by version."""
    return {"list": price_list, "state": BatchState.HELD, "heldByPin": True}


def _waiting(price_list: PriceList) -> Document:
    return {**_held_by_pin(price_list.name), "version": {"$gte": price_list.superseded_before or 0}}
