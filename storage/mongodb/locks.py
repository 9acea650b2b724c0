"""Named locks for work that only one process should do at a time. Each lock is a lease."""

import asyncio
import datetime
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pymongo
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError

from storage.mongodb import leases
from storage.mongodb.connection import Database, Document
from storage.mongodb.deadlines import is_cancelled

_LONG_AGO = datetime.datetime.fromtimestamp(0, datetime.UTC)


class Locks:
    """The locks of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["locks"]

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[int | None]:
        """Hold a lock while the body runs, and yield the token of its lease, from 1 on.

        Yields None if another process holds it: the body must then do nothing.
        """
        token = await self._take(name)
        if token is None:
            yield None
            return
        own_lease: Document = {"_id": name, "lease.token": token}

        async def renew() -> None:
            while not is_cancelled():
                await asyncio.sleep(leases.RENEW_INTERVAL_SECONDS)
                with suppress(PyMongoError), pymongo.timeout(leases.RENEW_INTERVAL_SECONDS):  # one may be missed
                    await self._collection.update_one(own_lease, [leases.renew()])

        renewing = asyncio.create_task(renew())
        try:
            yield token
        finally:
            renewing.cancel()
            with suppress(PyMongoError), pymongo.timeout(leases.RELEASE_TIMEOUT_SECONDS):
                await self._collection.update_one(own_lease, [leases.release()])

    async def confirm(self, name: str, token: int, session: AsyncClientSession) -> bool:
        """Renew a lock in a transaction, which commits only if the lock is not removed during it.

        Returns False if the lock is lost.
        """
        result = await self._collection.update_one(
            {"_id": name, "lease.token": token}, [leases.renew()], session=session
        )
        return bool(result.matched_count)

    async def is_held(self, name: str) -> bool:
        """Whether a process holds a lock."""
        return await self._collection.find_one({"_id": name, **leases.HELD}, {"_id": 1}) is not None

    async def has_token(self, name: str, token: int) -> bool:
        """Whether no other process has taken a lock since its lease got this token."""
        return await self._collection.find_one({"_id": name, "lease.token": token}, {"_id": 1}) is not None

    async def names(self, prefix: str) -> set[str]:
        """Return the names of the locks with a prefix that are held."""
        cursor = self._collection.find({**_with_prefix(prefix), **leases.HELD}, {"_id": 1})
        return {document["_id"] async for document in cursor}

    async def remove_if_expired(self, name: str) -> None:
        """Remove a lock unless a process holds it. Its tokens then start from 1 again."""
        await self._collection.delete_one({"_id": name, **leases.EXPIRED})

    async def remove_expired_with_prefix(self, prefix: str) -> None:
        """Remove the locks with a prefix that no process holds."""
        query = {**_with_prefix(prefix), **leases.EXPIRED}
        if await self._collection.find_one(query, {"_id": 1}):  # writes nothing if there is nothing to remove
            await self._collection.delete_many(query)

    async def _take(self, name: str) -> int | None:
        # An upsert cannot compare with the server's clock, so create the lock with an expired lease first.
        expired = {"$setOnInsert": {"lease": {"token": 0, "until": _LONG_AGO}}}
        while True:
            with suppress(DuplicateKeyError):  # another process creates it concurrently
                await self._collection.update_one({"_id": name}, expired, upsert=True)
            taken = await self._collection.find_one_and_update(
                {"_id": name, **leases.EXPIRED}, [leases.acquire()], return_document=ReturnDocument.AFTER
            )
            if taken:
                return int(taken["lease"]["token"])
            if await self._collection.find_one({"_id": name}, {"_id": 1}):
                return None
            # It was removed as an expired one in between.


def _with_prefix(prefix: str) -> Document:
    return {"_id": {"$regex": f"^{re.escape(prefix)}"}}
