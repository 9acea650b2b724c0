"""Held batches: the queries of those that only a pin held, and the writes that need no lease."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch, from_document, to_fields
from storage.batches.states import IN_PROGRESS, BatchState
from storage.catalog.price_lists import PriceList
from storage.errors import BatchNotFound, BatchNotHeld, LeaseLost
from storage.mongodb.connection import ARE_UNFINISHED, SCHEDULED, Collection, Document
from storage.mongodb.documents import set_each

ARE_IN_PROGRESS: Document = {**ARE_UNFINISHED, "$and": [{"state": {"$in": sorted(IN_PROGRESS)}}]}
"""A query for batches in progress, which the index of unfinished batches answers."""


class HeldBatches:
    """The batches of a database that are held. Their state guards each write, in a transaction."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def held(self) -> dict[str, int]:
        """Return the number of held batches by list, without those that are scheduled, or wait in a release."""
        stages: list[Document] = [
            {"$match": {"state": BatchState.HELD, "publishAt": None, "release": None}},
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
        cursor = self._collection.find(query, session=session).hint("unfinished").sort("version", -1).limit(limit)
        return [from_document(document) async for document in cursor]

    async def count_waiting(self, price_list: PriceList) -> int:
        """Return the number of batches that only a pin of the list held, without those that are superseded."""
        return await self._collection.count_documents(_waiting(price_list), hint="unfinished")

    async def superseded(
        self, price_list: str, before: int, limit: int, session: AsyncClientSession | None = None
    ) -> list[Batch]:
        """Return up to `limit` batches that only a pin of the list held, of versions below `before`, oldest first."""
        query = {**_held_by_pin(price_list), "version": {"$lt": before}}
        cursor = self._collection.find(query, session=session).hint("unfinished").sort("version", 1).limit(limit)
        return [from_document(document) async for document in cursor]

    async def count_superseded(self, price_list: str, before: int) -> int:
        """Return the number of batches that `superseded` finds."""
        query = {**_held_by_pin(price_list), "version": {"$lt": before}}
        return await self._collection.count_documents(query, hint="unfinished")

    async def get_held(self, batch_id: str, session: AsyncClientSession) -> Batch:
        """Return a held batch, as a transaction sees it. Raises `BatchNotFound`, `BatchNotHeld`."""
        found = await self._collection.find_one({"_id": batch_id}, session=session)
        if found is None:
            raise BatchNotFound(batch_id)
        batch = from_document(found)
        if batch.state is not BatchState.HELD:
            raise BatchNotHeld(batch.id, batch.state)
        return batch

    async def get_all_held(self, ids: Sequence[str], session: AsyncClientSession) -> dict[str, Batch]:
        """Return those of the batches that are held, by id, as a transaction sees them; one command."""
        cursor = self._collection.find({"_id": {"$in": list(ids)}, "state": BatchState.HELD}, session=session)
        return {document["_id"]: from_document(document) async for document in cursor}

    async def in_progress_of_release(self, release: str, limit: int, session: AsyncClientSession) -> list[Batch]:
        """Return up to `limit` batches of a release that are not sealed yet, by their lists."""
        query = {"release": release, **ARE_IN_PROGRESS}
        cursor = self._collection.find(query, session=session).hint("unfinished").limit(limit)
        return sorted([from_document(document) async for document in cursor], key=lambda batch: batch.price_list)

    async def next_changes(
        self, price_lists: Sequence[PriceList], besides: Sequence[str], session: AsyncClientSession
    ) -> dict[str, datetime.datetime]:
        """Return when the next scheduled batch of each list is due, `besides` the given ones; one command.

        Lists without one are left out.
        """
        names = [each.name for each in price_lists if each.next_change_at]  # of others, no batch is scheduled
        if not names:
            return {}
        stages: list[Document] = [
            {"$match": {"list": {"$in": names}, **SCHEDULED, "_id": {"$nin": list(besides)}}},
            {"$group": {"_id": "$list", "at": {"$min": "$publishAt"}}},
        ]
        found = await self._collection.aggregate(stages, session=session)
        return {each["_id"]: each["at"] async for each in found}

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

    async def advance_each_held(
        self, changes: Sequence[tuple[Batch, Mapping[str, Any]]], state: BatchState, session: AsyncClientSession
    ) -> list[Batch]:
        """Move held batches to their next state, and set fields of each to values of its own.

        One command; see `advance_held`.
        """
        ids = [batch.id for batch, _ in changes]
        fields = [{"state": state, **to_fields(changed)} for _, changed in changes]
        result = await self._collection.update_many(
            {"_id": {"$in": ids}, "state": BatchState.HELD}, [set_each(ids, fields)], session=session
        )
        if result.matched_count != len(ids):
            raise LeaseLost("Another process has ended some of the held batches; look at their states.")
        return [msgspec.structs.replace(batch, **{"state": state, **changed}) for batch, changed in changes]


def _held_by_pin(price_list: str) -> Document:
    """Return the query for held batches that a partial index has, by version."""
    return {"list": price_list, "state": BatchState.HELD, "heldByPin": True}


def _waiting(price_list: PriceList) -> Document:
    return {**_held_by_pin(price_list.name), "version": {"$gte": price_list.superseded_before or 0}}
