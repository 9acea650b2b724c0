"""Snapshots: the numbered versions of a list. A manifest names the layers that make up a version, newest first."""

import datetime
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.mongodb.secondaries import Clock


class SnapshotState(StrEnum):
    """Where a version stands."""

    SEALED = "SEALED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


# What is RETIRED without a time was never published, or is there under another number: nobody can bring it back.
_NAMING: Document = {"$or": [{"state": {"$ne": SnapshotState.RETIRED}}, {"retiredAt": {"$type": "date"}}]}


# And when its layers went, too, a manifest only says that there was such a version.
_KEPT: Document = {"layers.0": {"$exists": True}, **_NAMING}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as a manifest names it: how many documents it has, removals too, and their checksum."""

    id: str
    count: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The manifest of one version. What it says never changes; compaction may say it with fewer layers.

    `read_at` is when it was last read that is known, beside the times when it was current; `doomed_at` since when
    retention wants it gone, `retired_at` since when it is. One whose layers went, too, names none.
    """

    price_list: str
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
    """The manifests of a database. A `clock` is told how far a member must be that a version can be read from."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._collection = db["snapshots"]
        self._clock = clock

    async def add(self, snapshot: Snapshot, session: AsyncClientSession) -> None:
        """Write a manifest, as part of a transaction of `storage.batches.publish`."""
        await self._collection.insert_one(_to_document(snapshot), session=session)

    async def mark_published(
        self, price_list: str, version: int, now: datetime.datetime, session: AsyncClientSession
    ) -> None:
        """Note when a version was current for the first time, as part of a transaction of `storage.batches.publish`."""
        await self._collection.update_one(
            {"_id": {"list": price_list, "version": version}, "publishedAt": None},
            {"$set": {"publishedAt": now, "state": SnapshotState.PUBLISHED}},
            session=session,
        )

    async def replace_layers(self, seen: Snapshot, layers: Sequence[Layer]) -> bool:
        """Say the same version with other layers; False where its layers are not those of `seen` any more."""
        result = await self._collection.update_one(
            {"_id": {"list": seen.price_list, "version": seen.version}, "layers": _layers(seen.layers)},
            {"$set": {"layers": _layers(layers)}},
        )
        return bool(result.modified_count)

    async def named_layers(self) -> set[str]:
        """Return the layers that are named by any version that can be read, or brought back."""
        return set(await self._collection.distinct("layers.id", _NAMING))

    async def naming(self, layer: str) -> list[tuple[str, int]]:
        """Return the (list, version) of all manifests that name a layer, also of those that cannot be read any more."""
        cursor = self._collection.find({"layers.id": layer}, {"_id": 1}).sort("_id", 1)
        return [(document["_id"]["list"], document["_id"]["version"]) async for document in cursor]

    async def note_reads(self, keys: Sequence[tuple[str, int]]) -> None:
        """Note that versions, as (list, version), are being read now."""
        ids = [{"list": price_list, "version": version} for price_list, version in keys]
        await self._collection.update_many({"_id": {"$in": ids}}, [{"$set": {"readAt": "$$NOW"}}])

    async def mark_expiring(self, price_list: str, versions: Sequence[int]) -> None:
        """Note that retention wants versions gone."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "doomedAt": None}
        await self._collection.update_many(query, [{"$set": {"doomedAt": "$$NOW"}}])

    async def unmark(self, price_list: str, versions: Sequence[int]) -> None:
        """Note that retention leaves versions alone after all."""
        await self._collection.update_many({"_id": {"$in": _ids(price_list, versions)}}, {"$unset": {"doomedAt": ""}})

    async def retire(self, price_list: str, version: int, session: AsyncClientSession) -> None:
        """Note that retention took a version, as part of a transaction of `storage.maintenance.expiration`."""
        await self._collection.update_one(
            {"_id": {"list": price_list, "version": version}},
            [{"$set": {"state": SnapshotState.RETIRED, "retiredAt": "$$NOW"}}],
            session=session,
        )

    async def restore(self, price_list: str, version: int, session: AsyncClientSession) -> None:
        """Note that a version can be read again, as part of a transaction of `storage.maintenance.expiration`."""
        await self._collection.update_one(
            {"_id": {"list": price_list, "version": version}},
            [{"$set": {"state": SnapshotState.PUBLISHED, "readAt": "$$NOW"}}, {"$unset": ["retiredAt", "doomedAt"]}],
            session=session,
        )

    async def release_layers(self, price_list: str, versions: Sequence[int]) -> None:
        """Let go of the layers of versions that are retired. From here on they cannot be brought back."""
        query = {"_id": {"$in": _ids(price_list, versions)}, "state": SnapshotState.RETIRED}
        await self._collection.update_many(query, {"$set": {"layers": []}})

    async def with_layers(self, price_list: str) -> list[Snapshot]:
        """Return the manifests of a list that name layers, newest first."""
        query = {"_id.list": price_list, "layers.0": {"$exists": True}}
        cursor = self._collection.find(query).sort([("_id.list", 1), ("_id.version", -1)])
        return [_from_document(document) async for document in cursor]

    async def mark_retired(self, price_list: str, version: int, session: AsyncClientSession) -> None:
        """Note that a version is not to be read any more, as part of a transaction of `storage.batches.publish`."""
        await self._collection.update_one(
            {"_id": {"list": price_list, "version": version}},
            {"$set": {"state": SnapshotState.RETIRED}},
            session=session,
        )

    async def get(self, price_list: str, version: int, session: AsyncClientSession | None = None) -> Snapshot | None:
        """Return the manifest of a version, or None where the list has no such version."""
        found = await self._collection.find_one({"_id": {"list": price_list, "version": version}}, session=session)
        return _from_document(found) if found else None

    async def get_many(self, keys: Sequence[tuple[str, int]]) -> list[Snapshot | None]:
        """Return the manifests of (list, version) keys, in their order, in one round trip."""
        ids = [{"list": price_list, "version": version} for price_list, version in keys]
        async with self._timed() as session:
            documents = await self._collection.find({"_id": {"$in": ids}}, session=session).to_list()
        found = {(each.price_list, each.version): each for each in map(_from_document, documents)}
        return [found.get(key) for key in keys]

    async def newest(self, price_list: str, limit: int, before: int | None = None) -> list[Snapshot]:
        """Return up to `limit` manifests of a list, newest first, with a version under `before`.

        They are of versions that are kept, or can be brought back.
        """
        query: dict[str, Any] = {"_id.list": price_list, **_KEPT}
        if before is not None:
            query["_id.version"] = {"$lt": before}
        async with self._timed() as session:
            cursor = self._collection.find(query, session=session)
            documents = await cursor.sort([("_id.list", 1), ("_id.version", -1)]).limit(limit).to_list()
        return [_from_document(document) for document in documents]

    @asynccontextmanager
    async def _timed(self) -> AsyncIterator[AsyncClientSession | None]:
        """Yield a session, and tell the clock when what it read was committed: a manifest follows its layers."""
        if self._clock is None:
            yield None
            return
        async with self._collection.database.client.start_session() as session:
            yield session
            self._clock.advance(session.operation_time)

    async def published(self, price_list: str, limit: int, before: int) -> list[Snapshot]:
        """Return up to `limit` manifests of kept versions that were current once, newest first, under `before`."""
        query = {"_id.list": price_list, "_id.version": {"$lt": before}, "state": SnapshotState.PUBLISHED}
        cursor = self._collection.find(query).sort([("_id.list", 1), ("_id.version", -1)]).limit(limit)
        return [_from_document(document) async for document in cursor]

    async def lists(self) -> list[str]:
        """Return the names of all lists that have a manifest."""
        return sorted(await self._collection.distinct("_id.list"))

    async def numbers(self, price_list: str) -> list[int]:
        """Return the numbers of all versions of a list that have a manifest, in their order."""
        cursor = self._collection.find({"_id.list": price_list}, {"_id": 1}).sort([("_id.list", 1), ("_id.version", 1)])
        return [document["_id"]["version"] async for document in cursor]

    async def counts(self) -> dict[str, int]:
        """Return how many versions are kept, or can be brought back, of each list that has any."""
        # By the index of layers: manifests without any stay for good, and are not to be read again and again.
        stages = [
            {"$match": {"layers.id": {"$gt": ""}, **_NAMING}},
            {"$group": {"_id": "$_id.list", "count": {"$sum": 1}}},
        ]
        return {each["_id"]: each["count"] async for each in await self._collection.aggregate(stages)}

    async def count(self, price_list: str) -> int:
        """Return how many versions of the list are kept, or can be brought back."""
        return await self._collection.count_documents({"_id.list": price_list, **_KEPT})


def _ids(price_list: str, versions: Sequence[int]) -> list[Document]:
    return [{"list": price_list, "version": version} for version in versions]


def _layers(layers: Sequence[Layer]) -> list[Document]:
    return [asdict(layer) for layer in layers]


def _to_document(snapshot: Snapshot) -> Document:
    return {
        "_id": {"list": snapshot.price_list, "version": snapshot.version},
        "format": FORMAT,
        "layers": _layers(snapshot.layers),
        "size": snapshot.size,
        "state": snapshot.state,
        "createdAt": snapshot.created_at,
        "publishedAt": snapshot.published_at,
        "label": snapshot.label,
        "batch": snapshot.batch,
        "base": snapshot.base,
    }


def _from_document(document: Document) -> Snapshot:
    check_format("snapshot", document)
    return Snapshot(
        document["_id"]["list"],
        document["_id"]["version"],
        tuple(Layer(**layer) for layer in document["layers"]),
        document["size"],
        SnapshotState(document["state"]),
        document["createdAt"],
        document["publishedAt"],
        document["label"],
        document["batch"],
        document["base"],
        document.get("readAt"),
        document.get("doomedAt"),
        document.get("retiredAt"),
    )
