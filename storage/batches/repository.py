"""The batches of a database: queries, and the writes that need the lease of a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from bson.objectid import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from storage.batches.batch import Batch, BatchOrder, Refusal, from_document, to_fields
from storage.batches.held import ARE_IN_PROGRESS, HeldBatches
from storage.batches.scheduled import ScheduledBatches
from storage.batches.states import FOLLOWS, IN_PROGRESS, BatchState
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.errors import BatchNotFound, Broken, LeaseLost
from storage.mongodb import leases
from storage.mongodb.connection import ARE_UNFINISHED, FORMAT, Database, Document
from storage.mongodb.documents import raise_if_unreadable, read_each, read_or_error

MAX_ID_LENGTH = 64
"""Characters of a batch's id. Longer ids are not looked up."""

KEY_DAYS = 30
"""Days after the end of a batch until its idempotency key can be used again."""

MAX_OPEN_ATTEMPTS = 3
"""How often opening a batch is tried while its idempotency key is taken, but finds no batch."""

_KEY_IS_KEPT: Document = {
    "$gte": [{"$ifNull": ["$finishedAt", "$$NOW"]}, {"$subtract": ["$$NOW", KEY_DAYS * 86_400_000]}]
}
"""The expression of whether the idempotency key of a batch finds it."""

MAX_BATCHES_PER_QUERY = 200
"""Number of batches that a periodic query returns, and works on, at most."""


class Unfinished(NamedTuple):
    """Numbers of batches of a list that are in progress, and that are held."""

    in_progress: int
    held: int


