"""Inserts at `w: majority, j: true`: several documents at once, some inserts in flight."""

import asyncio
from collections.abc import Sequence
from typing import Self

from pymongo.errors import AutoReconnect

from storage.errors import Corrupt, LayerSealed, Unavailable
from storage.mongodb.connection import Database, Document

MAX_INSERT_BYTES = 4 << 20
"""Bytes of data in one insert: a command must fit into 16 MiB, and other writes should not wait for it."""

MAX_CONCURRENT_INSERTS = 2
"""Inserts into one collection that are in flight at once."""

RESEND_TIMEOUT_SECONDS = 60.0
"""How long an insert is sent again while no primary or no majority accepts it; long enough for an election."""

_RETRY_INTERVAL_SECONDS = 0.1

_DUPLICATE_KEY = 11000
_REFUSED_BY_VALIDATOR = 121

_RETRYABLE_CODES = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Errors of single documents from a server that is no longer primary (MongoDB, "Retryable Writes")."""


class DurableInserts:
    """Inserts documents into one collection, for a context; all are inserted when it ends without an error.

    Documents that exist stay as they are. `add` and the end of the context raise `LayerSealed`, `Corrupt` for a
    document that the server refuses, `Unavailable` if no majority accepts an insert for `RESEND_TIMEOUT_SECONDS`.
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
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RESEND_TIMEOUT_SECONDS
    while True:
        problem: str | None
        try:
            problem = _problem(collection, await db.command(command))
        except AutoReconnect as error:
            problem = str(error)
        if problem is None:
            return
        if loop.time() > deadline:
            raise Unavailable(
                f"No majority accepted rows within {RESEND_TIMEOUT_SECONDS:.0f} s ({problem}). Try again."
            )
        await asyncio.sleep(_RETRY_INTERVAL_SECONDS)


def _problem(collection: str, reply: Document) -> str | None:
    """Return why an insert must be sent again, or None. Raises `LayerSealed`, `Corrupt`."""
    for error in reply.get("writeErrors", ()):
        if error["code"] in _RETRYABLE_CODES:
            return str(error.get("errmsg"))
        if error["code"] == _REFUSED_BY_VALIDATOR:
            raise LayerSealed(f"{collection} was sealed while it was written; check the state of its batch.")
        if error["code"] != _DUPLICATE_KEY:
            raise Corrupt(f"{collection} rejected a block: {error.get('errmsg')}")
    concern = reply.get("writeConcernError")
    return str(concern.get("errmsg")) if concern else None
