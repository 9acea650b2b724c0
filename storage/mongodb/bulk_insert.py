"""Documents on their way into a collection: acknowledged by the primary alone, then confirmed by a majority.

An insert at `w: majority, j: true` has the members write their journals before it is answered, and a batch is some
tens of inserts. So each is sent at `w: 1`, and one command at `w: majority, j: true` confirms all that were
acknowledged before it: group commit, as databases have it for their logs.

What the primary acknowledged may be lost when another one is elected. Every reply tells a place in the oplog, with the
term of who was primary then. An insert is confirmed by a majority that has a later place of the same term, for then
the oplog in between is one; after any other answer it is sent again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import AutoReconnect

from storage.errors import Unavailable
from storage.mongodb.connection import Database, Document

# Inserts outlast an election: one that found no primary is sent again for so long, in seconds.
RESEND_SECONDS = 60.0

_PAUSE_SECONDS = 0.1

_PRIMARY_ALONE: Mapping[str, Any] = {"w": 1}

# Nothing has this name, and a write that changes nothing waits for a majority to have all that was written before it.
_CHANGES_NOTHING = {"update": "locks", "updates": [{"q": {"_id": ""}, "u": {"$unset": {"none": ""}}}]}


# What a server that is no primary any more says of single documents (MongoDB, "Retryable Writes", retryable errors).
_TRY_AGAIN = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})


class _Encoded:
    """A document that is BSON already; PyMongo writes its `raw` bytes as they are (type marker 101)."""

    __slots__ = ("raw",)
    _type_marker = 101

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


class BulkInsert:
    """Sends the inserts of a process. All that are under way share the commands that confirm them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._durable = db.write_concern.document
        self._concern = _PRIMARY_ALONE
        self._confirming = asyncio.Lock()
        self._asked = self._answered = 0
        self._confirmed: Document = {}

    async def send(self, collection: str, documents: Sequence[bytes]) -> list[Document]:
        """Return when a majority has the documents, with the errors of those that the collection refused.

        They may be sent more than once, so who sends them has to know them again. Raises `Unavailable` when no primary
        takes them within `RESEND_SECONDS`.
        """
        encoded = [_Encoded(document) for document in documents]
        insert = {"insert": collection, "ordered": False, "documents": encoded}
        while True:
            concern = self._concern
            reply = await self._run({**insert, "writeConcern": concern})
            if not _TRY_AGAIN.isdisjoint(error["code"] for error in reply.get("writeErrors", ())):
                await asyncio.sleep(_PAUSE_SECONDS)
            elif concern is not _PRIMARY_ALONE or await self._is_confirmed(reply):
                errors: list[Document] = reply.get("writeErrors", [])
                return errors

    async def _is_confirmed(self, reply: Document) -> bool:
        place = reply.get("opTime")
        if place is None:  # mongos tells of none
            self._concern = self._durable
            return False
        confirmed = await self._confirm()
        return bool(confirmed["t"] == place["t"] and confirmed["ts"] >= place["ts"])

    async def _confirm(self) -> Document:
        """Return a place in the oplog that a majority has, and that was the last one at some time after this call."""
        wanted = self._asked + 1
        async with self._confirming:
            if self._answered < wanted:
                self._asked += 1
                asked = self._asked
                reply = await self._run({**_CHANGES_NOTHING, "writeConcern": self._durable})
                self._confirmed, self._answered = reply["opTime"], asked
            return self._confirmed

    async def _run(self, command: Document) -> Document:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RESEND_SECONDS
        while True:
            try:
                reply: Document = await self._db.command(command)
            except AutoReconnect as error:
                if loop.time() > deadline:
                    raise Unavailable(f"No primary took the rows for {RESEND_SECONDS:.0f} s. Try again.") from error
            else:
                if "writeConcernError" not in reply:
                    return reply
                if loop.time() > deadline:
                    raise Unavailable(f"No majority took the rows for {RESEND_SECONDS:.0f} s. Try again.")
            await asyncio.sleep(_PAUSE_SECONDS)
