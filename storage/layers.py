"""Layers: immutable collections that exactly one batch wrote, one document a price.

The life of a layer: `create`, `fill` as often as it takes (a slice that is sent again changes nothing), `freeze`,
`read_back`; then it is only read, until retention drops it.
"""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pymongo.errors import AutoReconnect, OperationFailure

from storage.checksum import Checksum, checksum
from storage.decode import ItemError, Slice
from storage.errors import Corrupt, Unavailable
from storage.mongo import NAMESPACE_EXISTS, Collection, Database
from storage.records import Price, decode

MAX_ERRORS = 100
SLICES_IN_FLIGHT = 4
READ_BACK_BYTES = 4 * 1024 * 1024

# A fill outlasts an election: a slice that found no primary is sent again for so long, in seconds.
RESEND_SECONDS = 60.0

_DUPLICATE_KEY = 11000

# No document meets this, so the server refuses every insert and every update.
_NOTHING: dict[str, Any] = {"$nor": [{}]}


@dataclass(slots=True)
class Filled:
    """What has gone into a layer, and what was refused: the first `MAX_ERRORS` errors, and the count of all."""

    stored: Checksum = field(default_factory=Checksum)
    errors: list[ItemError] = field(default_factory=list)
    error_count: int = 0

    def refuse(self, errors: Iterable[ItemError]) -> None:
        """Count errors, and keep those with the lowest index."""
        errors = list(errors)
        self.error_count += len(errors)
        self.errors = sorted((*self.errors, *errors), key=lambda error: error.index)[:MAX_ERRORS]


class _Encoded:
    """A document that is BSON already; PyMongo writes its `raw` bytes as they are (type marker 101)."""

    __slots__ = ("raw",)
    _type_marker = 101

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


class Layers:
    """The layers of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def _collection(self, layer: str) -> Collection:
        return self._db[f"layer.{layer}"]

    async def create(self, layer: str) -> None:
        """Create the layer's collection, unless an earlier attempt did."""
        try:
            await self._db.create_collection(f"layer.{layer}", check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise

    async def fill(self, layer: str, slices: AsyncIterable[Slice], filled: Filled) -> None:
        """Insert slices as they come, several in flight; `filled` tells at any time what was stored and refused.

        Rows are told apart by `_id` and `n`: a document that is there with the same position was stored by an
        earlier attempt, one with another position is a sku sent twice.
        Raises `Unavailable` when no primary takes a slice within `RESEND_SECONDS`.
        """
        in_flight: set[asyncio.Task[tuple[Checksum, list[ItemError]]]] = set()

        def collect(done: Iterable[asyncio.Task[tuple[Checksum, list[ItemError]]]]) -> None:
            for task in done:
                inserted, errors = task.result()
                filled.stored += inserted
                filled.refuse(errors)

        try:
            async for rows in slices:
                filled.refuse(rows.errors)
                if not rows.documents:
                    continue
                if len(in_flight) >= SLICES_IN_FLIGHT:
                    done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                    collect(done)
                in_flight.add(asyncio.create_task(self._insert(layer, rows.documents)))
                await asyncio.sleep(0)
            if in_flight:
                done, in_flight = await asyncio.wait(in_flight)
                collect(done)
        finally:
            for task in in_flight:
                task.cancel()

    async def _insert(self, layer: str, documents: Sequence[bytes]) -> tuple[Checksum, list[ItemError]]:
        reply = await self._send(layer, documents)
        refused = [error for error in reply.get("writeErrors", ()) if error["code"] == _DUPLICATE_KEY]
        if len(refused) < len(reply.get("writeErrors", ())):
            other = next(error for error in reply["writeErrors"] if error["code"] != _DUPLICATE_KEY)
            raise Corrupt(f"Layer {layer} refuses rows: {other.get('errmsg')}")
        if not refused:
            return checksum(documents), []
        repeated = await self._repeated(layer, [documents[error["index"]] for error in refused])
        return checksum(document for document in documents if document not in repeated), list(repeated.values())

    async def _send(self, layer: str, documents: Sequence[bytes]) -> dict[str, Any]:
        command = {
            "insert": f"layer.{layer}",
            "ordered": False,
            "writeConcern": self._db.write_concern.document,
            "documents": [_Encoded(document) for document in documents],
        }
        deadline = asyncio.get_running_loop().time() + RESEND_SECONDS
        while True:
            try:
                reply = await self._db.command(command)
            except AutoReconnect as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable(f"No primary took the rows for {RESEND_SECONDS:.0f} s. Try again.") from error
                await asyncio.sleep(0.1)
                continue
            if "writeConcernError" not in reply:
                return reply

    async def _repeated(self, layer: str, documents: Sequence[bytes]) -> dict[bytes, ItemError]:
        """Return the documents whose sku stands in the layer at another position, each with its error."""
        sent = {sku: (position, document) for document in documents for sku, position in [_sku_and_position(document)]}
        cursor = self._collection(layer).find({"_id": {"$in": list(sent)}}, {"n": 1})
        there = {found["_id"]: found["n"] async for found in cursor}
        repeated = {}
        for document in documents:
            sku, position = _sku_and_position(document)
            if there[sku] != position:
                first, again = sorted((there[sku], position))
                message = f"The sku was sent before, as item {first}."
                repeated[document] = ItemError(again, sku, "sku", "DUPLICATE_SKU", message)
        return repeated

    async def freeze(self, layer: str) -> None:
        """Make the server refuse every insert and update from here on."""
        await self._db.command(
            {
                "collMod": f"layer.{layer}",
                "validator": _NOTHING,
                "validationLevel": "strict",
                "validationAction": "error",
                "writeConcern": self._db.write_concern.document,
            }
        )

    async def read_back(self, layer: str) -> Checksum:
        """Return the checksum of what a majority of the members has of the layer."""
        total = Checksum()
        async for run in self._collection(layer).find_raw_batches({}, batch_size=5000):
            total += checksum(_documents(cast("bytes", run)))
            await asyncio.sleep(0)
        return total

    async def find(self, layer: str, skus: Sequence[str]) -> dict[str, Price]:
        """Return the prices of those skus that the layer has, in one round trip."""
        cursor = self._collection(layer).find({"_id": {"$in": list(skus)}})
        return {document["_id"]: decode(document) async for document in cursor}

    async def page(
        self,
        layer: str,
        limit: int,
        *,
        after: str | None = None,
        before: str | None = None,
        backward: bool = False,
    ) -> list[Price]:
        """Return up to `limit` prices in sku order, strictly between `after` and `before`.

        With `backward` they are the last ones of that range, still in ascending order.
        """
        bounds = {"$gt": after, "$lt": before}
        given = {operator: sku for operator, sku in bounds.items() if sku is not None}
        cursor = self._collection(layer).find({"_id": given} if given else {})
        page = [decode(document) async for document in cursor.sort("_id", -1 if backward else 1).limit(limit)]
        return page[::-1] if backward else page

    async def drop(self, layer: str) -> None:
        """Drop the layer. Only for one that no manifest names."""
        await self._collection(layer).drop()


def _sku_and_position(document: bytes) -> tuple[str, int]:
    # The first element is _id (type, "_id", length, text), the last is n: see `storage.records`.
    length = int.from_bytes(document[9:13], "little")
    return document[13 : 12 + length].decode(), int.from_bytes(document[-9:-1], "little")


def _documents(run: bytes) -> Iterable[bytes]:
    start = 0
    while start < len(run):
        end = start + int.from_bytes(run[start : start + 4], "little")
        yield run[start:end]
        start = end
