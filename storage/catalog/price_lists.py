"""Price lists with their pointers. The pointer is the document of a list that names its current version.

A pointer changes only in a transaction, and each change increments its `revision`: of two copies of a pointer, the one
with the higher revision is newer, also after a rollback.

The document of a deleted list stays as a tombstone. It has no version, and keeps `last_version` and `revision`: ids,
ETags and cursors name them, so they go on from there when the name is created again.
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from pymongo import ReturnDocument, UpdateMany
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.gates import Gates
from storage.catalog.retention import DEFAULT_RETENTION, Retention
from storage.errors import Conflict, InvalidArgument, PriceListNotFound, shown
from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import decode_decimals, encode_decimals, set_each, to_document, value_of_each

NEVER = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
"""The `moved_at` of a list that is not written yet."""

_name = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}").fullmatch

MAX_DESCRIPTION_LENGTH = 1000
"""Number of characters that the description of a list may have."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The version at which a pointer is held, since when, by whom and why."""

    version: int
    reason: str
    by: str
    at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Deletion:
    """When a list was deleted, and whether all of its versions and batches have been removed since."""

    at: datetime.datetime
    purged: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseMark:
    """The release whose transaction made a pointer what it is, and the number of lists that the transaction moved."""

    id: str
    lists: int


class PriceList(msgspec.Struct, frozen=True, rename="camel"):
    """A price list and its pointer.

    `current_version` is None until a batch is published, `published_version` the highest version that was ever
    current, `last_version` the highest that was ever assigned. `compactions` counts the folds of its layers. Held
    batches with a version below `superseded_before` that only a pin held are superseded, and are being rejected; None
    if there are none. `deletion` is set in the tombstone of a deleted list. `next_change_at` is when its next scheduled
    batch is due; None if there is none. `release` is set if a release changed it last. `moved_at` is when the pointer
    last changed, by the clock of the database; it never decreases from one revision to the next, whichever member wrote
    it.
    """

    name: str = msgspec.field(name="_id")
    description: str | None
    current_version: int | None = msgspec.field(name="version")
    last_version: int
    revision: int
    pin: Pin | None
    created_at: datetime.datetime
    published_version: int = 0
    compactions: int = 0
    gates: Gates = Gates()
    retention: Retention = DEFAULT_RETENTION
    superseded_before: int | None = None
    deletion: Deletion | None = None
    next_change_at: datetime.datetime | None = None
    release: ReleaseMark | None = None
    moved_at: datetime.datetime = NEVER

    def expect(self, version: int | None) -> None:
        """Raise `Conflict` unless `version` is current; 0 expects that no version is yet, None expects nothing."""
        if version is not None and version != (self.current_version or 0):
            raise Conflict(self.name, version, self.current_version)


def is_name(text: str) -> bool:
    """Whether a price list can have this name. Other names are not looked up."""
    return _name(text) is not None


def check_name(name: str, path: tuple[str, ...] = ("input", "name")) -> None:
    """Raise `InvalidArgument` for a name that a price list cannot have."""
    if not is_name(name):
        raise InvalidArgument(
            f"{shown(name)} cannot name a price list: use 1 to 63 of a-z, 0-9, '.', '_' and '-', "
            "a letter or digit first.",
            path=path,
        )


def check_description(description: str | None) -> None:
    """Raise `InvalidArgument` for a description that is too long."""
    if description is not None and len(description) > MAX_DESCRIPTION_LENGTH:
        raise InvalidArgument(
            f"A description may have at most {MAX_DESCRIPTION_LENGTH} characters; this one has {len(description)}.",
            path=("input", "description"),
        )


_STORED_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(PriceList)}

_NOT_DELETED: Document = {"deletion": None}

_MOVED_AT: Document = {"$max": ["$$NOW", "$movedAt"]}
"""The time of a change: after a failover, the clock of the new primary may be behind that of the earlier one."""


