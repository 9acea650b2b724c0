"""A batch: its record, the order that opens it, and the refusal that ends it."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from bson.decimal128 import Decimal128

from storage.batches.item_errors import ErrorReport
from storage.batches.staging import StagedRun
from storage.batches.states import BatchState
from storage.catalog.gates import DiffSummary, Facts, GateFinding
from storage.catalog.snapshots import Layer
from storage.mongodb.connection import Document, check_format
from storage.mongodb.documents import decode_decimals, encode_decimals, to_builtins


class BatchMode(StrEnum):
    """How a batch changes the current version."""

    REPLACE = "REPLACE"
    MERGE = "MERGE"


class PublishPolicy(StrEnum):
    """When a batch is published."""

    WHEN_VALID = "WHEN_VALID"
    ON_APPROVAL = "ON_APPROVAL"
    DRY_RUN = "DRY_RUN"


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """The request for a batch, without the rows. `by` is the caller; `chunked` batches are sent in parts.

    With `publish_at` it is published then, and not as soon as it is valid; with `release`, when that is published.
    """

    price_list: str
    mode: BatchMode
    key: str
    by: str
    publish: PublishPolicy = PublishPolicy.WHEN_VALID
    expected_version: int | None = None
    label: str | None = None
    chunked: bool = False
    publish_at: datetime.datetime | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a batch failed or was rejected or aborted."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval of a scheduled batch, which is published when it is due all the same.

    `gates` are those whose findings do not hold it then, because the reviewer knew them.
    """

    by: str
    reason: str
    gates: tuple[str, ...]


class Batch(msgspec.Struct, frozen=True, rename="camel"):
    """The record of a batch.

    `token` is that of the lease; a write with an older token is refused. `error_report` has the first errors of its
    items, `error_count` is the number of all. `rows` is the number of its rows, once all were received. They are in
    `layer`, or staged in `runs` (those of a batch in parts are named by its parts) until a process merges them into it.
    `made_on` is the version that was current when the batch was opened, `base` the one that `summary` compares with,
    and to which a merge is applied: the current one when the batch was sealed or, if it is published, before that.
    `revision` is that of the pointer when the batch was published. `held_by_pin` is whether nothing but a pin of the
    list held the batch. `publish_at` is when it is to be published, or was to be when it was; a held batch that has it
    is scheduled. `release` is the id of the release that it was sent with: it is published with that, at its instant if
    it has one. `approval` is set if it was approved and kept its schedule, or its release. `facts` are
    those with which it was held in a release, against `base`: it need not be compared again to be published on that.
    """

    id: str = msgspec.field(name="_id")
    price_list: str = msgspec.field(name="list")
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
    layer: Layer | None = None
    runs: tuple[StagedRun, ...] = ()
    error_report: ErrorReport | None = None
    error_count: int = 0
    refusal: Refusal | None = None
    made_on: int | None = None
    base: int | None = None
    summary: DiffSummary | None = None
    facts: Facts | None = None
    findings: tuple[GateFinding, ...] = ()
    revision: int | None = None
    held_by_pin: bool = False
    publish_at: datetime.datetime | None = None
    approval: Approval | None = None
    release: str | None = None

    @property
    def is_scheduled(self) -> bool:
        """Whether the batch waits to be published at its instant."""
        return self.state is BatchState.HELD and self.publish_at is not None

    @property
    def checksum(self) -> str | None:
        """The checksum of the sealed layer; None until it is written."""
        return None if self.layer is None else self.layer.checksum


_STORED_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(Batch)}


def to_fields(changes: Mapping[str, Any]) -> Document:
    """Return the stored fields of changes to a batch, by the names of its attributes."""
    stored: Document = to_builtins({_STORED_NAMES[name]: value for name, value in changes.items()})
    if "findings" in stored:
        stored["findings"] = [*map(encode_decimals, stored["findings"])]
    if stored.get("facts"):
        stored["facts"] = _with_change(stored["facts"], Decimal128)
    return stored


def from_document(document: Document) -> Batch:
    """Return the batch of a stored document. Raises `UnknownFormat`."""
    check_format("batch", document)
    fields = {**document, "token": document["lease"]["token"]}
    fields.setdefault("key", document.get("usedKey"))
    if "findings" in fields:
        fields["findings"] = [*map(decode_decimals, fields["findings"])]
    if fields.get("facts"):
        fields["facts"] = _with_change(fields["facts"], Decimal128.to_decimal)
    return msgspec.convert(fields, Batch)


def _with_change(facts: Document, convert: Callable[[Any], Any]) -> Document:
    """Return the fields of facts with their largest change in percent converted."""
    if facts["largestChange"] is None:
        return facts
    percent, sku = facts["largestChange"]
    return {**facts, "largestChange": [convert(percent), sku]}
