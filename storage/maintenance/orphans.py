"""Orphans: layers that no manifest names now, and since when. They are dropped once no reader can use them."""

import datetime
from collections.abc import Sequence

from pymongo import UpdateOne

from storage.mongodb.connection import FORMAT, Database


class OrphanRepository:
    """The orphaned layers of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["orphans"]

    async def note(self, layers: Sequence[str]) -> None:
        """Record that these layers, and no others, are orphans."""
        await self._collection.delete_many({"_id": {"$nin": list(layers)}})
        since = [{"$set": {"format": FORMAT, "since": {"$ifNull": ["$since", "$$NOW"]}}}]
        if layers:
            await self._collection.bulk_write(
                [UpdateOne({"_id": layer}, since, upsert=True) for layer in layers], ordered=False
            )

    async def since(self, layer: str) -> datetime.datetime | None:
        """Return when a layer was first recorded as an orphan, or None."""
        found = await self._collection.find_one({"_id": layer})
        return found["since"] if found else None

    async def older_than(self, seconds: float, limit: int) -> list[str]:
        """Return up to `limit` layers that have been orphans for at least `seconds`, oldest first."""
        cutoff = {"$subtract": ["$$NOW", int(seconds * 1000)]}
        cursor = self._collection.find({"$expr": {"$lte": ["$since", cutoff]}}).sort("since", 1).limit(limit)
        return [document["_id"] async for document in cursor]
