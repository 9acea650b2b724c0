"""Queries of scheduled batches, in the order in which they are published; each from a partial index of these alone."""

import datetime
import logging
from collections.abc import Collection as Values
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch, from_document, to_fields
from storage.batches.states import BatchState
from storage.errors import Corrupt, LeaseLost
from storage.mongodb.connection import SCHEDULED, Collection, Document
from storage.mongodb.documents import raise_if_unreadable, read_each, read_or_error

log = logging.getLogger("pricebook.schedule")

_DUE_ORDER: Sequence[tuple[str, int]] = [("publishAt", 1), ("_id", 1)]

_PUBLISH_ORDER: Sequence[tuple[str, int]] = [("publishAt", 1), ("release", 1), ("_id", 1)]
"""At one instant, batches of their own go before releases, and releases in the order of their ids: so in each list."""

_OF_EXISTING_LISTS: Sequence[Document] = [
    {"$lookup": {"from": "price_lists", "localField": "_id", "foreignField": "_id", "as": "lists"}},
    {"$match": {"lists": {"$elemMatch": {"deletion": None}}}},
]
"""Stages that leave out the groups of deleted lists, whose batches are there until they are purged."""


class Due(NamedTuple):
    """A place in the order in which batches of a list are published.

    It is that of the instant; then batches of their own come before those of a `release`, in the order of its id.
    """

    at: datetime.datetime
    release: str | None
    batch: str


class NextScheduled(NamedTuple):
    """A scheduled batch, in how many seconds it is due by the time of the database, and the number of its rows.

    The time is negative once it was due. `release` is the id of the release that publishes it, if one does.
    """

    batch: str
    due_in: float
    rows: int
    release: str | None = None


