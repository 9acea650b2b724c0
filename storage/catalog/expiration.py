"""Expiry: the queries and writes of retention. Each query reads an index, and no more documents than it returns.

A query uses a partial index only if it repeats the condition of the index: a bound alone does not imply the type.
"""

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.keep import Keep
from storage.catalog.snapshots import Snapshot, SnapshotState
from storage.mongodb.connection import Database, Document
from storage.mongodb.documents import to_builtins


class ReplacedVersion(NamedTuple):
    """A version that was current until it was replaced, and what decides whether it expires."""

    version: int
    published_at: datetime.datetime
    replaced_at: datetime.datetime
    keep: Keep | None = None
    read_at: datetime.datetime | None = None
    doomed_at: datetime.datetime | None = None

    def is_unchanged_in(self, snapshot: Snapshot) -> bool:
        """Whether the manifest of the version still says the same."""
        found = (snapshot.replaced_at, snapshot.keep, snapshot.read_at, snapshot.doomed_at)
        return found == (self.replaced_at, self.keep, self.read_at, self.doomed_at)


class MarkedVersion(NamedTuple):
    """A version that is marked as expiring, and when it was last replaced; None if it is current again."""

    version: int
    replaced_at: datetime.datetime | None


class KeptVersion(NamedTuple):
    """A version that is kept until an instant, and why."""

    version: int
    until: datetime.datetime
    reason: str


class ExpiredVersion(NamedTuple):
    """An expired version that can be restored still, and when it expired."""

    version: int
    retired_at: datetime.datetime


class ExpirationRepository:
    """What retention reads and writes of the manifests of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["snapshots"]

    async def oldest_of_newest(self, price_list: str, count: int) -> int | None:
        """Return the lowest of the `count` newest published versions of a list, or None if it has fewer.

        It comes from an index alone, which is read from its newest version on.
        """
        cursor = self._collection.find(_published(price_list), {"_id.version": 1}).hint("list_newest")
        newest = cursor.sort([("_id.list", 1), ("_id.version", -1)]).skip(count - 1).limit(1)
        return next((document["_id"]["version"] for document in await newest.to_list()), None)

    async def replaced(
        self, price_list: str, below: int, limit: int, since: datetime.datetime | None, besides: Sequence[int]
    ) -> list[ReplacedVersion]:
        """Return up to `limit` published versions `below` a version that were replaced, in the order of that time.

        Only those replaced at `since` or later, without the versions `besides`.
        """
        query = {
            **_published(price_list),
            "replacedAt": _DATE if since is None else {**_DATE, "$gte": since},
            "_id.version": {"$lt": below, "$nin": list(besides)},
        }
        cursor = self._collection.find(query, _DECIDING).hint("list_replaced")
        found = await cursor.sort([("_id.list", 1), ("replacedAt", 1), ("_id.version", 1)]).limit(limit).to_list()
        return [_replaced_version(each) for each in found]

    async def marked(self, price_list: str, limit: int) -> list[MarkedVersion]:
        """Return up to `limit` published versions that are marked as expiring, oldest marks first."""
        query = {**_published(price_list), "doomedAt": _DATE}
        cursor = self._collection.find(query, {"replacedAt": 1}).hint("list_expiring").limit(limit)
        return [MarkedVersion(document["_id"]["version"], document.get("replacedAt")) async for document in cursor]

    async def kept(self, price_list: str, now: datetime.datetime, limit: int) -> list[KeptVersion]:
        """Return up to `limit` versions that are kept until an instant after `now`, in the order of these instants."""
        query = {**_published(price_list), "keep.until": {**_DATE, "$gt": now}}
        cursor = self._collection.find(query, {"keep": 1}).hint("list_kept")
        found = cursor.sort([("_id.list", 1), ("keep.until", 1)]).limit(limit)
        return [
            KeptVersion(each["_id"]["version"], each["keep"]["until"], each["keep"]["reason"]) async for each in found
        ]

    async def expired(self, price_list: str, limit: int) -> list[ExpiredVersion]:
        """Return up to `limit` expired versions that can be restored still, those that expired first."""
        query = {"_id.list": price_list, "state": SnapshotState.RETIRED, "doomedAt": _DATE}
        cursor = self._collection.find(query, {"retiredAt": 1}).hint("list_expiring").limit(limit)
        return [ExpiredVersion(each["_id"]["version"], each["retiredAt"]) async for each in cursor]

    async def layers(self, price_list: str, versions: Sequence[int]) -> dict[str, int]:
        """Return the layers of versions, each with one of the versions that name it."""
        cursor = self._collection.find({"_id": {"$in": _ids(price_list, versions)}}, {"layers.id": 1})
        return {layer["id"]: each["_id"]["version"] async for each in cursor for layer in each["layers"]}

    async def mark(self, price_list: str, versions: Sequence[int]) -> None:
        """Mark versions as expiring, unless they are marked."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "doomedAt": None}
        await self._collection.update_many(query, [{"$set": {"doomedAt": "$$NOW"}}])

    async def unmark(self, price_list: str, versions: Sequence[int]) -> None:
        """Remove the mark of versions that are kept after all."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "state": SnapshotState.PUBLISHED}
        await self._collection.update_many(query, {"$unset": {"doomedAt": ""}})

    async def expire(self, price_list: str, version: int, session: AsyncClientSession) -> None:
        """Expire a version, in a transaction of `storage.maintenance.expiration`."""
        await self._collection.update_one(
            {"_id": _id(price_list, version)},
            [{"$set": {"state": SnapshotState.RETIRED, "retiredAt": "$$NOW"}}],
            session=session,
        )

    async def set_keep(self, price_list: str, version: int, keep: Keep | None, session: AsyncClientSession) -> None:
        """Note until when a version is kept, or that it no longer is, in a transaction of `VersionKeeper`."""
        change = {"$set": {"keep": to_builtins(keep)}} if keep else {"$unset": {"keep": ""}}
        await self._collection.update_one({"_id": _id(price_list, version)}, change, session=session)

    async def restore(self, price_list: str, version: int, session: AsyncClientSession) -> None:
        """Make an expired version readable again, in a transaction of `storage.maintenance.expiration`."""
        await self._collection.update_one(
            {"_id": _id(price_list, version)},
            [{"$set": {"state": SnapshotState.PUBLISHED, "readAt": "$$NOW"}}, {"$unset": ["retiredAt", "doomedAt"]}],
            session=session,
        )


_DATE: Document = {"$type": "date"}
"""The condition of the partial indexes."""

_DECIDING = {"publishedAt": 1, "replacedAt": 1, "keep": 1, "readAt": 1, "doomedAt": 1}
"""The stored fields of a `ReplacedVersion`."""


def _replaced_version(document: Document) -> ReplacedVersion:
    keep: Any = document.get("keep")
    return ReplacedVersion(
        document["_id"]["version"],
        document["publishedAt"],
        document["replacedAt"],
        keep and msgspec.convert(keep, Keep),
        document.get("readAt"),
        document.get("doomedAt"),
    )


def _published(price_list: str) -> Document:
    return {"_id.list": price_list, "state": SnapshotState.PUBLISHED}


def _id(price_list: str, version: int) -> Document:
    return {"list": price_list, "version": version}


def _ids(price_list: str, versions: Sequence[int]) -> list[Document]:
    return [_id(price_list, version) for version in versions]
