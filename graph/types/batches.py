"""Batches: what an integrator sent, and what became of it."""

import datetime

import strawberry

from graph.context import Info
from graph.identity.requires import as_parent
from graph.types.gates import DiffSummary, GateFinding
from storage import Batch as StoredBatch
from storage import BatchMode, BatchState, PublishPolicy
from storage import Served as StoredServed

strawberry.enum(BatchMode, description="What a batch does to the current version.")
strawberry.enum(BatchState, description="Where a batch stands.")
strawberry.enum(PublishPolicy, description="When a batch is published.")


@strawberry.type(description="How far a batch has come, in prices.")
class BatchProgress:
    """Counts of rows."""

    received: int = strawberry.field(description="Prices that were received.")
    stored: int = strawberry.field(description="Prices that are stored.")
    expected: int | None = strawberry.field(description="Prices that are to come in all, where that is known.")


@strawberry.type(description="How many processes answer with a version.")
class Served:
    """Shown of `storage.Served`."""

    by: int = strawberry.field(description="Processes that answer with this version or a later one.")
    of: int = strawberry.field(description="Processes that are alive.")


@strawberry.type(description="What is wrong with one item of a batch.")
class ItemError:
    """Shown of `storage.ItemError`."""

    index: int = strawberry.field(description="The item's place in the batch, from 0.")
    sku: str | None = strawberry.field(description="The item's sku, where it could be read.")
    field: str | None = strawberry.field(description="The field that is wrong.")
    line: int | None = strawberry.field(description="The line of the file, from 1.")
    code: str = strawberry.field(description="Stable, for programs.")
    message: str = strawberry.field(description="For people.")


@strawberry.type(description="An all-or-nothing change of a price list.")
class Batch:
    """Shown of `storage.Batch`."""

    id: strawberry.ID = strawberry.field(description="The batch's id.")
    price_list: strawberry.ID = strawberry.field(description="The list that it changes.")
    state: BatchState = strawberry.field(description="Where it stands.")
    mode: BatchMode = strawberry.field(description="Whether it replaces the list or is laid over it.")
    version: int | None = strawberry.field(description="The version it made, once sealed.")
    checksum: str | None = strawberry.field(
        description="Hex digest of the sealed layer, the same for the same prices in any order."
    )
    label: str | None = strawberry.field(description="The label that it gives its version.")
    submitted_by: str = strawberry.field(description="Who sent it.")
    created_at: datetime.datetime = strawberry.field(description="When it was opened.")
    finished_at: datetime.datetime | None = strawberry.field(description="When it came to its end.")
    findings: list[GateFinding] = strawberry.field(description="What the gates found, and what else holds it.")
    summary: DiffSummary | None = strawberry.field(
        description="What it does to the version that was current when it was sealed."
    )
    errors: list[ItemError] = strawberry.field(description="Bad items, the first 100; `errorCount` counts them all.")
    error_count: int = strawberry.field(description="How many items are bad.")

    @strawberry.field(description="How far it has come.")
    @staticmethod
    @as_parent
    def progress(root: strawberry.Parent[StoredBatch]) -> BatchProgress:
        """How far it has come."""
        return BatchProgress(received=root.received, stored=root.stored, expected=root.expected)

    @strawberry.field(description="The sequence numbers that are stored, of a batch that comes in parts.")
    @staticmethod
    @as_parent
    async def sequences(root: strawberry.Parent[StoredBatch], info: Info) -> list[int]:
        """The sequence numbers that are stored."""
        return await info.context.loaders.part_numbers.load(root.id)

    @strawberry.field(
        description="Processes that answer with this version or a later one, of all that are alive; null before it "
        "is published.",
        graphql_type=Served | None,
    )
    @staticmethod
    @as_parent
    async def served(root: strawberry.Parent[StoredBatch], info: Info) -> StoredServed | None:
        """How many processes answer with it."""
        if root.revision is None:
            return None
        return await info.context.loaders.served.load((root.price_list, root.revision))
