"""Snapshots: the numbered versions of a list. A manifest names the layers of a version, newest first."""

import datetime
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.errors import Broken, Corrupt
from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import read_or_error, to_builtins, to_document
from storage.mongodb.secondaries import Clock


class SnapshotState(StrEnum):
    """The states of a version."""

    SEALED = "SEALED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


_READABLE: Document = {"$or": [{"state": {"$ne": SnapshotState.RETIRED}}, {"retiredAt": {"$type": "date"}}]}
"""Versions that can be read or restored. A RETIRED one without a time was never published, or has another number."""

_KEPT: Document = {"layers.0": {"$exists": True}, **_READABLE}
"""The same, without the expired versions whose layers were released."""

_PUBLISHED_AND_KEPT: Document = {"publishedAt": {"$type": "date"}, **_KEPT}
"""The same, without the versions that were never current."""


class Layer(msgspec.Struct, frozen=True):
    """A layer in a manifest: its number of documents, tombstones included, and their checksum."""

    id: str
    count: int
    checksum: str


class Snapshot(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The manifest of a version. Its prices never change; compaction may store them in fewer layers.

    `read_at` is the last time that a read of the version was noted. `doomed_at` is when retention marked it as
    expiring, `retired_at` when it expired. An expired version whose layers were released has no layers.
    """

    price_list: str = msgspec.field(name="list")
    version: int
    layers: tuple[Layer, ...]
    size: int
    state: SnapshotState
    created_at: datetime.datetime
    published_at: datetime.datetime | None
    label: str | None
    batch: str
    base: int | None
    read_at: datetime.datetime | None = None
    doomed_at: datetime.datetime | None = None
    retired_at: datetime.datetime | None = None

    @property
    def layer_ids(self) -> tuple[str, ...]:
        """The ids of the layers, newest first."""
        return tuple(layer.id for layer in self.layers)


class SnapshotRepository:
    """The manifests of a database. Reads advance the `clock` to the time from which a secondary has their layers."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._collection = db["snapshots"]
        self._clock = clock

    async def add(self, snapshot: Snapshot, session: AsyncClientSession) -> None:
        """Write a manifest, in a transaction of `storage.batches.lifecycle`."""
        await self._collection.insert_one(_to_document(snapshot), session=session)

    async def mark_published(
        self, price_list: str, version: int, now: datetime.datetime, session: AsyncClientSession
    ) -> None:
        """Set when a version first became current, in a transaction of `storage.batches.lifecycle`."""
        await self._collection.update_one(
            {"_id": _id(price_list, version), "publishedAt": None},
            {"$set": {"publishedAt": now, "state": SnapshotState.PUBLISHED}},
            session=session,
        )

    async def replace_layers(self, snapshot: Snapshot, layers: Sequence[Layer], session: AsyncClientSession) -> None:
        """Replace the layers of a version, in a transaction of `storage.maintenance.compaction` that has read it."""
        await self._collection.update_one(
            {"_id": _id(snapshot.price_list, snapshot.version)},
            {"$set": {"layers": to_builtins(layers)}},
            session=session,
        )

    async def with_more_layers(self, limit: int, keys: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return those of the versions, given as (list, version), that have more than `limit` layers."""
        query = {"_id": {"$in": [_id(*key) for key in keys]}, f"layers.{limit}": {"$exists": True}}
        cursor = self._collection.find(query, {"_id": 1})
        return [(document["_id"]["list"], document["_id"]["version"]) async for document in cursor]

    async def named_layers(self) -> set[str]:
        """Return the ids of the layers of all versions that can be read or restored."""
        return set(await self._collection.distinct("layers.id", _READABLE))

    async def versions_of_layer(self, layer: str) -> list[tuple[str, int]]:
        """Return the (list, version) of all manifests that name a layer, even of versions that cannot be read."""
        cursor = self._collection.find({"layers.id": layer}, {"_id": 1}).sort("_id", 1)
        return [(document["_id"]["list"], document["_id"]["version"]) async for document in cursor]

    async def note_reads(self, keys: Sequence[tuple[str, int]]) -> None:
        """Set the time of the last read of versions, given as (list, version), to now."""
        ids = [_id(*key) for key in keys]
        await self._collection.update_many({"_id": {"$in": ids}}, [{"$set": {"readAt": "$$NOW"}}])

    async def mark_expiring(self, price_list: str, versions: Sequence[int]) -> None:
        """Mark versions as expiring, unless they are marked."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "doomedAt": None}
        await self._collection.update_many(query, [{"$set": {"doomedAt": "$$NOW"}}])

    async def unmark(self, price_list: str, versions: Sequence[int]) -> None:
        """Remove the mark of versions that are kept after all."""
        await self._collection.update_many({"_id": {"$in": _ids(price_list, versions)}}, {"$unset": {"doomedAt": ""}})

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

    async def release_layers(self, price_list: str, versions: Sequence[int]) -> None:
        """Remove the layers from the manifests of expired versions, which then cannot be restored."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "state": SnapshotState.RETIRED}
        await self._collection.update_many(query, {"$set": {"layers": []}})

    async def with_layers(self, price_list: str) -> list[Snapshot]:
        """Return the manifests of a list that name layers, newest first."""
        query = {"_id.list": price_list, "layers.0": {"$exists": True}}
        cursor = self._collection.find(query).sort([("_id.list", 1), ("_id.version", -1)])
        return [_from_document(document) async for document in cursor]

    async def withdraw(self, price_list: str, versions: Sequence[int], session: AsyncClientSession) -> None:
        """Withdraw versions that were never published, in a transaction of `storage.batches.lifecycle`."""
        query = {"_id": {"$in": _ids(price_list, versions)}}
        await self._collection.update_many(query, {"$set": {"state": SnapshotState.RETIRED}}, session=session)

    async def get(self, price_list: str, version: int, session: AsyncClientSession | None = None) -> Snapshot | None:
        """Return the manifest of a version, or None."""
        found = await self._collection.find_one({"_id": _id(price_list, version)}, session=session)
        return _from_document(found) if found else None

    async def current(
        self, price_list: str, version: int | None, session: AsyncClientSession | None = None
    ) -> Snapshot | None:
        """Return the manifest of the current version, None if a list has no version yet. Raises `Corrupt`."""
        if version is None:
            return None
        snapshot = await self.get(price_list, version, session)
        if snapshot is None:
            raise Corrupt(f"The manifest of version {version} of {price_list!r} is gone. Run `pricebook check`.")
        return snapshot

    async def get_many(self, keys: Sequence[tuple[str, int]]) -> list[Snapshot | Broken | None]:
        """Return the manifests of (list, version) keys, or the errors of unreadable ones, in the order of the keys.

        In one round trip.
        """
        ids = [_id(*key) for key in keys]
        async with self._timed() as session:
            documents = await self._collection.find({"_id": {"$in": ids}}, session=session).to_list()
        found = {tuple(each["_id"].values()): read_or_error(_from_document, each) for each in documents}
        return [found.get(key) for key in keys]

    async def newest(
        self, price_list: str, limit: int, before: int | None = None, *, unpublished: bool = True
    ) -> list[Snapshot]:
        """Return up to `limit` manifests of versions below `before` that are kept or can be restored, newest first.

        `unpublished` includes versions that were never current.
        """
        query: dict[str, Any] = {"_id.list": price_list, **_kept(unpublished=unpublished)}
        if before is not None:
            query["_id.version"] = {"$lt": before}
        async with self._timed() as session:
            cursor = self._collection.find(query, session=session)
            documents = await cursor.sort([("_id.list", 1), ("_id.version", -1)]).limit(limit).to_list()
        return [_from_document(document) for document in documents]

    @asynccontextmanager
    async def _timed(self) -> AsyncIterator[AsyncClientSession | None]:
        """Yield a session for a read, then advance the clock: a manifest is committed after its layers."""
        if self._clock is None:
            yield None
            return
        async with self._collection.database.client.start_session() as session:
            yield session
            self._clock.advance(session.operation_time)

    async def published(self, price_list: str, limit: int, before: int) -> list[Snapshot]:
        """Return up to `limit` manifests of kept versions below `before` that were once current, newest first."""
        query = {"_id.list": price_list, "_id.version": {"$lt": before}, "state": SnapshotState.PUBLISHED}
        cursor = self._collection.find(query).sort([("_id.list", 1), ("_id.version", -1)]).limit(limit)
        return [_from_document(document) async for document in cursor]

    async def list_names(self) -> list[str]:
        """Return the names of all lists that have a manifest, sorted."""
        return sorted(await self._collection.distinct("_id.list"))

    async def version_numbers(self, price_list: str) -> list[int]:
        """Return the numbers of all versions of a list that have a manifest, in ascending order."""
        cursor = self._collection.find({"_id.list": price_list}, {"_id": 1}).sort([("_id.list", 1), ("_id.version", 1)])
        return [document["_id"]["version"] async for document in cursor]

    async def counts(self) -> dict[str, int]:
        """Return, by list, the number of versions that are kept or can be restored."""
        # The index of layers skips the manifests without layers, which stay forever.
        stages = [
            {"$match": {"layers.id": {"$gt": ""}, **_READABLE}},
            {"$group": {"_id": "$_id.list", "count": {"$sum": 1}}},
        ]
        return {each["_id"]: each["count"] async for each in await self._collection.aggregate(stages)}

    async def count(self, price_list: str, *, unpublished: bool = True) -> int:
        """Return the number of versions of a list that are kept or can be restored, as `newest` does."""
        return await self._collection.count_documents({"_id.list": price_list, **_kept(unpublished=unpublished)})


def _kept(*, unpublished: bool) -> Document:
    return _KEPT if unpublished else _PUBLISHED_AND_KEPT


def _id(price_list: str, version: int) -> Document:
    return {"list": price_list, "version": version}


def _ids(price_list: str, versions: Sequence[int]) -> list[Document]:
    return [_id(price_list, version) for version in versions]


def _to_document(snapshot: Snapshot) -> Document:
    document = to_document(snapshot)
    return {"_id": _id(document.pop("list"), document.pop("version")), **document}


def _from_document(document: Document) -> Snapshot:
    check_format("snapshot", document)
    return msgspec.convert({**document, **document["_id"]}, Snapshot)
