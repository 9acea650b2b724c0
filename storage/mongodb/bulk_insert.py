"""Bulk inserts: acknowledged by the primary alone, then confirmed by a majority in groups.

An insert at `w: majority, j: true` waits until the members have written their journals, and a batch takes dozens of
inserts. So each insert is sent at `w: 1`, and one command at `w: majority, j: true` confirms all inserts that were
acknowledged before it: the group commit of database logs.

An election may roll back what only the primary acknowledged. Every reply carries an optime: a position in the oplog
and the term of the primary. An insert is durable once a majority has a later optime of the same term, because the
oplog of one term has no gaps. Otherwise the insert is sent again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import AutoReconnect

from storage.errors import Unavailable
from storage.mongodb.connection import Database, Document

RESEND_TIMEOUT_SECONDS = 60.0
"""How long an insert is retried while no primary or no majority accepts it; long enough for an election."""

_RETRY_INTERVAL_SECONDS = 0.1

_PRIMARY_ONLY: Mapping[str, Any] = {"w": 1}

_NO_OP_UPDATE = {"update": "locks", "updates": [{"q": {"_id": ""}, "u": {"$unset": {"none": ""}}}]}
"""Matches no document. At `w: majority` a write without effect still waits for all writes before it."""

_RETRYABLE_CODES = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Errors of single documents from a server that is no longer primary (MongoDB, "Retryable Writes")."""


class _Encoded:
    """A document that is BSON already; PyMongo writes its `raw` bytes as they are (type marker 101)."""

    __slots__ = ("raw",)
    _type_marker = 101

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


class BulkInsert:
    """Sends the inserts of a process. Concurrent inserts share the commands that confirm them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._durable = db.write_concern.document
        self._concern = _PRIMARY_ONLY
        self._confirming = asyncio.Lock()
        self._started = self._finished = 0
        self._confirmed: Document = {}

    async def send(self, collection: str, documents: Sequence[bytes]) -> list[Document]:
        """Insert the documents durably and return the errors of those that the collection refused.

        A document may be sent more than once, so callers must recognize their own duplicates. Raises `Unavailable` if
        no primary accepts the documents within `RESEND_TIMEOUT_SECONDS`.
        """
        encoded = [_Encoded(document) for document in documents]
        insert = {"insert": collection, "ordered": False, "documents": encoded}
        while True:
            concern = self._concern
            reply = await self._run({**insert, "writeConcern": concern})
            if not _RETRYABLE_CODES.isdisjoint(error["code"] for error in reply.get("writeErrors", ())):
                await asyncio.sleep(_RETRY_INTERVAL_SECONDS)
            elif concern is not _PRIMARY_ONLY or await self._is_confirmed(reply):
                errors: list[Document] = reply.get("writeErrors", [])
                return errors

    async def _is_confirmed(self, reply: Document) -> bool:
        optime = reply.get("opTime")
        if optime is None:  # mongos returns no optime
            self._concern = self._durable
            return False
        confirmed = await self._confirm()
        return bool(confirmed["t"] == optime["t"] and confirmed["ts"] >= optime["ts"])

    async def _confirm(self) -> Document:
        """Return an optime that a majority has and that was the latest at some time after this call."""
        needed = self._started + 1
        async with self._confirming:
            if self._finished < needed:
                self._started += 1
                number = self._started
                reply = await self._run({**_NO_OP_UPDATE, "writeConcern": self._durable})
                self._confirmed, self._finished = reply["opTime"], number
            return self._confirmed

    async def _run(self, command: Document) -> Document:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RESEND_TIMEOUT_SECONDS
        while True:
            try:
                reply: Document = await self._db.command(command)
            except AutoReconnect as error:
                if loop.time() > deadline:
                    raise Unavailable(
                        f"No primary accepted the rows within {RESEND_TIMEOUT_SECONDS:.0f} s. Try again."
                    ) from error
            else:
                if "writeConcernError" not in reply:
                    return reply
                if loop.time() > deadline:
                    raise Unavailable(
                        f"No majority accepted the rows within {RESEND_TIMEOUT_SECONDS:.0f} s. Try again."
                    )
            await asyncio.sleep(_RETRY_INTERVAL_SECONDS)
