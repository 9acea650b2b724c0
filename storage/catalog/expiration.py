"""Expiry: the queries and writes of retention. Each query reads an index, and no more documents than it returns."""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.snapshots import SnapshotState
from storage.mongodb.connection import Database, Document


class PublishedVersion(NamedTuple):
    """A version, and when it was first current."""

    version: int
    published_at: datetime.datetime


class Marks(NamedTuple):
    """When a version was last read, and when retention marked it as expiring."""

    read_at: datetime.datetime | None
    doomed_at: datetime.datetime | None


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
        cursor = self._collection.find(_published(price_list), {"_id.version": 1}).hint("list_state")
        newest = cursor.sort([("_id.list", 1), ("_id.version", -1)]).skip(count - 1).limit(1)
        return next((document["_id"]["version"] for document in await newest.to_list()), None)

    async def unlabelled(self, price_list: str, above: int, limit: int) -> list[PublishedVersion]:
        """Return up to `limit` published versions without a label that are above a version, oldest first."""
        query = {**_published(price_list), "label": None, "_id.version": {"$gt": above}}
        cursor = self._collection.find(query, {"_id.version": 1, "publishedAt": 1}).hint("list_unlabelled")
        found = await cursor.sort([("_id.list", 1), ("_id.version", 1)]).limit(limit).to_list()
        return [PublishedVersion(each["_id"]["version"], each["publishedAt"]) for each in found]

    async def marks(self, price_list: str, versions: Sequence[int]) -> dict[int, Marks]:
        """Return the marks of those of the versions that are published."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "state": SnapshotState.PUBLISHED}
        cursor = self._collection.find(query, {"readAt": 1, "doomedAt": 1})
        return {each["_id"]["version"]: Marks(each.get("readAt"), each.get("doomedAt")) async for each in cursor}

    async def marked(self, price_list: str, limit: int) -> list[int]:
        """Return up to `limit` published versions that are marked as expiring, oldest marks first."""
        query = {**_published(price_list), "doomedAt": {"$type": "date"}}
        cursor = self._collection.find(query, {"_id": 1}).hint("list_marked").limit(limit)
        return [document["_id"]["version"] async for document in cursor]

    async def expired(self, price_list: str, limit: int) -> list[ExpiredVersion]:
        """Return up to `limit` expired versions that can be restored still, those that expired first."""
        query = {"_id.list": price_list, "state": SnapshotState.RETIRED}
        cursor = self._collection.find(query, {"retiredAt": 1}).hint("list_expired").limit(limit)
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

    async def restore(self, price_list: str, version: int, session: AsyncClientSession) -> None:
        """Make an expired version readable again, in a transaction of `storage.maintenance.expiration`."""
        await self._collection.update_one(
            {"_id": _id(price_list, version)},
            [{"$set": {"state": SnapshotState.PUBLISHED, "readAt": "$$NOW"}}, {"$unset": ["retiredAt", "doomedAt"]}],
            session=session,
        )


def _published(price_list: str) -> Document:
    return {"_id.list": price_list, "state": SnapshotState.PUBLISHED}


def _id(price_list: str, version: int) -> Document:
    return {"list": price_list, "version": version}


def _ids(price_list: str, versions: Sequence[int]) -> list[Document]:
    return [_id(price_list, version) for version in versions]
