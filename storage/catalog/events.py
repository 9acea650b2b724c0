"""Events: who did what to a price list, when and why. Append-only, numbered without gaps within a list."""

import datetime
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import to_document


class EventKind(StrEnum):
    """The kinds of events."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
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
    PREVIEW_GRANTED = "PREVIEW_GRANTED"
    PREVIEW_REVOKED = "PREVIEW_REVOKED"
    RESCHEDULED = "RESCHEDULED"
    KEPT = "KEPT"


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """An event of a price list. `revision` is its number within the list, from 1.

    `version` is the version that the event is about: of the batch, or the one that became current, was pinned or
    unpinned, expired, was restored or kept. None if it is about none. `release` is the id of the release whose change
    it records. `at` is the time of the database at the change; it never decreases from one event of a list to the next.
    """

    price_list: str = msgspec.field(name="list")
    revision: int
    kind: EventKind
    at: datetime.datetime
    by: str
    reason: str | None = None
    from_version: int | None = None
    to_version: int | None = None
    batch: str | None = None
    version: int | None = None
    release: str | None = None

    @property
    def moved(self) -> bool:
        """Whether the pointer moved to another version. Stored, so that indexes have the moves alone."""
        return self.from_version != self.to_version


class EventRepository:
    """The events of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["events"]

    async def append(self, event: Event, session: AsyncClientSession) -> None:
        """Write an event, in the transaction of the change that it records."""
        await self._collection.insert_one(_to_document(event), session=session)

    async def append_all(self, events: Sequence[Event], session: AsyncClientSession) -> None:
        """Write the events of one change, in its transaction."""
        await self._collection.insert_many(map(_to_document, events), session=session)

    async def exists(self, event: Event) -> bool:
        """Whether this event, and no other of its revision, was written."""
        return await self.between(event.price_list, event.revision - 1, event.revision) == [event]

    async def moved_by_releases(self, after: Mapping[str, int], session: AsyncClientSession) -> dict[str, str]:
        """Return the lists that a release moved to another version after a revision of each, with the release's id."""
        if not after:
            return {}
        later = [{"list": name, "revision": {"$gt": revision}} for name, revision in after.items()]
        query = {"$or": later, "moved": True, "release": {"$type": "string"}}
        cursor = self._collection.find(query, {"list": 1, "release": 1}, session=session)
        return {document["list"]: document["release"] async for document in cursor}

    async def newest(self, price_list: str, limit: int, before: int | None = None) -> list[Event]:
        """Return up to `limit` events of a list, newest first, with a revision below `before`."""
        query: dict[str, Any] = {"list": price_list}
        if before is not None:
            query["revision"] = {"$lt": before}
        cursor = self._collection.find(query).sort("revision", -1).limit(limit).batch_size(limit)
        return [event_from_document(document) async for document in cursor]

    async def between(self, price_list: str, above: int, to: int) -> list[Event]:
        """Return the events of a list with a revision above `above` and up to `to`, oldest first."""
        query = {"list": price_list, "revision": {"$gt": above, "$lte": to}}
        cursor = self._collection.find(query).sort("revision", 1)
        return [event_from_document(document) async for document in cursor]

    async def revisions(self, price_list: str) -> AsyncIterator[int]:
        """Yield the revisions of all events of a list in ascending order, from the index alone."""
        cursor = self._collection.find({"list": price_list}, {"_id": 0, "revision": 1}).sort("revision", 1)
        async for document in cursor:
            yield document["revision"]

    async def last_move(self, price_list: str, to: int) -> Event | None:
        """Return the last event up to revision `to` that moved the pointer, or None since the list was created."""
        query = {"list": price_list, "revision": {"$lte": to}, "moved": True}
        found = await self._collection.find_one(query, sort=[("revision", -1)])
        event = event_from_document(found) if found else None
        return event if event and event.to_version is not None else None  # the list was deleted, and created again


def _to_document(event: Event) -> Document:
    return {**to_document(event), "moved": event.moved}


def event_from_document(document: Document) -> Event:
    """Return the event of a document. Raises `UnknownFormat`."""
    check_format("event", document)
    return msgspec.convert(document, Event)
