"""Events: who did what to a price list, when and why. Append-only, numbered without a gap within a list."""

import datetime
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.mongodb.connection import FORMAT, Database, Document, check_format


class EventKind(StrEnum):
    """What happened."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    PUBLISHED = "PUBLISHED"
    ROLLED_BACK = "ROLLED_BACK"
    PINNED = "PINNED"
    UNPINNED = "UNPINNED"
    HELD = "HELD"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    ABORTED = "ABORTED"
    FAILED = "FAILED"
    RETIRED = "RETIRED"
    RESTORED = "RESTORED"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry. `revision` is its number within the list, from 1."""

    price_list: str
    revision: int
    kind: EventKind
    at: datetime.datetime
    by: str
    reason: str | None = None
    from_version: int | None = None
    to_version: int | None = None
    batch: str | None = None

    @property
    def moved(self) -> bool:
        """Whether the pointer was moved."""
        return self.from_version != self.to_version


class EventRepository:
    """The events of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["events"]

    async def append(self, event: Event, session: AsyncClientSession) -> None:
        """Write an event in the transaction that does what it tells of."""
        await self._collection.insert_one(_to_document(event), session=session)

    async def newest(self, price_list: str, limit: int, before: int | None = None) -> list[Event]:
        """Return up to `limit` events of a list, newest first, with a revision under `before`."""
        query: dict[str, Any] = {"list": price_list}
        if before is not None:
            query["revision"] = {"$lt": before}
        cursor = self._collection.find(query).sort("revision", -1).limit(limit)
        return [_from_document(document) async for document in cursor]

    async def between(self, price_list: str, above: int, to: int) -> list[Event]:
        """Return the events of a list with a revision above one and up to another, in their order."""
        query = {"list": price_list, "revision": {"$gt": above, "$lte": to}}
        return [_from_document(document) async for document in self._collection.find(query).sort("revision", 1)]

    async def revisions(self, price_list: str) -> AsyncIterator[int]:
        """Return the revisions of all events of a list, in their order; the index alone is read."""
        cursor = self._collection.find({"list": price_list}, {"_id": 0, "revision": 1}).sort("revision", 1)
        async for document in cursor:
            yield document["revision"]

    async def last_move(self, price_list: str, to: int) -> Event | None:
        """Return the event by which the pointer came where it is at a revision; None before its first move."""
        query = {"list": price_list, "revision": {"$lte": to}, "$expr": {"$ne": ["$fromVersion", "$toVersion"]}}
        found = await self._collection.find_one(query, sort=[("revision", -1)])
        return _from_document(found) if found else None


def _to_document(event: Event) -> Document:
    return {
        "format": FORMAT,
        "list": event.price_list,
        "revision": event.revision,
        "kind": event.kind,
        "at": event.at,
        "by": event.by,
        "reason": event.reason,
        "fromVersion": event.from_version,
        "toVersion": event.to_version,
        "batch": event.batch,
    }


def _from_document(document: Document) -> Event:
    check_format("event", document)
    return Event(
        document["list"],
        document["revision"],
        EventKind(document["kind"]),
        document["at"],
        document["by"],
        document["reason"],
        document["fromVersion"],
        document["toVersion"],
        document["batch"],
    )
