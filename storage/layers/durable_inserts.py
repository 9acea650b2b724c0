"""Inserts at `w: majority, j: true`: several documents at once, some inserts in flight."""

import asyncio
from collections.abc import Sequence
from typing import Self

from pymongo.errors import AutoReconnect, ServerSelectionTimeoutError

from storage.errors import Corrupt, LayerSealed
from storage.mongodb.connection import Database, Document
from storage.mongodb.deadlines import deadline

MAX_INSERT_BYTES = 4 << 20
"""Bytes of data in one insert: a command must fit into 16 MiB, and other writes should not wait for it."""

MAX_CONCURRENT_INSERTS = 2
"""Inserts into one collection that are in flight at once."""

_RETRY_INTERVAL_SECONDS = 0.1

_DUPLICATE_KEY = 11000
_REFUSED_BY_VALIDATOR = 121

_RETRYABLE_CODES = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Errors of single documents from a server that is no longer primary (MongoDB, "Retryable Writes")."""


class DurableInserts:
    """Inserts documents into one collection, for a context; all are inserted when it ends without an error.

    Documents that exist stay as they are. `add` and the end of the context raise `LayerSealed`, `Corrupt` for a
    document that the server refuses, and the driver's errors if no majority accepts an insert within `timeoutMS`.
    """

    def __init__(self, db: Database, collection: str) -> None:
        self._db = db
        self._collection = collection
        self._documents: list[Document] = []
        self._bytes = 0
        self._in_flight: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self._documents:
                    await self._send()
                await asyncio.gather(*self._in_flight)
        finally:
            for task in self._in_flight:
                task.cancel()

    async def add(self, document: Document) -> None:
        """Queue a document. It is sent with others, at the latest when the context ends."""
        self._documents.append(document)
        self._bytes += sum(len(value) for value in document.values() if isinstance(value, bytes))
        if self._bytes >= MAX_INSERT_BYTES:
            await self._send()

    async def _send(self) -> None:
        if len(self._in_flight) >= MAX_CONCURRENT_INSERTS:
            done, self._in_flight = await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        documents, self._documents, self._bytes = self._documents, [], 0
        self._in_flight.add(asyncio.create_task(_insert(self._db, self._collection, documents)))


async def _insert(db: Database, collection: str, documents: Sequence[Document]) -> None:
    """Insert documents, again while there is no primary."""
    command = {
        "insert": collection,
        "ordered": False,
        "documents": documents,
        "writeConcern": db.write_concern.document,
    }
    with deadline(db.client):
        while True:
            try:
                if not _must_be_sent_again(collection, await db.command(command)):
                    return
            except ServerSelectionTimeoutError:
                raise
            except AutoReconnect:
                pass  # a primary that dies, or steps down; once the time is over, the driver raises another error
            await asyncio.sleep(_RETRY_INTERVAL_SECONDS)


def _must_be_sent_again(collection: str, reply: Document) -> bool:
    """Whether an insert must be sent again. Raises `LayerSealed`, `Corrupt`."""
    for error in reply.get("writeErrors", ()):
        if error["code"] in _RETRYABLE_CODES:
            return True
        if error["code"] == _REFUSED_BY_VALIDATOR:
            raise LayerSealed(f"{collection} was sealed while it was written; check the state of its batch.")
        if error["code"] != _DUPLICATE_KEY:
            raise Corrupt(f"{collection} rejected a block: {error.get('errmsg')}")
    return "writeConcernError" in reply