class BatchRepository(ScheduledBatches, HeldBatches):
    """The batches of a database. A `list_filter` limits a query to the lists that it contains."""

    def __init__(self, db: Database) -> None:
        super().__init__(db["batches"])

    async def open(
        self, order: BatchOrder, fingerprint: str | None, expected: int | None, made_on: int | None
    ) -> tuple[Batch, bool]:
        """Return the batch of the order's idempotency key, and whether this call created it.

        A unique index decides between concurrent calls; the call that creates the batch holds its lease. The
        fingerprint of a body that is still arriving is None; it is stored when the batch is sealed. The key
        of a batch that finished more than `KEY_DAYS` ago is free. Raises `BatchNotFound` if batches of the key keep
        coming and going.
        """
        batch_id = str(ObjectId())
        document = {
            "_id": batch_id,
            "format": FORMAT,
            "list": order.price_list,
            "mode": order.mode,
            "key": order.key,
            "fingerprint": fingerprint,
            "chunked": order.chunked,
            "publish": order.publish,
            "expectedVersion": order.expected_version,
            "label": order.label,
            "publishAt": order.publish_at,
            "release": order.release,
            "submittedBy": order.by,
            "state": BatchState.OPEN,
            "expected": expected,
            "madeOn": made_on,
        }
        for _ in range(MAX_OPEN_ATTEMPTS):
            try:
                return from_document(await self._create(document)), True
            except DuplicateKeyError:
                if batch := await self.by_key(order.price_list, order.key):
                    return batch, False
                await self._free_key(order.price_list, order.key)
        raise BatchNotFound(order.key)

    async def _create(self, document: Document) -> Document:
        stages = [{"$set": {name: {"$literal": value} for name, value in document.items()}}]
        created = await self._collection.find_one_and_update(
            {"_id": document["_id"]},
            [*stages, {"$set": {"createdAt": "$$NOW", "touchedAt": "$$NOW"}}, leases.acquire()],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return cast("Document", created)

    async def _free_key(self, price_list: str, key: str) -> None:
        """Free the key of a batch that finished more than `KEY_DAYS` ago."""
        query = {**_with_key(price_list, key), "$expr": {"$not": _KEY_IS_KEPT}}
        await self._collection.update_one(query, [{"$set": {"usedKey": "$key"}}, {"$unset": "key"}])

    async def find(self, batch_id: str) -> Batch | None:
        """Return a batch, or None."""
        return raise_if_unreadable((await self.get_many([batch_id]))[0])

    async def get(self, batch_id: str) -> Batch:
        """Return a batch. Raises `BatchNotFound`."""
        batch = await self.find(batch_id)
        if batch is None:
            raise BatchNotFound(batch_id)
        return batch

    async def get_many(self, ids: Sequence[str]) -> list[Batch | Broken | None]:
        """Return the batches of these ids in their order, or the errors of unreadable ones; one round trip."""
        possible = [batch_id for batch_id in ids if len(batch_id) <= MAX_ID_LENGTH]
        if not possible:
            return [None] * len(ids)
        cursor = self._collection.find({"_id": {"$in": possible}})
        found = {document["_id"]: read_or_error(from_document, document) async for document in cursor}
        return [found.get(batch_id) for batch_id in ids]

    async def by_key(self, price_list: str, key: str) -> Batch | None:
        """Return the batch of a list with an idempotency key that is kept, or None."""
        found = await self._collection.find_one({**_with_key(price_list, key), "$expr": _KEY_IS_KEPT})
        return from_document(found) if found else None

    async def newest(
        self,
        limit: int,
        *,
        price_list: str | None = None,
        state: BatchState | None = None,
        before: str | None = None,
        list_filter: ListFilter = ALL_LISTS,
    ) -> list[Batch]:
        """Return up to `limit` batches that are older than the batch `before`, newest first.

        Without `price_list`, unreadable batches are skipped.
        """
        query = {**_filter(price_list, state), **list_filter.query("list")}
        if before is not None:
            query["_id"] = {"$lt": before}
        cursor = self._collection.find(query).sort("_id", -1)
        if price_list is None:
            return await read_each(cursor.batch_size(limit), from_document, limit)
        return [from_document(document) async for document in cursor.limit(limit)]

    async def count(
        self, *, price_list: str | None = None, state: BatchState | None = None, list_filter: ListFilter = ALL_LISTS
    ) -> int:
        """Return the number of batches."""
        return await self._collection.count_documents({**_filter(price_list, state), **list_filter.query("list")})

    async def unfinished(self, price_list: str, session: AsyncClientSession | None = None) -> Unfinished:
        """Return the numbers of batches of a list that are not finished; from a partial index alone."""
        stages: list[Document] = [
            {"$match": {"list": price_list, **ARE_UNFINISHED}},
            {"$group": {"_id": "$state", "count": {"$sum": 1}}},
        ]
        found = await self._collection.aggregate(stages, session=session)
        counts = {each["_id"]: each["count"] async for each in found}
        return Unfinished(sum(counts.get(state, 0) for state in IN_PROGRESS), counts.get(BatchState.HELD, 0))

    async def in_progress(self, by: str) -> int:
        """Return the number of a caller's batches in progress, of all lists; from a partial index alone."""
        query = {"submittedBy": by, **ARE_IN_PROGRESS}
        return await self._collection.count_documents(query, hint="unfinished")

    async def idle(self, seconds: float) -> list[str]:
        """Return the ids of open batches that were not touched in the last `seconds`, at most `MAX_BATCHES_PER_QUERY`.

        Those of a later release are left alone.
        """
        query = {"state": BatchState.OPEN, "format": {"$lte": FORMAT}, **_idle(seconds)}
        cursor = self._collection.find(query, {"_id": 1})
        return [document["_id"] async for document in cursor.sort("touchedAt", 1).limit(MAX_BATCHES_PER_QUERY)]

    async def stalled(self) -> list[str]:
        """Return the ids of batches in SEALING whose lease has expired, at most `MAX_BATCHES_PER_QUERY`."""
        cursor = self._collection.find({"state": BatchState.SEALING, **leases.EXPIRED}, {"_id": 1})
        return [document["_id"] async for document in cursor.sort("lease.until", 1).limit(MAX_BATCHES_PER_QUERY)]

    async def which_are_in_progress(self, ids: Sequence[str]) -> set[str]:
        """Return those of the batches that are in progress, whatever their format."""
        query = {"_id": {"$in": list(ids)}, "state": {"$in": sorted(IN_PROGRESS)}}
        return {document["_id"] async for document in self._collection.find(query, {"_id": 1})}

    async def close(self, ids: Sequence[str], refusal: Refusal) -> None:
        """Abort those of the batches that are in progress. Processes that work on them lose their leases."""
        query = {"_id": {"$in": list(ids)}, "state": {"$in": sorted(IN_PROGRESS)}}
        fields = {"state": BatchState.ABORTED, **to_fields({"refusal": refusal})}
        aborted = {name: {"$literal": value} for name, value in fields.items()}
        ended = {"finishedAt": "$$NOW", "lease.token": {"$add": ["$lease.token", 1]}}
        await self._collection.update_many(query, [{"$set": {**aborted, **ended}}])

    async def remove(self, ids: Sequence[str]) -> None:
        """Delete the records of batches. The caller must `close` them first, so that no process holds their leases."""
        await self._collection.delete_many({"_id": {"$in": list(ids)}})

    async def lease(self, batch_id: str, *, idle: float | None = None) -> Batch | None:
        """Take the lease of an open batch, to commit or abort it; return None if it is no longer open.

        With `idle`, only if the batch was not touched in the last `idle` seconds.
        """
        untouched = {} if idle is None else _idle(idle)
        taken = await self._collection.find_one_and_update(
            {"_id": batch_id, "state": BatchState.OPEN, **untouched},
            [leases.acquire()],
            return_document=ReturnDocument.AFTER,
        )
        return from_document(taken) if taken else None

    async def touch(self, batch_id: str, stored: int = 0) -> bool:
        """Note that an open batch is used, and add to its number of stored rows. False if it is not open."""
        result = await self._collection.update_one(
            {"_id": batch_id, "state": BatchState.OPEN},
            {"$currentDate": {"touchedAt": True}, "$inc": {"received": stored, "stored": stored}},
        )
        return bool(result.matched_count)

    # Writes that need the lease

    async def take_over(self, batch_id: str) -> Batch | None:
        """Take the expired lease of a batch in progress; return None if the batch is leased or finished.

        A batch in OPEN can be continued only by a process that has its rows.
        """
        taken = await self._collection.find_one_and_update(
            {"_id": batch_id, "format": {"$lte": FORMAT}, "state": {"$in": list(IN_PROGRESS)}, **leases.EXPIRED},
            [leases.acquire()],
            return_document=ReturnDocument.AFTER,
        )
        return from_document(taken) if taken else None

    async def renew(self, batch: Batch, received: int, stored: int) -> bool:
        """Renew the lease and store the progress; return False if another process has the lease."""
        progress = {"$set": {"received": received, "stored": stored, "touchedAt": "$$NOW"}}
        result = await self._collection.update_one(_held(batch), [leases.renew(), progress])
        return bool(result.matched_count)

    async def release(self, batch: Batch) -> None:
        """End the lease, so that any process can take the batch over at once."""
        await self._collection.update_one(_held(batch), [leases.release()])

    async def advance(
        self, batch: Batch, state: BatchState, session: AsyncClientSession | None = None, **changes: Any
    ) -> Batch:
        """Move a batch to its next state and set fields. Raises `LeaseLost` if another process has the lease."""
        if state not in FOLLOWS[batch.state]:
            raise AssertionError(f"A batch cannot go from {batch.state} to {state}.")
        moved = await self._collection.find_one_and_update(
            {**_held(batch), "state": batch.state},
            {"$set": {"state": state, **to_fields(changes)}},
            session=session,
            return_document=ReturnDocument.AFTER,
        )
        if moved is None:
            raise LeaseLost(f"Another process has taken over batch {batch.id}; look at its state.")
        return from_document(moved)


def _held(batch: Batch) -> Document:
    return {"_id": batch.id, "lease.token": batch.token}


def _with_key(price_list: str, key: str) -> Document:
    """Return the query for the batch of an idempotency key, with the condition of the partial index."""
    return {"list": price_list, "key": {"$eq": key, "$type": "string"}}


def _idle(seconds: float) -> Document:
    return {"$expr": {"$lt": ["$touchedAt", {"$subtract": ["$$NOW", int(seconds * 1000)]}]}}


def _filter(price_list: str | None, state: BatchState | None) -> Document:
    return {name: value for name, value in (("list", price_list), ("state", state)) if value is not None}
