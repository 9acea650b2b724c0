"""Batches: their records, and the writes that only the holder of a batch's lease can make."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, cast

from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from storage.batches.changes import Changes
from storage.batches.states import FOLLOWS, IN_PROGRESS, BatchState
from storage.catalog.gates import DiffSummary, GateFinding, Severity
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.errors import BatchNotFound, LeaseLost
from storage.mongodb import leases
from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.prices.row_decoder import ItemError

# The name of the finding that holds a batch while its list is pinned, beside those of the gates.
PIN = "pin"


class BatchMode(StrEnum):
    """What a batch does to the version before it."""

    REPLACE = "REPLACE"
    MERGE = "MERGE"


class PublishPolicy(StrEnum):
    """When a batch is published."""

    WHEN_VALID = "WHEN_VALID"
    ON_APPROVAL = "ON_APPROVAL"
    DRY_RUN = "DRY_RUN"


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """What an integrator asks for, without the rows."""

    price_list: str
    mode: BatchMode
    key: str
    by: str
    publish: PublishPolicy = PublishPolicy.WHEN_VALID
    expected_version: int | None = None
    label: str | None = None
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a batch as a whole came to nothing."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it is stored.

    `token` is the lease's; a write with an older one is refused. `changes` is what the rows were found to do as they
    came, `summary` what they do to the base of the version that they became. `revision` is that of the pointer when
    the batch was published.
    """

    id: str
    price_list: str
    mode: BatchMode
    key: str
    fingerprint: str | None
    chunked: bool
    publish: PublishPolicy
    expected_version: int | None
    label: str | None
    submitted_by: str
    created_at: datetime.datetime
    state: BatchState
    token: int
    version: int | None = None
    finished_at: datetime.datetime | None = None
    expected: int | None = None
    received: int = 0
    stored: int = 0
    rows: int | None = None
    checksum: str | None = None
    changes: Changes | None = None
    errors: tuple[ItemError, ...] = ()
    error_count: int = 0
    refusal: Refusal | None = None
    base: int | None = None
    summary: DiffSummary | None = None
    findings: tuple[GateFinding, ...] = ()
    revision: int | None = None

    @property
    def layer(self) -> str:
        """The id of the layer that the batch writes."""
        return self.id

    @property
    def waits_for_unpin(self) -> bool:
        """Whether nothing holds it but a pin."""
        holds = {finding.gate for finding in self.findings if finding.severity is Severity.HOLD}
        return self.state is BatchState.HELD and holds == {PIN}


