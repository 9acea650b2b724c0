"""Releases: several batches, each of its own list, that are published in one transaction. The records of a database."""

import datetime
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, cast

import msgspec
from bson.objectid import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.errors import Broken, Refused, shown
from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.mongodb.documents import read_each, read_or_error, to_builtins

MAX_LISTS = 100
"""Lists of a release: their pointers, manifests, events and batches are written in one transaction."""

MAX_ID_LENGTH = 64
"""Characters of a release's id. Longer ids are not looked up."""


class ReleaseState(StrEnum):
    """The state of a release. OPEN and SCHEDULED ones take batches; nothing follows DISCARDED and ROLLED_BACK."""

    OPEN = "OPEN"
    SCHEDULED = "SCHEDULED"
    PUBLISHED = "PUBLISHED"
    ROLLED_BACK = "ROLLED_BACK"
    DISCARDED = "DISCARDED"


UNPUBLISHED = frozenset({ReleaseState.OPEN, ReleaseState.SCHEDULED})
"""The states of releases that take batches, and that can be published."""


class ReleaseNotFound(Refused):
    """No release has this id, or the caller may not see it."""

    code = "RELEASE_NOT_FOUND"

    def __init__(self, release_id: str) -> None:
        super().__init__(
            f"There is no release {shown(release_id)}. `releases` lists those that you may see.",
            path=("input", "release"),
        )


class ReleaseNotOpen(Refused):
    """The release is in a state in which it neither takes batches, nor can be published, scheduled or discarded."""

    code = "RELEASE_NOT_OPEN"

    def __init__(self, release_id: str, state: ReleaseState, remedy: str = "Create a new release.") -> None:
        super().__init__(f"Release {release_id} is {state}. {remedy}", path=("input", "release"))


class ReleaseFull(Refused):
    """The release has as many lists as a release can have."""

    code = "RELEASE_FULL"

    def __init__(self, release_id: str) -> None:
        super().__init__(
            f"Release {release_id} has {MAX_LISTS} lists already, the most that are published in one transaction. "
            "Send the batches of further lists with another release.",
            path=("input", "release"),
        )


class ReleaseItem(msgspec.Struct, frozen=True, rename="camel"):
    """One list of a release, and its batch.

    Once the release is published, `from_version` was current before it (None without one), `to_version` was made
    current by it, and `revision` is that of the pointer then.
    """

    price_list: str = msgspec.field(name="list")
    batch: str
    from_version: int | None = None
    to_version: int | None = None
    revision: int | None = None


class Release(msgspec.Struct, frozen=True, rename="camel"):
    """The record of a release. Its items are the sealed batches that it publishes, by the names of their lists.

    `key` is the idempotency key of its creation, unique among those of `created_by`, and `fingerprint` the digest of
    that request. `touched_at` is when it, or one of
    its batches, was last changed. `publish_at` is when it is to be published; the state is SCHEDULED then.
    `scheduled_by` gave it that instant last, unless its creation did.
    """

    id: str = msgspec.field(name="_id")
    name: str
    key: str
    state: ReleaseState
    created_by: str
    created_at: datetime.datetime
    touched_at: datetime.datetime
    items: tuple[ReleaseItem, ...] = ()
    publish_at: datetime.datetime | None = None
    published_at: datetime.datetime | None = None
    fingerprint: str | None = None
    scheduled_by: str | None = None

    def item(self, price_list: str) -> ReleaseItem | None:
        """Return the item of a list, or None."""
        return next((item for item in self.items if item.price_list == price_list), None)


_STORED_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(Release)}


def release_from_document(document: Document) -> Release:
    """Return the release of a stored document. Raises `UnknownFormat`."""
    check_format("release", document)
    return msgspec.convert(document, Release)


def check_room(release: Release, price_list: str) -> None:
    """Raise `ReleaseNotOpen` or `ReleaseFull` unless a release takes a batch of a list."""
    if release.state not in UNPUBLISHED:
        raise ReleaseNotOpen(release.id, release.state)
    if len(release.items) >= MAX_LISTS and release.item(price_list) is None:
        raise ReleaseFull(release.id)


