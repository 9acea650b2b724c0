"""Bulk changes of unpublished releases: taking a deleted list out of them, and opening empty ones that were due."""

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.releases import UNPUBLISHED, ReleaseState
from storage.mongodb.connection import FORMAT, Database, Document


class UnpublishedReleases:
    """Writes to the unpublished releases of a database, several at once."""

    def __init__(self, db: Database) -> None:
        self._collection = db["releases"]

    async def find_with_list(self, price_list: str, session: AsyncClientSession) -> str | None:
        """Return the id of an unpublished release that has a sealed batch of a list; None without one."""
        found = await self._collection.find_one(_with_list(price_list), {"_id": 1}, session=session)
        return str(found["_id"]) if found else None

    async def remove_list(self, price_list: str, session: AsyncClientSession) -> None:
        """Take a list out of all unpublished releases, in the transaction that deletes it."""
        items = {"$filter": {"input": "$items", "cond": {"$ne": ["$$this.list", {"$literal": price_list}]}}}
        without = {"$set": {"items": items, "touchedAt": "$$NOW"}}
        await self._collection.update_many(_with_list(price_list), [without], session=session)

    async def open_empty(self) -> int:
        """Make the releases OPEN that are due but have no batches, so that none is published alone as soon as it joins.

        Returns how many.
        """
        due = {"publishAt": {"$type": "date"}, "$expr": {"$lte": ["$publishAt", "$$NOW"]}}
        opened = {"state": ReleaseState.OPEN, "publishAt": None, "scheduledBy": None, "touchedAt": "$$NOW"}
        query = {"state": ReleaseState.SCHEDULED, "items": [], "format": {"$lte": FORMAT}, **due}
        if await self._collection.find_one(query, {"_id": 1}) is None:  # as a rule: nothing is to be written
            return 0
        return (await self._collection.update_many(query, [{"$set": opened}])).modified_count


def _with_list(price_list: str) -> Document:
    return {"state": {"$in": sorted(UNPUBLISHED)}, "items.list": price_list}
