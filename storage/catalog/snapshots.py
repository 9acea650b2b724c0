"""Snapshots: the numbered versions of a list. A manifest names the layers of a version, newest first.

`snapshots` has the manifests of versions that can be read or restored. Those of other versions stay for good, so they
lie apart, in `expired_snapshots`, without their layers: versions that expired, and those that were withdrawn.
"""

import datetime
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

import msgspec
from pymongo import ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.keep import Keep
from storage.catalog.orphans import OrphanRepository
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.errors import Broken, Corrupt
from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import raise_if_unreadable, read_or_error, to_builtins, to_document
from storage.mongodb.secondaries import Clock

MANIFESTS_PER_READ = 1000
"""Manifests whose layers are read at once."""


class SnapshotState(StrEnum):
    """The states of a version."""

    SEALED = "SEALED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


class Layer(msgspec.Struct, frozen=True):
    """A layer in a manifest: its number of documents, tombstones included, and their checksum."""

    id: str
    count: int
    checksum: str


class Snapshot(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The manifest of a version. Its prices never change; compaction may store them in fewer layers.

    `replaced_at` is when the version was last replaced as the current one; None while it is current, and if it never
    was. `read_at` is the last time that a read of the version was noted. `doomed_at` is when retention marked it as
    expiring, `retired_at` when it expired; a RETIRED version without that time was withdrawn. Versions in
    `expired_snapshots` have no layers.
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
    replaced_at: datetime.datetime | None = None
    keep: Keep | None = None
    read_at: datetime.datetime | None = None
    doomed_at: datetime.datetime | None = None
    retired_at: datetime.datetime | None = None

    @property
    def layer_ids(self) -> tuple[str, ...]:
        """The ids of the layers, newest first."""
        return tuple(layer.id for layer in self.layers)


class SnapshotRepository:
    """The manifests of a database. Reads advance the `clock` to the time from which a secondary has their layers.

    A write that takes layers from a manifest notes them as orphans, in the same transaction.
    """

    def __init__(self, db: Database, orphans: OrphanRepository, clock: Clock | None = None) -> None:
        self._collection = db["snapshots"]
        self._expired = db["expired_snapshots"]
        self._orphans = orphans
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

    async def add_all(self, snapshots: Sequence[Snapshot], session: AsyncClientSession) -> None:
        """Write manifests, in a transaction of `storage.releases`."""
        await self._collection.insert_many(map(_to_document, snapshots), session=session)

    async def mark_all_published(self, moved: Sequence[PriceList], session: AsyncClientSession) -> None:
        """Set when the current versions of lists, none of which was current before, became current, at one time.

        See `mark_published`. Raises `Corrupt` if a manifest is gone.
        """
        ids = [_id(each.name, each.current_version) for each in moved if each.current_version is not None]
        result = await self._collection.update_many(
            {"_id": {"$in": ids}, "publishedAt": None},
            {"$set": {"publishedAt": moved[0].moved_at, "state": SnapshotState.PUBLISHED}},
            session=session,
        )
        if result.matched_count != len(ids):
            raise Corrupt("The manifest of a version is gone. Run `pricebook check`.")

    async def replace_layers(self, snapshot: Snapshot, layers: Sequence[Layer], session: AsyncClientSession) -> None:
        """Replace the layers of a version, in a transaction of `storage.maintenance.compaction` that has read it."""
        await self._collection.update_one(
            {"_id": _id(snapshot.price_list, snapshot.version)},
            {"$set": {"layers": to_builtins(layers)}},
            session=session,
        )
        kept = {layer.id for layer in layers}
        await self._orphans.note([layer for layer in snapshot.layer_ids if layer not in kept], session)

    async def with_more_layers(self, limit: int, keys: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return those of the versions, given as (list, version), that have more than `limit` layers."""
        query = {"_id": {"$in": [_id(*key) for key in keys]}, f"layers.{limit}": {"$exists": True}}
        cursor = self._collection.find(query, {"_id": 1})
        return [(document["_id"]["list"], document["_id"]["version"]) async for document in cursor]

    async def named_layers(self) -> set[str]:
        """Return the ids of the layers of all versions that can be read or restored.

        A cursor reads the ids page by page: the result of `distinct` may not exceed 16 MB. A version that is added
        meanwhile may be missed.
        """
        named = set[str]()
        async for document in self._collection.find({}, {"_id": 0, "layers.id": 1}).batch_size(MANIFESTS_PER_READ):
            named.update(layer["id"] for layer in document["layers"])
        return named

    async def is_named(self, layer: str, besides: Sequence[tuple[str, int]] = ()) -> bool:
        """Whether a version that can be read or restored names a layer, `besides` the given ones (list, version)."""
        query = {"layers.id": layer, "_id": {"$nin": [_id(*key) for key in besides]}}
        return await self._collection.find_one(query, {"_id": 1}) is not None

    async def versions_of_layer(self, layer: str) -> list[tuple[str, int]]:
        """Return the (list, version) of all versions that name a layer."""
        cursor = self._collection.find({"layers.id": layer}, {"_id": 1}).sort("_id", 1)
        return [(document["_id"]["list"], document["_id"]["version"]) async for document in cursor]

    async def note_reads(self, keys: Sequence[tuple[str, int]]) -> None:
        """Set the time of the last read of versions, given as (list, version), to now."""
        ids = [_id(*key) for key in keys]
        await self._collection.update_many({"_id": {"$in": ids}}, [{"$set": {"readAt": "$$NOW"}}])

    async def withdraw(self, price_list: str, versions: Sequence[int], session: AsyncClientSession) -> None:
        """Withdraw versions that were never published, in a transaction of `storage.batches.lifecycle`."""
        await self._move_to_expired({"_id": {"$in": _ids(price_list, versions)}}, session)

    async def withdraw_all(self, keys: Sequence[tuple[str, int]], session: AsyncClientSession) -> None:
        """Withdraw versions of several lists, given as (list, version), by a few commands in all; see `withdraw`."""
        await self._move_to_expired({"_id": {"$in": [_id(*key) for key in keys]}}, session)

    async def release_layers(
        self, price_list: str, versions: Sequence[int], before: datetime.datetime, session: AsyncClientSession
    ) -> None:
        """Remove versions that expired `before` a time, in a transaction of `storage.maintenance.expiration`."""
        ids = _ids(price_list, versions)
        query = {"_id": {"$in": ids}, "state": SnapshotState.RETIRED, "retiredAt": {"$lte": before}}
        await self._move_to_expired(query, session)

    async def _move_to_expired(self, query: Document, session: AsyncClientSession) -> None:
        found = await self._collection.find(query, session=session).to_list()
        if not found:
            return
        moved = [{**each, "state": SnapshotState.RETIRED, "layers": []} for each in found]
        replaced = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in moved]
        await self._expired.bulk_write(replaced, session=session)
        await self._collection.delete_many({"_id": {"$in": [each["_id"] for each in found]}}, session=session)
        await self._orphans.note(sorted({layer["id"] for each in found for layer in each["layers"]}), session)

    async def purge(self, price_list: str, last_version: int, limit: int, session: AsyncClientSession) -> bool:
        """Remove up to `limit` manifests of a deleted list, which had versions up to `last_version`.

        Returns False if there was none. Its name may be in use again: the versions of that list are higher.
        """
        query = {"_id.list": price_list, "_id.version": {"$lte": last_version}}
        for collection in (self._collection, self._expired):
            found = await collection.find(query, {"layers.id": 1}, session=session).limit(limit).to_list()
            if found:
                await collection.delete_many({"_id": {"$in": [each["_id"] for each in found]}}, session=session)
                await self._orphans.note(sorted({layer["id"] for each in found for layer in each["layers"]}), session)
                return True
        return False

    async def get(self, price_list: str, version: int, session: AsyncClientSession | None = None) -> Snapshot | None:
        """Return the manifest of a version, or None."""
        key = price_list, version
        [found] = await (self.get_many([key]) if session is None else self._find([key], session))
        return raise_if_unreadable(found)

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

    async def get_all(
        self, keys: Sequence[tuple[str, int]], session: AsyncClientSession
    ) -> dict[tuple[str, int], Snapshot]:
        """Return those of the manifests of (list, version) keys that are not expired, by key, with one command."""
        cursor = self._collection.find({"_id": {"$in": [_id(*key) for key in keys]}}, session=session)
        return {_key(document): _from_document(document) async for document in cursor}

    async def get_many(self, keys: Sequence[tuple[str, int]]) -> list[Snapshot | Broken | None]:
        """Return the manifests of (list, version) keys, or the errors of unreadable ones, in the order of the keys.

        One round trip finds those that were published and can be read or restored. Others take a second one,
        whether they exist or not: the duration must not reveal unpublished versions.
        """
        async with self._timed() as session:
            return await self._find(keys, session)

    async def _find(
        self, keys: Sequence[tuple[str, int]], session: AsyncClientSession
    ) -> list[Snapshot | Broken | None]:
        """Find manifests. A manifest only ever moves to the collection that is read last, and `session` is causal."""
        found: dict[tuple[str, int], Snapshot | Broken] = {}
        for collection in (self._collection, self._expired):
            wanted = [_id(*key) for key in keys if not _was_published(found.get(key))]
            if wanted:
                documents = await collection.find({"_id": {"$in": wanted}}, session=session).to_list()
                found |= {_key(each): read_or_error(_from_document, each) for each in documents}
        return [found.get(key) for key in keys]

    async def newest(
        self, price_list: str, limit: int, before: int | None = None, *, unpublished: bool = True
    ) -> list[Snapshot]:
        """Return up to `limit` manifests of versions below `before` that can be read or restored, newest first.

        `unpublished` includes versions that were never current.
        """
        query = _of_list(price_list, unpublished=unpublished)
        if before is not None:
            query["_id.version"] = {"$lt": before}
        async with self._timed() as session:
            cursor = self._collection.find(query, session=session)
            cursor = cursor.sort([("_id.list", 1), ("_id.version", -1)]).limit(limit)
            documents = await cursor.batch_size(limit).to_list()
        return [_from_document(document) for document in documents]

    @asynccontextmanager
    async def _timed(self) -> AsyncIterator[AsyncClientSession]:
        """Yield a session for reads, then advance the clock: a manifest is committed after its layers."""
        async with self._collection.database.client.start_session() as session:
            yield session
            if self._clock is not None:
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
        """Return the numbers of all versions of a list that can be read or restored, in ascending order."""
        cursor = self._collection.find({"_id.list": price_list}, {"_id": 1}).sort([("_id.list", 1), ("_id.version", 1)])
        return [document["_id"]["version"] async for document in cursor]

    async def highest_version(self, price_list: str) -> int:
        """Return the highest number of a version that has a manifest, expired ones included; 0 without any."""
        newest = [("_id.list", 1), ("_id.version", -1)]
        found = [
            await collection.find_one({"_id.list": price_list}, {"_id": 1}, sort=newest)
            for collection in (self._collection, self._expired)
        ]
        return max((document["_id"]["version"] for document in found if document), default=0)

    async def counts(self) -> dict[str, int]:
        """Return, by list, the number of versions that can be read or restored; from an index alone."""
        stages: list[Document] = [
            {"$match": {"_id.list": {"$gt": ""}}},
            {"$group": {"_id": "$_id.list", "count": {"$sum": 1}}},
        ]
        return {each["_id"]: each["count"] async for each in await self._collection.aggregate(stages)}

    async def count(self, price_list: str, *, unpublished: bool = True) -> int:
        """Return the number of versions of a list that can be read or restored, as `newest` does."""
        return await self._collection.count_documents(_of_list(price_list, unpublished=unpublished))


async def current_snapshot(
    price_lists: PriceListRepository,
    snapshots: SnapshotRepository,
    name: str,
    session: AsyncClientSession | None = None,
) -> Snapshot | None:
    """Return the manifest of the current version of a list; None without one. Raises `PriceListNotFound`, `Corrupt`."""
    price_list = await price_lists.get(name, session)
    try:
        return await snapshots.current(name, price_list.current_version, session)
    except Corrupt:
        await price_lists.get(name, session)  # raises if the list was deleted meanwhile
        raise


def _of_list(price_list: str, *, unpublished: bool) -> Document:
    query: Document = {"_id.list": price_list}
    return query if unpublished else {**query, "publishedAt": {"$type": "date"}}


def _id(price_list: str, version: int) -> Document:
    return {"list": price_list, "version": version}


def _ids(price_list: str, versions: Sequence[int]) -> list[Document]:
    return [_id(price_list, version) for version in versions]


def _was_published(found: Snapshot | Broken | None) -> bool:
    return isinstance(found, Broken) or (found is not None and found.published_at is not None)


def _key(document: Document) -> tuple[str, int]:
    return document["_id"]["list"], document["_id"]["version"]


def _to_document(snapshot: Snapshot) -> Document:
    document = to_document(snapshot)
    return {"_id": _id(document.pop("list"), document.pop("version")), **document}


def _from_document(document: Document) -> Snapshot:
    check_format("snapshot", document)
    return msgspec.convert({**document, **document["_id"]}, Snapshot)
