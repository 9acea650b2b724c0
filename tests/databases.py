"""Databases for tests. They are emptied and used again: to create and drop one takes a third of a second of a core."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.mongodb.connection import INDEXES, Client, connect


class Databases:
    """The databases of a replica set that tests use, one at a time each."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._free: list[str] = []

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """The name of a database without documents, and without layers."""
        name = self._free.pop() if self._free else f"test_{secrets.token_hex(6)}"
        yield name
        await self._empty(name)
        self._free.append(name)

    async def _empty(self, name: str) -> None:
        db = self._client[name]
        found = await db.list_collection_names()
        await asyncio.gather(
            self._client.drop_database(f"{name}_layers"),
            *(db[each].delete_many({}) if each in INDEXES else db.drop_collection(each) for each in found),
        )

    async def drop(self, client: Client) -> None:
        """Drop the databases that are not in use."""
        for name in self._free:
            await client.drop_database(name)


@asynccontextmanager
async def databases_on(uri: str) -> AsyncIterator[Databases]:
    """The databases of a replica set, dropped at the end."""
    async with await connect(uri) as client:
        databases = Databases(client)
        yield databases
    # A test that is not asynchronous blocks the event loop. After a long one, the client takes its own heartbeats for
    # lost and closes its connections, also those in use: a new client drops the databases.
    async with await connect(uri) as client:
        await databases.drop(client)
