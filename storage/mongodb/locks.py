"""Named locks for work that only one process should do at a time. Each lock is a lease."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from storage.mongodb import leases
from storage.mongodb.connection import Database, Document

_LONG_AGO = datetime.datetime.fromtimestamp(0, datetime.UTC)


class Locks:
    """The locks of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["locks"]

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[bool]:
        """Hold a lock while the body runs. Yields False if another process holds it: the body must then do nothing."""
        token = await self._take(name)
        if token is None:
            yield False
            return
        own_lease: Document = {"_id": name, "lease.token": token}

        async def renew() -> None:
            while True:
                await asyncio.sleep(leases.RENEW_INTERVAL_SECONDS)
                with suppress(PyMongoError):  # the lease outlasts a missed renewal
                    await self._collection.update_one(own_lease, [leases.renew()])

        renewing = asyncio.create_task(renew())
        try:
            yield True
        finally:
            renewing.cancel()
            with suppress(PyMongoError):  # an unreleased lease expires
                await self._collection.update_one(own_lease, [leases.release()])

    async def _take(self, name: str) -> int | None:
        # An upsert cannot compare with the server's clock, so create the lock with an expired lease first.
        expired = {"$setOnInsert": {"lease": {"token": 0, "until": _LONG_AGO}}}
        with suppress(DuplicateKeyError):  # another process creates it concurrently
            await self._collection.update_one({"_id": name}, expired, upsert=True)
        taken = await self._collection.find_one_and_update(
            {"_id": name, **leases.EXPIRED}, [leases.acquire()], return_document=ReturnDocument.AFTER
        )
        return int(taken["lease"]["token"]) if taken else None
