"""Price lists with their pointers. The pointer is the document of a list that names its current version.

A pointer changes only in a transaction, and each change increments its `revision`: of two copies of a pointer, the one
with the higher revision is newer, also after a rollback.
"""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.gates import Gates
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.catalog.retention import DEFAULT_RETENTION, Retention
from storage.errors import Conflict, InvalidArgument, PriceListNotFound, shown
from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import decode_decimals, encode_decimals, read_each, to_document

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


class PriceList(msgspec.Struct, frozen=True, rename="camel"):
    """A price list and its pointer.

    `current_version` is None until a batch is published, `published_version` the highest version that was ever
    current, `last_version` the highest that was ever assigned. `compactions` counts the folds of its layers. Held
    batches with a version below `superseded_before` that only a pin held are superseded, and are being rejected; None
    if there are none. `moved_at` is the database's time of the pointer's last change; it is set only by the `Watcher`
    and is not stored.
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
    moved_at: datetime.datetime | None = None

    def expect(self, version: int | None) -> None:
        """Raise `Conflict` unless `version` is current; None expects nothing."""
        if version is not None and version != self.current_version:
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


class PriceListRepository:
    """The price lists of a database. A `list_filter` limits a query to the lists that it contains."""

    def __init__(self, db: Database) -> None:
        self._collection = db["price_lists"]

    async def find(self, name: str) -> PriceList | None:
        """Return a list with its pointer, or None."""
        found = await self._collection.find_one({"_id": name}) if is_name(name) else None
        return from_document(found) if found else None

    async def get(self, name: str, session: AsyncClientSession | None = None) -> PriceList:
        """Return a list with its pointer. Raises `PriceListNotFound`."""
        found = await self._collection.find_one({"_id": name}, session=session) if is_name(name) else None
        if not found:
            raise PriceListNotFound(name)
        return from_document(found)

    async def by_name(
        self, limit: int | None = None, after: str = "", list_filter: ListFilter = ALL_LISTS
    ) -> Sequence[PriceList]:
        """Return up to `limit` readable lists whose names follow `after`, in the order of their names."""
        cursor = self._collection.find({"_id": {"$gt": after}, **list_filter.query("_id")}).sort("_id", 1)
        return await read_each(cursor.batch_size(limit or 0), from_document, limit)

    async def names(self) -> list[str]:
        """Return the names of all lists."""
        return [document["_id"] async for document in self._collection.find({}, {"_id": 1}).sort("_id", 1)]

    async def current_versions(self, limit: int, after: str) -> list[tuple[str, int]]:
        """Return up to `limit` lists whose names follow `after` and that have a version, each with its current one."""
        query = {"_id": {"$gt": after}, "version": {"$type": "number"}}
        cursor = self._collection.find(query, {"version": 1}).sort("_id", 1).limit(limit)
        return [(document["_id"], document["version"]) async for document in cursor]

    async def count(self, list_filter: ListFilter = ALL_LISTS) -> int:
        """Return the number of lists."""
        return await self._collection.count_documents(list_filter.query("_id"))

    async def add(self, price_list: PriceList, session: AsyncClientSession) -> None:
        """Write a new list. Raises the driver's `DuplicateKeyError` if the name is taken."""
        await self._collection.insert_one(_to_document(price_list), session=session)

    async def move(self, seen: PriceList, session: AsyncClientSession, *, events: int = 1, **changes: Any) -> PriceList:
        """Write `changes` and the revision after as many `events`, if the pointer still has the revision of `seen`.

        If another transaction changed the pointer, the server reports a write conflict and the driver retries.
        """
        moved = msgspec.structs.replace(seen, revision=seen.revision + events, **changes)
        result = await self._collection.update_one(
            {"_id": seen.name, "revision": seen.revision}, {"$set": _to_document(moved)}, session=session
        )
        if not result.matched_count:
            raise AssertionError(f"The pointer of {seen.name!r} was changed outside of a transaction.")
        return moved

    async def note_compaction(self, name: str, session: AsyncClientSession) -> None:
        """Count a compaction, so that its transaction conflicts with those that publish. The revision stays."""
        await self._collection.update_one({"_id": name}, {"$inc": {"compactions": 1}}, session=session)


def _to_document(price_list: PriceList) -> Document:
    document = to_document(price_list)
    del document["movedAt"]
    document["gates"] = encode_decimals(document["gates"])
    return document


def from_document(document: Document) -> PriceList:
    """Return the list of a stored document. Raises `UnknownFormat`."""
    check_format("price list", document)
    return msgspec.convert({**document, "gates": decode_decimals(document.get("gates") or {})}, PriceList)