class PriceListRepository:
    """The price lists of a database.

    For its methods deleted lists do not exist, unless they say so.
    """

    def __init__(self, db: Database) -> None:
        self._collection = db["price_lists"]
        self._snapshots = db["snapshots"]

    async def find(self, name: str) -> PriceList | None:
        """Return a list with its pointer, or None."""
        found = await self.find_with_deleted(name)
        return None if found is None or found.deletion else found

    async def find_with_deleted(self, name: str, session: AsyncClientSession | None = None) -> PriceList | None:
        """Return a list, or the tombstone of a deleted one; None if the name was never used."""
        found = await self._collection.find_one({"_id": name}, session=session) if is_name(name) else None
        return from_document(found) if found else None

    async def get(self, name: str, session: AsyncClientSession | None = None) -> PriceList:
        """Return a list with its pointer. Raises `PriceListNotFound`."""
        found = await self.find_with_deleted(name, session)
        if found is None or found.deletion:
            raise PriceListNotFound(name)
        return found

    async def get_all(self, names: Sequence[str], session: AsyncClientSession | None = None) -> dict[str, PriceList]:
        """Return those of the lists that exist, by name, with one command."""
        cursor = self._collection.find({"_id": {"$in": list(names)}, **_NOT_DELETED}, session=session)
        return {document["_id"]: from_document(document) async for document in cursor}

    async def revisions(self, names: Sequence[str]) -> dict[str, int]:
        """Return the revisions of those of the lists that exist, by name, with one command."""
        cursor = self._collection.find({"_id": {"$in": list(names)}, **_NOT_DELETED}, {"revision": 1})
        return {document["_id"]: document["revision"] async for document in cursor}

    async def names(self) -> list[str]:
        """Return the names of all lists, deleted ones included."""
        return [document["_id"] async for document in self._collection.find({}, {"_id": 1}).sort("_id", 1)]

    async def current_versions(self, limit: int, after: str) -> list[tuple[str, int]]:
        """Return up to `limit` lists whose names follow `after` and that have a version, each with its current one."""
        query = {"_id": {"$gt": after}, "version": {"$type": "number"}}
        cursor = self._collection.find(query, {"version": 1}).sort("_id", 1).limit(limit)
        return [(document["_id"], document["version"]) async for document in cursor]

    async def to_purge(self, limit: int) -> list[str]:
        """Return the names of up to `limit` deleted lists that may have versions and batches still."""
        cursor = self._collection.find({"deletion.purged": False}, {"_id": 1}).sort("deletion.at", 1).limit(limit)
        return [document["_id"] async for document in cursor]

    async def note_purged(self, deleted: PriceList) -> None:
        """Note that all versions and batches of a deleted list are removed."""
        query = {"_id": deleted.name, "revision": deleted.revision, "deletion.purged": False}
        await self._collection.update_one(query, {"$set": {"deletion.purged": True}})

    async def create(self, price_list: PriceList, session: AsyncClientSession) -> PriceList:
        """Write a list, in a transaction that has found none of its name, or its tombstone.

        Returns it with the time of the database. Raises the driver's `DuplicateKeyError` if the name was taken since.
        """
        document = _to_document(price_list)
        now = {"createdAt": "$$NOW", "movedAt": _MOVED_AT}
        written = await self._collection.find_one_and_update(
            {"_id": price_list.name, "revision": {"$lt": price_list.revision}},
            [{"$replaceWith": {"$mergeObjects": [{"$literal": document}, now]}}],
            upsert=True,
            projection={"movedAt": 1, "createdAt": 1},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        times = cast("Document", written)
        return msgspec.structs.replace(price_list, created_at=times["createdAt"], moved_at=times["movedAt"])

    async def move(self, seen: PriceList, session: AsyncClientSession, *, events: int = 1, **changes: Any) -> PriceList:
        """Write `changes` and the revision after as many `events`, if the pointer still has the revision of `seen`.

        If another transaction changed the pointer, the server reports a write conflict and the driver retries.
        """
        moved = _moved(seen, events, changes)
        written = await self._collection.find_one_and_update(
            {"_id": seen.name, "revision": seen.revision},
            [{"$set": _written(moved)}],
            projection={"movedAt": 1},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if written is None:
            raise _ChangedOutside(seen)
        moved = msgspec.structs.replace(moved, moved_at=written["movedAt"])
        await self._note_replacements([seen], [moved], session)
        return moved

    async def move_all(
        self, changes: Sequence[tuple[PriceList, Mapping[str, Any]]], session: AsyncClientSession
    ) -> list[PriceList]:
        """Write the changes of several lists, each with the next revision, by a few commands in all; see `move`.

        They move at one time, which is no earlier than that of any of them before.
        """
        before = [seen for seen, _ in changes]
        moved = [_moved(seen, 1, changed) for seen, changed in changes]
        names = [each.name for each in moved]
        written = {"revision", "release"}.union(*(map(_STORED_NAMES.__getitem__, changed) for _, changed in changes))
        fields = [{name: document[name] for name in sorted(written)} for document in map(_to_document, moved)]
        latest = max(each.moved_at for each in before)
        seen_revision = value_of_each(names, [each.revision for each in before])
        result = await self._collection.update_many(
            {"_id": {"$in": names}, "$expr": {"$eq": ["$revision", seen_revision]}},
            [set_each(names, fields), {"$set": {"movedAt": {"$max": ["$$NOW", latest]}}}],
            session=session,
        )
        if result.matched_count != len(names):
            raise _ChangedOutside(*before)
        written_first = await self._collection.find_one({"_id": names[0]}, {"movedAt": 1}, session=session)
        moved_at = cast("Document", written_first)["movedAt"]
        moved = [msgspec.structs.replace(each, moved_at=moved_at) for each in moved]
        await self._note_replacements(before, moved, session)
        return moved

    async def _note_replacements(
        self, seen: Sequence[PriceList], moved: Sequence[PriceList], session: AsyncClientSession
    ) -> None:
        """Note in the manifests when the versions of `seen` were replaced, and that those of `moved` are current.

        The lists moved at one time. Versions that were never current before are in no need of the latter.
        """
        replaced, current = list[Document](), list[Document]()
        for before, after in zip(seen, moved, strict=True):
            if before.current_version == after.current_version:
                continue
            if before.current_version is not None:
                replaced.append({"list": before.name, "version": before.current_version})
            if after.current_version is not None and after.current_version <= before.published_version:
                current.append({"list": after.name, "version": after.current_version})
        updates = list[UpdateMany]()
        if replaced:
            updates.append(UpdateMany({"_id": {"$in": replaced}}, {"$set": {"replacedAt": moved[0].moved_at}}))
        if current:
            updates.append(UpdateMany({"_id": {"$in": current}}, {"$unset": {"replacedAt": ""}}))
        if updates:
            await self._snapshots.bulk_write(updates, session=session)

    async def note_compaction(self, name: str, session: AsyncClientSession) -> None:
        """Count a compaction, so that its transaction conflicts with those that publish. The revision stays."""
        await self._collection.update_one({"_id": name}, {"$inc": {"compactions": 1}}, session=session)


class _ChangedOutside(AssertionError):
    def __init__(self, *seen: PriceList) -> None:
        names = ", ".join(repr(each.name) for each in seen)
        super().__init__(f"A pointer was changed outside of a transaction: {names}.")


def _moved(seen: PriceList, events: int, changes: Mapping[str, Any]) -> PriceList:
    """Return a pointer after `changes`. It keeps no mark of an earlier release."""
    return msgspec.structs.replace(seen, **{"revision": seen.revision + events, "release": None, **changes})


def _written(moved: PriceList) -> Document:
    """Return the fields of an update pipeline that writes a pointer."""
    return {**_literals(_to_document(moved)), "movedAt": _MOVED_AT}


def _literals(document: Document) -> Document:
    """Return the fields as expressions of an update pipeline, in which a text may not be taken for a field's path."""
    return {name: {"$literal": value} for name, value in document.items() if name != "_id"}


def _to_document(price_list: PriceList) -> Document:
    """Return the stored document of a list, without its time, which the database adds."""
    document = to_document(price_list)
    del document["movedAt"]
    document["gates"] = encode_decimals(document["gates"])
    return document


def from_document(document: Document) -> PriceList:
    """Return the list of a stored document. Raises `UnknownFormat`."""
    check_format("price list", document)
    return msgspec.convert({**document, "gates": decode_decimals(document.get("gates") or {})}, PriceList)