class ScheduledBatches:
    """The scheduled batches of a database: those that are held and have an instant at which they are published."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def upcoming(self, price_list: str, limit: int, after: Due | None = None) -> list[Batch]:
        """Return up to `limit` scheduled batches of a list that follow `after`, the next first."""
        query: Document = {"list": price_list, **SCHEDULED}
        if after is not None:
            query["$or"] = [
                {"publishAt": {"$gt": after.at}},
                {"publishAt": after.at, "release": {"$gt": after.release or ""}},
                {"publishAt": after.at, "release": after.release, "_id": {"$gt": after.batch}},
            ]
            query["$and"] = [{"publishAt": {"$gte": after.at}}]
        cursor = self._collection.find(query).sort(_PUBLISH_ORDER).limit(limit)
        return [from_document(document) async for document in cursor]

    async def count_upcoming(self, price_list: str) -> int:
        """Return the number of scheduled batches of a list."""
        return await self._collection.count_documents({"list": price_list, **SCHEDULED})

    async def due_before(self, instant: datetime.datetime, limit: int) -> list[Batch]:
        """Return up to `limit` batches of all lists that are due before an instant, the next first.

        Unreadable batches are skipped.
        """
        query = {**SCHEDULED, "$and": [{"publishAt": {"$lt": instant}}]}
        cursor = self._collection.find(query).sort(_DUE_ORDER)
        return await read_each(cursor.batch_size(limit), from_document, limit)

    async def next_due(
        self, price_list: str, session: AsyncClientSession | None = None, *, besides: str | None = None
    ) -> datetime.datetime | None:
        """Return when the next scheduled batch of a list is due, `besides` one of them; None without any."""
        query = {"list": price_list, **SCHEDULED, "_id": {"$ne": besides}}
        found = await self._collection.find_one(query, {"publishAt": 1}, sort=_PUBLISH_ORDER, session=session)
        return cast("datetime.datetime", found["publishAt"]) if found else None

    async def read_held(self, ids: Sequence[str], session: AsyncClientSession) -> dict[str, Batch]:
        """Return those of the batches that are held, by id, as a transaction sees them; without damaged records.

        Raises `UnknownFormat`.
        """
        cursor = self._collection.find({"_id": {"$in": list(ids)}, "state": BatchState.HELD}, session=session)
        found = [read_or_error(from_document, document) async for document in cursor]
        sound = [raise_if_unreadable(each) for each in found if not isinstance(each, Corrupt)]
        return {batch.id: batch for batch in sound}

    async def scheduled_of_release(self, release: str) -> list[str]:
        """Return the ids of the scheduled batches of a release."""
        cursor = self._collection.find({"release": release, **SCHEDULED}, {"_id": 1})
        return [document["_id"] async for document in cursor]

    async def is_due_before(self, price_lists: Values[str], publish_at: datetime.datetime, release: str) -> bool:
        """Whether a batch of one of the lists is published before those of a release that is due at an instant.

        Damaged records are passed over.
        """
        query: Document = {"list": {"$in": sorted(price_lists)}, **SCHEDULED, "release": {"$ne": release}}
        query["$and"] = [{"publishAt": {"$lte": publish_at}}]
        async for document in self._collection.find(query):
            record = read_or_error(from_document, document)
            if isinstance(record, Corrupt):
                continue
            if document["publishAt"] < publish_at or (document.get("release") or "") < release:
                return True
        return False

    async def reschedule_all(
        self,
        changes: Sequence[tuple[str, Mapping[str, Any]]],
        publish_at: datetime.datetime | None,
        session: AsyncClientSession,
    ) -> None:
        """Give held batches another instant, or take it away, and set the fields of each, in one write.

        Raises `LeaseLost` if one of them is not HELD.
        """
        updates = [
            UpdateOne(
                {"_id": batch, "state": BatchState.HELD}, {"$set": to_fields({**fields, "publish_at": publish_at})}
            )
            for batch, fields in changes
        ]
        result = await self._collection.bulk_write(updates, session=session)
        if result.matched_count != len(updates):
            raise LeaseLost("Another process has ended some of the held batches; look at their states.")

    async def first_due(self, price_list: str, session: AsyncClientSession | None = None) -> Batch | None:
        """Return the first batch of a list that is due by the time of the database, or None.

        A damaged record is logged and skipped. Raises `UnknownFormat` for one of a later release, which publishes it.
        """
        due = {"$expr": {"$lte": ["$publishAt", "$$NOW"]}}
        found = await self._first_sound({"list": price_list, **due}, session)
        return from_document(found["document"]) if found else None

    async def next_scheduled(self, price_list: str) -> NextScheduled | None:
        """Return the next scheduled batch of a list; None without one. A damaged record is logged and skipped."""
        found = await self._first_sound({"list": price_list})
        if found is None:
            return None
        document = found["document"]
        due_in, rows = found["milliseconds"] / 1000, document.get("rows") or 0
        return NextScheduled(found["_id"], due_in, rows, document.get("release"))

    async def _first_sound(self, query: Document, session: AsyncClientSession | None = None) -> Document | None:
        """Return the document of the first scheduled batch, which a later release may have written, and its time."""
        fields = {"document": "$$ROOT", "milliseconds": {"$subtract": ["$publishAt", "$$NOW"]}}
        damaged = list[str]()
        while found := await self._collection.find_one(
            {**query, **SCHEDULED, "_id": {"$nin": damaged}}, fields, sort=_PUBLISH_ORDER, session=session
        ):
            record = read_or_error(from_document, found["document"])
            if not isinstance(record, Corrupt):
                return found
            log.error("Batch %s cannot be published, because its record is damaged: %s", found["_id"], record)
            damaged.append(found["_id"])
        return None

    async def next_due_by_list(self, seconds: float) -> dict[str, datetime.datetime]:
        """Return when the next batch is due of each list that has one due within `seconds`, without deleted lists."""
        stages: list[Document] = [
            {"$match": {**SCHEDULED, "$expr": {"$lte": ["$publishAt", _after_now(seconds)]}}},
            {"$group": {"_id": "$list", "at": {"$min": "$publishAt"}}},
            *_OF_EXISTING_LISTS,
        ]
        return {each["_id"]: each["at"] async for each in await self._collection.aggregate(stages)}

    async def count_scheduled(self) -> dict[str, int]:
        """Return the number of scheduled batches by list."""
        stages: list[Document] = [{"$match": dict(SCHEDULED)}, {"$group": {"_id": "$list", "count": {"$sum": 1}}}]
        return {each["_id"]: each["count"] async for each in await self._collection.aggregate(stages)}

    async def count_overdue(self, seconds: float) -> int:
        """Return the number of scheduled batches that were due more than `seconds` ago, without deleted lists.

        Those of a release count as one.
        """
        stages: list[Document] = [
            {"$match": {**SCHEDULED, "$expr": {"$lt": ["$publishAt", _after_now(-seconds)]}}},
            {"$group": {"_id": "$list", "overdue": {"$addToSet": {"$ifNull": ["$release", "$_id"]}}}},
            *_OF_EXISTING_LISTS,
        ]
        return len({each async for found in await self._collection.aggregate(stages) for each in found["overdue"]})


def _after_now(seconds: float) -> Document:
    """Return the expression of the time of the database in `seconds`."""
    return {"$add": ["$$NOW", int(seconds * 1000)]}
