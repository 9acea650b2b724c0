"""Price lists with their pointers: the one document that says which version of a list is current.

A pointer changes only inside a transaction of `storage.batches.publish`, and each change raises its `revision` by one:
of two copies of a pointer the one with the higher revision is the newer, also after a rollback.
"""

import datetime
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.gates import Gates, gates_from_document, gates_to_document
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.catalog.retention import DEFAULT_RETENTION, Retention
from storage.errors import Conflict, InvalidArgument, PriceListNotFound
from storage.mongodb.connection import FORMAT, Database, Document, check_format

_name = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}").fullmatch


@dataclass(frozen=True, slots=True)
class Pin:
    """The pointer held: since when, by whom and why."""

    version: int
    reason: str
    by: str
    at: datetime.datetime


@dataclass(frozen=True, slots=True)
class PriceList:
    """A list and its pointer.

    `current_version` is None until a first batch was published, `published_version` the highest that ever was
    current, `last_version` the highest that was ever given to a snapshot. `moved_at` is the database's time of the
    pointer's last change, known only of a pointer that was pushed; it is not stored.
    """

    name: str
    description: str | None
    current_version: int | None
    last_version: int
    revision: int
    pin: Pin | None
    created_at: datetime.datetime
    published_version: int = 0
    gates: Gates = field(default_factory=Gates)
    retention: Retention = DEFAULT_RETENTION
    moved_at: datetime.datetime | None = field(default=None, compare=False)

    def expect(self, version: int | None) -> None:
        """Raise `Conflict` unless `version` is current; None expects nothing."""
        if version is not None and version != self.current_version:
            raise Conflict(self.name, version, self.current_version)


def check_name(name: str) -> None:
    """Raise `InvalidArgument` unless `name` can name a price list."""
    if not _name(name):
        raise InvalidArgument(
            f"{name[:80]!r} cannot name a price list: use 1 to 63 of a-z, 0-9, '.', '_' and '-', "
            "a letter or digit first.",
            path=("input", "name"),
        )


class PriceListRepository:
    """The price lists of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["price_lists"]

    async def find(self, name: str) -> PriceList | None:
        """Return a list with its pointer as a majority has it now, or None."""
        found = await self._collection.find_one({"_id": name})
        return from_document(found) if found else None

    async def get(self, name: str, session: AsyncClientSession | None = None) -> PriceList:
        """Return a list with its pointer. Raises `PriceListNotFound`."""
        found = await self._collection.find_one({"_id": name}, session=session)
        if not found:
            raise PriceListNotFound(name)
        return from_document(found)

    async def by_name(
        self, limit: int | None = None, after: str = "", reach: ListFilter = ALL_LISTS
    ) -> Sequence[PriceList]:
        """Return lists within reach in the order of their names, those that follow `after`."""
        cursor = self._collection.find({"_id": {"$gt": after}, **reach.query("_id")}).sort("_id", 1).limit(limit or 0)
        return [from_document(document) async for document in cursor]

    async def names(self) -> list[str]:
        """Return the names of all lists."""
        return [document["_id"] async for document in self._collection.find({}, {"_id": 1}).sort("_id", 1)]

    async def count(self, reach: ListFilter = ALL_LISTS) -> int:
        """Return how many lists there are within reach."""
        return await self._collection.count_documents(reach.query("_id"))

    async def add(self, price_list: PriceList, session: AsyncClientSession) -> None:
        """Write a new list. Raises the driver's DuplicateKeyError where there is one of that name."""
        await self._collection.insert_one(_to_document(price_list), session=session)

    async def move(self, seen: PriceList, session: AsyncClientSession, **changes: Any) -> PriceList:
        """Compare and set: write `changes` and the next revision, if the pointer still has the revision `seen`.

        Within a transaction a pointer that was moved meanwhile is a write conflict, and the driver begins again.
        """
        moved = replace(seen, revision=seen.revision + 1, **changes)
        result = await self._collection.update_one(
            {"_id": seen.name, "revision": seen.revision}, {"$set": _to_document(moved)}, session=session
        )
        if not result.matched_count:
            raise AssertionError(f"The pointer of {seen.name!r} was moved outside of a transaction.")
        return moved


def _to_document(price_list: PriceList) -> Document:
    pin = price_list.pin
    return {
        "_id": price_list.name,
        "format": FORMAT,
        "description": price_list.description,
        "version": price_list.current_version,
        "publishedVersion": price_list.published_version,
        "lastVersion": price_list.last_version,
        "gates": gates_to_document(price_list.gates),
        "retention": asdict(price_list.retention),
        "revision": price_list.revision,
        "pin": pin and {"version": pin.version, "reason": pin.reason, "by": pin.by, "at": pin.at},
        "createdAt": price_list.created_at,
    }


def from_document(document: Document) -> PriceList:
    """Return the list of a stored document. Raises `UnknownFormat`."""
    check_format("price list", document)
    pin = document["pin"]
    return PriceList(
        document["_id"],
        document["description"],
        document["version"],
        document["lastVersion"],
        document["revision"],
        pin and Pin(pin["version"], pin["reason"], pin["by"], pin["at"]),
        document["createdAt"],
        document["publishedVersion"],
        gates_from_document(document["gates"]),
        Retention(**document["retention"]) if "retention" in document else DEFAULT_RETENTION,
    )
