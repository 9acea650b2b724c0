"""Orphans: layers that manifests stopped naming, or that nothing named when all layers were listed, and since when.

A note is only a hint: garbage collection checks the manifests again before it drops a layer.
"""

import datetime
from collections.abc import Sequence

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.mongodb.connection import FORMAT, Database

_LONG_AGO = datetime.datetime.fromtimestamp(0, datetime.UTC)


class OrphanRepository:
    """The orphaned layers of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["orphans"]

    async def note(
        self, layers: Sequence[str], session: AsyncClientSession | None = None, *, unread: bool = False
    ) -> None:
        """Note layers as orphans from now on, also those that were noted before.

        With `unread`, no reader can have them, so they are orphans since long ago.
        """
        since = {"$literal": _LONG_AGO} if unread else "$$NOW"
        stages = [{"$set": {"format": FORMAT, "since": since}}]
        if layers:
            updates = [UpdateOne({"_id": layer}, stages, upsert=True) for layer in layers]
            await self._collection.bulk_write(updates, ordered=session is not None, session=session)

    async def noted(self, layers: Sequence[str]) -> set[str]:
        """Return those of the layers that are noted."""
        cursor = self._collection.find({"_id": {"$in": list(layers)}}, {"_id": 1})
        return {document["_id"] async for document in cursor}

    async def since(self, layer: str) -> datetime.datetime | None:
        """Return since when a layer is an orphan, or None."""
        found = await self._collection.find_one({"_id": layer})
        return found["since"] if found else None

    async def older_than(self, seconds: float, limit: int) -> dict[str, datetime.datetime]:
        """Return up to `limit` layers that have been orphans for at least `seconds`, and since when; oldest first."""
        cutoff = {"$subtract": ["$$NOW", int(seconds * 1000)]}
        cursor = self._collection.find({"$expr": {"$lte": ["$since", cutoff]}}).sort("since", 1).limit(limit)
        return {document["_id"]: document["since"] async for document in cursor}

    async def forget(self, layer: str, since: datetime.datetime) -> None:
        """Delete the note of a layer, unless it was noted again."""
        await self._collection.delete_one({"_id": layer, "since": since})