class ReleaseRepository:
    """The releases of a database. With a `list_filter` there are only those that have one of its lists, or no list."""

    def __init__(self, db: Database) -> None:
        self._collection = db["releases"]

    async def create(
        self,
        name: str,
        key: str,
        by: str,
        publish_at: datetime.datetime | None = None,
        fingerprint: str | None = None,
    ) -> tuple[Release, bool]:
        """Return the release of a caller's idempotency key, and whether this call created it."""
        release_id = str(ObjectId())
        document = {
            "_id": release_id,
            "format": FORMAT,
            "name": name,
            "key": key,
            "state": ReleaseState.SCHEDULED if publish_at else ReleaseState.OPEN,
            "createdBy": by,
            "items": [],
            "publishAt": publish_at,
            "publishedAt": None,
            "fingerprint": fingerprint,
        }
        try:
            created = await self._collection.find_one_and_update(
                {"_id": release_id},
                [
                    {"$set": {field: {"$literal": value} for field, value in document.items()}},
                    {"$set": {"createdAt": "$$NOW", "touchedAt": "$$NOW"}},
                ],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            found = await self.by_key(by, key)
            if found is None:
                raise
            return found, False
        return release_from_document(cast("Document", created)), True

    async def by_key(self, by: str, key: str) -> Release | None:
        """Return the release of a caller's idempotency key, or None."""
        found = await self._collection.find_one({"createdBy": by, "key": key})
        return release_from_document(found) if found else None

    async def find(self, release_id: str, session: AsyncClientSession | None = None) -> Release | None:
        """Return a release, or None."""
        if len(release_id) > MAX_ID_LENGTH:
            return None
        found = await self._collection.find_one({"_id": release_id}, session=session)
        return release_from_document(found) if found else None

    async def get(self, release_id: str, session: AsyncClientSession | None = None) -> Release:
        """Return a release. Raises `ReleaseNotFound`."""
        found = await self.find(release_id, session)
        if found is None:
            raise ReleaseNotFound(release_id)
        return found

    async def get_many(self, ids: Sequence[str]) -> list[Release | Broken | None]:
        """Return the releases of these ids in their order, or the errors of unreadable ones; one round trip."""
        possible = [release_id for release_id in ids if len(release_id) <= MAX_ID_LENGTH]
        if not possible:
            return [None] * len(ids)
        cursor = self._collection.find({"_id": {"$in": possible}})
        found = {document["_id"]: read_or_error(release_from_document, document) async for document in cursor}
        return [found.get(release_id) for release_id in ids]

    async def newest(
        self,
        limit: int,
        *,
        state: ReleaseState | None = None,
        before: str | None = None,
        list_filter: ListFilter = ALL_LISTS,
    ) -> list[Release]:
        """Return up to `limit` releases that are older than the release `before`, newest first."""
        query = _query(state, list_filter)
        if before is not None:
            query["_id"] = {"$lt": before}
        cursor = self._collection.find(query).sort("_id", -1)
        return await read_each(cursor.batch_size(limit), release_from_document, limit)

    async def count(self, *, state: ReleaseState | None = None, list_filter: ListFilter = ALL_LISTS) -> int:
        """Return the number of releases."""
        return await self._collection.count_documents(_query(state, list_filter))

    async def touch(self, release_id: str) -> Release:
        """Note that a release that takes batches is used. Raises `ReleaseNotFound`, `ReleaseNotOpen`."""
        touched = None
        if len(release_id) <= MAX_ID_LENGTH:
            touched = await self._collection.find_one_and_update(
                {"_id": release_id, "format": {"$lte": FORMAT}, "state": {"$in": sorted(UNPUBLISHED)}},
                {"$currentDate": {"touchedAt": True}},
                return_document=ReturnDocument.AFTER,
            )
        if touched is None:
            raise ReleaseNotOpen(release_id, (await self.get(release_id)).state)
        return release_from_document(touched)

    async def count_unpublished(self) -> int:
        """Return the number of releases that are open or scheduled."""
        return await self._collection.count_documents({"state": {"$in": sorted(UNPUBLISHED)}})

    async def idle(self, days: int, limit: int) -> list[Release]:
        """Return up to `limit` OPEN releases that were not touched in the last `days`."""
        cutoff = {"$subtract": ["$$NOW", days * 86_400_000]}
        query = {"state": ReleaseState.OPEN, "$expr": {"$lt": ["$touchedAt", cutoff]}}
        cursor = self._collection.find(query).sort("touchedAt", 1)
        return await read_each(cursor.batch_size(limit), release_from_document, limit)

    async def update(self, seen: Release, session: AsyncClientSession, **changes: Any) -> Release:
        """Set fields of a release, and note that it was touched, in a transaction that has read it as `seen`."""
        stored = to_builtins({_STORED_NAMES[name]: value for name, value in changes.items()})
        updated = await self._collection.find_one_and_update(
            {"_id": seen.id},
            [
                {"$set": {name: {"$literal": value} for name, value in stored.items()}},
                {"$set": {"touchedAt": "$$NOW"}},
            ],
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if updated is None:
            raise ReleaseNotFound(seen.id)
        return release_from_document(updated)


def _query(state: ReleaseState | None, list_filter: ListFilter) -> Document:
    query: Document = {} if state is None else {"state": state}
    if not list_filter.everything:  # one element must fulfil both ends of a range
        query["$or"] = [{"items": []}, {"items": {"$elemMatch": list_filter.query("list")}}]
    return query