class BatchRepository:
    """The batches of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["batches"]

    async def open(self, order: BatchOrder, fingerprint: str | None, expected: int | None) -> tuple[Batch, bool]:
        """Return the batch of the order's idempotency key, and whether this call made it.

        A unique index decides between calls at the same time; the one that made it holds the lease. The fingerprint
        of a body that is still arriving is None; it is noted when the batch is sealed.
        """
        batch_id = str(ObjectId())
        document = {
            "_id": batch_id,
            "format": FORMAT,
            "list": order.price_list,
            "mode": order.mode,
            "key": order.key,
            "fingerprint": fingerprint,
            "chunked": order.chunked,
            "publish": order.publish,
            "expectedVersion": order.expected_version,
            "label": order.label,
            "submittedBy": order.by,
            "state": BatchState.OPEN,
            "expected": expected,
        }
        stages = [{"$set": {name: {"$literal": value} for name, value in document.items()}}]
        try:
            made = await self._collection.find_one_and_update(
                {"_id": batch_id},
                [*stages, {"$set": {"createdAt": "$$NOW", "touchedAt": "$$NOW"}}, leases.acquire()],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return await self._joined(order), False
        return _from_document(cast("Document", made)), True

    async def _joined(self, order: BatchOrder) -> Batch:
        batch = await self.by_key(order.price_list, order.key)
        if batch is None:
            raise BatchNotFound(order.key)
        return batch

    async def find(self, batch_id: str) -> Batch | None:
        """Return a batch, or None."""
        found = await self._collection.find_one({"_id": batch_id})
        return _from_document(found) if found else None

    async def get(self, batch_id: str) -> Batch:
        """Return a batch. Raises `BatchNotFound`."""
        batch = await self.find(batch_id)
        if batch is None:
            raise BatchNotFound(batch_id)
        return batch

    async def get_many(self, ids: Sequence[str]) -> list[Batch | None]:
        """Return the batches of these ids, in their order, in one round trip."""
        cursor = self._collection.find({"_id": {"$in": list(ids)}})
        found = {document["_id"]: _from_document(document) async for document in cursor}
        return [found.get(batch_id) for batch_id in ids]

    async def by_key(self, price_list: str, key: str) -> Batch | None:
        """Return the batch that was sent to a list with an idempotency key, or None."""
        found = await self._collection.find_one({"list": price_list, "key": key})
        return _from_document(found) if found else None

    async def newest(
        self,
        limit: int,
        *,
        price_list: str | None = None,
        state: BatchState | None = None,
        before: str | None = None,
        reach: ListFilter = ALL_LISTS,
    ) -> list[Batch]:
        """Return up to `limit` batches within reach, newest first, those that are older than the batch `before`."""
        query = {**_filter(price_list, state), **reach.query("list")}
        if before is not None:
            query["_id"] = {"$lt": before}
        cursor = self._collection.find(query).sort("_id", -1).limit(limit)
        return [_from_document(document) async for document in cursor]

    async def count(
        self, *, price_list: str | None = None, state: BatchState | None = None, reach: ListFilter = ALL_LISTS
    ) -> int:
        """Return how many batches there are of that kind, within reach."""
        return await self._collection.count_documents({**_filter(price_list, state), **reach.query("list")})

    async def held(self) -> dict[str, int]:
        """Return how many batches are held of each list that has any."""
        stages: list[Document] = [
            {"$match": {"state": BatchState.HELD}},
            {"$group": {"_id": "$list", "count": {"$sum": 1}}},
        ]
        return {each["_id"]: each["count"] async for each in await self._collection.aggregate(stages)}

    async def waiting(self, price_list: str, session: AsyncClientSession | None = None) -> list[Batch]:
        """Return the batches that only a pin of the list holds, in the order of their versions."""
        cursor = self._collection.find(_filter(price_list, BatchState.HELD), session=session).sort("version", 1)
        held = [_from_document(document) async for document in cursor]
        return [batch for batch in held if batch.waits_for_unpin]

    async def idle(self, seconds: float) -> list[Batch]:
        """Return the open batches that nobody has touched for so long."""
        cursor = self._collection.find({"state": BatchState.OPEN, **_idle(seconds)})
        return [_from_document(document) async for document in cursor]

    async def stalled(self) -> list[str]:
        """Return the ids of the batches that were committed and whose lease has run out."""
        cursor = self._collection.find({"state": BatchState.SEALING, **leases.EXPIRED}, {"_id": 1})
        return [document["_id"] async for document in cursor]

    async def forget_keys(self, days: int) -> int:
        """Let the idempotency keys of batches that finished so many days ago be used again; return how many."""
        cutoff = {"$subtract": ["$$NOW", days * 86_400_000]}
        result = await self._collection.update_many(
            {
                "key": {"$type": "string"},
                "finishedAt": {"$type": "date"},
                "$expr": {"$lt": ["$finishedAt", cutoff]},
            },
            [{"$set": {"usedKey": "$key"}}, {"$unset": "key"}],
        )
        return result.modified_count

    async def lease(self, batch_id: str, *, idle: float | None = None) -> Batch | None:
        """Take the lease of an open batch, to commit or abort it. None where it is not open any more.

        With `idle`, only of one that nobody has touched for so many seconds.
        """
        untouched = {} if idle is None else _idle(idle)
        taken = await self._collection.find_one_and_update(
            {"_id": batch_id, "state": BatchState.OPEN, **untouched},
            [leases.acquire()],
            return_document=ReturnDocument.AFTER,
        )
        return _from_document(taken) if taken else None

    async def touch(self, batch_id: str, stored: int = 0) -> None:
        """Note that an open batch is in use, and how many more rows it has."""
        await self._collection.update_one(
            {"_id": batch_id, "state": BatchState.OPEN},
            {"$currentDate": {"touchedAt": True}, "$inc": {"received": stored, "stored": stored}},
        )

    # -- writes of the lease's holder

    async def take_over(self, batch_id: str) -> Batch | None:
        """Take the lease of a batch in progress whose holder went silent. None where it is held, or finished.

        One in OPEN can only be gone on with by someone who has its rows.
        """
        taken = await self._collection.find_one_and_update(
            {"_id": batch_id, "format": {"$lte": FORMAT}, "state": {"$in": list(IN_PROGRESS)}, **leases.EXPIRED},
            [leases.acquire()],
            return_document=ReturnDocument.AFTER,
        )
        return _from_document(taken) if taken else None

    async def renew(self, batch: Batch, received: int, stored: int) -> bool:
        """Prolong the lease and note the progress. False where another process has the lease now."""
        progress = {"$set": {"received": received, "stored": stored, "touchedAt": "$$NOW"}}
        result = await self._collection.update_one(_held(batch), [leases.renew(), progress])
        return bool(result.matched_count)

    async def release(self, batch: Batch) -> None:
        """Let any process take the batch over at once."""
        await self._collection.update_one(_held(batch), [leases.release()])

    async def advance(
        self, batch: Batch, state: BatchState, session: AsyncClientSession | None = None, **changes: Any
    ) -> Batch:
        """Move a batch to its next state. Raises `LeaseLost` when this process does not hold it any more."""
        if state not in FOLLOWS[batch.state]:
            raise AssertionError(f"A batch does not go from {batch.state} to {state}.")
        moved = await self._collection.find_one_and_update(
            {**_held(batch), "state": batch.state},
            {"$set": {"state": state, **_changes(changes)}},
            session=session,
            return_document=ReturnDocument.AFTER,
        )
        if moved is None:
            raise LeaseLost(f"Batch {batch.id} is in other hands now; look at its state.")
        return _from_document(moved)


def _held(batch: Batch) -> Document:
    return {"_id": batch.id, "lease.token": batch.token}


def _idle(seconds: float) -> Document:
    return {"$expr": {"$lt": ["$touchedAt", {"$subtract": ["$$NOW", int(seconds * 1000)]}]}}


def _filter(price_list: str | None, state: BatchState | None) -> Document:
    return {name: value for name, value in (("list", price_list), ("state", state)) if value is not None}


_STORED_NAMES = {"finished_at": "finishedAt", "error_count": "errorCount"}


def _changes(changes: Mapping[str, Any]) -> Document:
    stored = {_STORED_NAMES.get(name, name): value for name, value in changes.items()}
    if "errors" in stored:
        stored["errors"] = [asdict(error) for error in stored["errors"]]
    if "findings" in stored:
        stored["findings"] = [_finding_to_document(finding) for finding in stored["findings"]]
    for name in ("refusal", "summary"):
        if stored.get(name):
            stored[name] = asdict(stored[name])
    return stored


def _finding_to_document(finding: GateFinding) -> Document:
    document = asdict(finding)
    return {name: Decimal128(value) if isinstance(value, Decimal) else value for name, value in document.items()}


def _finding_from_document(document: Document) -> GateFinding:
    observed, limit = document["observed"], document["limit"]
    return GateFinding(
        document["gate"],
        Severity(document["severity"]),
        document["message"],
        observed and observed.to_decimal(),
        limit and limit.to_decimal(),
    )


def _from_document(document: Document) -> Batch:
    check_format("batch", document)
    refusal, summary = document.get("refusal"), document.get("summary")
    return Batch(
        id=document["_id"],
        price_list=document["list"],
        mode=BatchMode(document["mode"]),
        key=document.get("key") or document["usedKey"],
        fingerprint=document["fingerprint"],
        chunked=document["chunked"],
        publish=PublishPolicy(document["publish"]),
        expected_version=document["expectedVersion"],
        label=document["label"],
        submitted_by=document["submittedBy"],
        created_at=document["createdAt"],
        state=BatchState(document["state"]),
        token=document["lease"]["token"],
        version=document.get("version"),
        finished_at=document.get("finishedAt"),
        expected=document["expected"],
        received=document.get("received", 0),
        stored=document.get("stored", 0),
        rows=document.get("rows"),
        checksum=document.get("checksum"),
        changes=(changes := document.get("changes")) and Changes.from_document(changes),
        errors=tuple(ItemError(**error) for error in document.get("errors", ())),
        error_count=document.get("errorCount", 0),
        refusal=refusal and Refusal(**refusal),
        base=document.get("base"),
        summary=summary and DiffSummary(**summary),
        revision=document.get("revision"),
        findings=tuple(_finding_from_document(finding) for finding in document.get("findings", ())),
    )
