"""Databases for tests. They are emptied and used again: to create and drop one takes a third of a second of a core."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.mongodb.connection import INDEXES, Client, Database, Document, connect


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
        found, filled = await db.list_collection_names(), await _with_documents(db)
        await asyncio.gather(
            self._client.drop_database(f"{name}_layers"),
            *(db[each].delete_many({}) for each in filled),
            *(db.drop_collection(each) for each in found if each not in INDEXES),
        )

    async def drop(self, client: Client) -> None:
        """Drop the databases that are not in use."""
        for name in self._free:
            await client.drop_database(name)


async def _with_documents(db: Database) -> list[str]:
    """Return the collections of `INDEXES` that have documents, by one command instead of one for each."""
    pipelines: list[tuple[str, list[Document]]] = [
        (name, [{"$limit": 1}, {"$project": {"_id": name}}]) for name in INDEXES
    ]
    (first, pipeline), *others = pipelines
    unions: list[Document] = [{"$unionWith": {"coll": name, "pipeline": each}} for name, each in others]
    found = await db[first].aggregate([*pipeline, *unions])
    return [document["_id"] async for document in found]


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
