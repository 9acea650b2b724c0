"""Taking a price list that is deleted out of the releases that are not published yet."""

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.releases import UNPUBLISHED
from storage.mongodb.connection import Database, Document


class ReleaseRemoval:
    """Finds the unpublished releases that have a batch of a list, and takes the list out of them."""

    def __init__(self, db: Database) -> None:
        self._collection = db["releases"]

    async def waiting_in(self, price_list: str, session: AsyncClientSession) -> str | None:
        """Return the id of an unpublished release that has a sealed batch of a list; None without one."""
        found = await self._collection.find_one(_with_list(price_list), {"_id": 1}, session=session)
        return str(found["_id"]) if found else None

    async def remove(self, price_list: str, session: AsyncClientSession) -> None:
        """Take a list out of all unpublished releases, in the transaction that deletes it."""
        items = {"$filter": {"input": "$items", "cond": {"$ne": ["$$this.list", {"$literal": price_list}]}}}
        without = {"$set": {"items": items, "touchedAt": "$$NOW"}}
        await self._collection.update_many(_with_list(price_list), [without], session=session)


def _with_list(price_list: str) -> Document:
    return {"state": {"$in": sorted(UNPUBLISHED)}, "items.list": price_list}
