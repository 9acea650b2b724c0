"""Batches: their state, progress, findings and errors."""

import datetime
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import msgspec
import strawberry

from graph import cursors
from graph.context import Info
from graph.identity.requires import as_parent
from graph.types.connections import First
from graph.types.enums import describe_enum
from graph.types.gates import DiffSummary, GateFinding
from graph.types.node import Node
from storage import ITEM_ERROR_DAYS, MAX_ITEM_ERRORS, BatchMode, BatchState, PublishPolicy, ReportRange
from storage import Batch as StoredBatch
from storage import DiffSummary as StoredDiffSummary
from storage import ItemError as StoredItemError
from storage import Release as StoredRelease
from storage import Served as StoredServed

describe_enum(
    BatchMode,
    "How a batch changes the price list.",
    {
        BatchMode.REPLACE: "The batch is the whole new price list. Prices that it does not contain are removed.",
        BatchMode.MERGE: "The batch is merged into the current version. Prices that it does not name stay unchanged.",
    },
)
describe_enum(
    BatchState,
    "The state of a batch. `PUBLISHED`, `REJECTED`, `ABORTED` and `FAILED` are final.",
    {
        BatchState.OPEN: "The batch accepts prices.",
        BatchState.SEALING: "The batch is complete and is being written, verified and checked by the gates.",
        BatchState.HELD: "The batch is sealed and waits until its `publishAt`, until its `release` is published, for a "
        "review, or for `unpin` with `publishLatest`.",
        BatchState.PUBLISHED: "The version of the batch has become current.",
        BatchState.REJECTED: "The batch was rejected by a gate, by a reviewer, because the current version was not the "
        "expected one, or because a newer batch superseded it.",
        BatchState.ABORTED: "The batch was aborted before it was sealed, or was a dry run.",
        BatchState.FAILED: "The batch contains invalid items or could not be completed.",
    },
)
describe_enum(
    PublishPolicy,
    "When a batch is published.",
    {
        PublishPolicy.WHEN_VALID: "The batch is published as soon as it is valid and no gate or pin holds it.",
        PublishPolicy.ON_APPROVAL: "The batch is held until it is approved with `approveBatch`.",
        PublishPolicy.DRY_RUN: "The batch is only checked. The response contains findings, errors and a summary; "
        "the batch ends as `ABORTED` and cannot be published.",
    },
)


@strawberry.type(description="The progress of a batch, counted in prices.")
class BatchProgress:
    """The progress of a batch, counted in prices."""

    received: int = strawberry.field(description="The number of prices received.")
    stored: int = strawberry.field(description="The number of prices stored.")
    expected: int | None = strawberry.field(description="The total number of prices expected. Null if unknown.")


@strawberry.type(description="How many processes serve a version.")
class Served:
    """The GraphQL type of `storage.Served`."""

    by: int = strawberry.field(description="The number of processes that serve this version or a later one.")
    of: int = strawberry.field(description="The number of processes that are alive.")


class ListedError(StoredItemError, frozen=True):
    """An error, and its position among those of the batch, from 1."""

    position: int = 0

    @classmethod
    def of(cls, error: StoredItemError, position: int) -> "ListedError":
        """Return an error with its position."""
        return cls(**msgspec.structs.asdict(error), position=position)

    @property
    def cursor(self) -> str:
        """The cursor of the error."""
        return cursors.encode(cursors.NumberCursor(self.position))


@strawberry.type(description="An error in one item of a batch.")
class ItemError:
    """The GraphQL type of `ListedError`."""

    index: int = strawberry.field(description="The position of the item in the batch, starting at 0.")
    sku: str | None = strawberry.field(description="The sku of the item. Null if it could not be read.")
    field: str | None = strawberry.field(
        description="The name of the invalid field. Null if the whole item is invalid."
    )
    line: int | None = strawberry.field(description="The line of the file, starting at 1. Null if no file was sent.")
    duplicate_of: int | None = strawberry.field(
        description="The index of the earlier item that has the same sku. Null for other errors."
    )
    code: str = strawberry.field(description="A stable error code, for programs.")
    message: str = strawberry.field(description="The error message, for people.")
    cursor: str = strawberry.field(description="The position of this error, for use as `after`.")


@strawberry.type(description="A held batch as it would be published now.")
class RebasedBatch:
    """A held batch as it would be published now. `summarize` counts its changes."""

    base_version: int | None = strawberry.field(
        description="The current version, to which a merge would be applied. Null if there is none."
    )
    summarize: strawberry.Private[Callable[[], Awaitable[StoredDiffSummary]]]

    @strawberry.field(
        description="The changes that the batch would make, compared with that version. They are counted when they "
        "are requested, unless it is the `baseVersion` of the batch.",
        graphql_type=DiffSummary,
    )
    @as_parent
    async def summary(self) -> StoredDiffSummary:
        """Return the number of prices by how they would change."""
        return await self.summarize()


@strawberry.type(description="An all-or-nothing change of a price list.")
class Batch(Node):
    """The GraphQL type of `storage.Batch`."""

    id: strawberry.ID = strawberry.field(description="The ID of the batch.")
    price_list: strawberry.ID = strawberry.field(description="The name of the price list that the batch changes.")
    state: BatchState = strawberry.field(description="The state of the batch.")
    mode: BatchMode = strawberry.field(description="Whether the batch replaces the price list or is merged into it.")
    version: int | None = strawberry.field(
        description="The number of the version that the batch created. Null until the batch is sealed."
    )
    checksum: str | None = strawberry.field(
        description="The checksum of the sealed layer, in hexadecimal. The same prices have the same checksum, in "
        "any order. Null until the batch is sealed."
    )
    label: str | None = strawberry.field(description="The label that the batch gives its version.")
    submitted_by: str = strawberry.field(description="The caller that sent the batch.")
    created_at: datetime.datetime = strawberry.field(description="When the batch was opened.")
    finished_at: datetime.datetime | None = strawberry.field(
        description="When the batch reached a final state. Null until then."
    )
    publish_at: datetime.datetime | None = strawberry.field(
        description="When the batch is to be published, by the clock of MongoDB; a `HELD` batch that has it is "
        "scheduled. Of a batch that was published on schedule, when it was due. Null if it has no schedule, or its "
        "schedule was taken away."
    )
    made_on: int | None = strawberry.field(
        name="madeOnVersion",
        description="The version that was current when the batch was opened. Null if there was none.",
    )
    base: int | None = strawberry.field(
        name="baseVersion",
        description="The version that `summary` compares with, and to which a merge is applied: the current one when "
        "the batch was sealed, or when a held batch was published. If `madeOnVersion` differs, the batch was made "
        "without the changes in between. Null if there was none.",
    )
    findings: list[GateFinding] = strawberry.field(
        description="The findings of the gates, and anything else that holds the batch, such as a pin."
    )
    summary: DiffSummary | None = strawberry.field(
        description="The changes that the batch makes, compared with `baseVersion`."
    )
    error_count: int = strawberry.field(description="The total number of invalid items.")

    @strawberry.field(
        description="The batch as it would be published now, on the current version. Null unless it is held.",
        graphql_type=RebasedBatch | None,
    )
    @staticmethod
    @as_parent
    async def rebased(root: strawberry.Parent[StoredBatch], info: Info) -> RebasedBatch | None:
        """Return the batch as it would be published now."""
        if root.state is not BatchState.HELD:
            return None
        loaders = info.context.loaders
        base = await loaders.view.current(root.price_list)
        return RebasedBatch(
            base_version=base.version if base else None, summarize=partial(loaders.diffs.rebased, root, base)
        )

    @strawberry.field(description="The progress of the batch.")
    @staticmethod
    @as_parent
    def progress(root: strawberry.Parent[StoredBatch]) -> BatchProgress:
        """Return the progress of the batch."""
        return BatchProgress(received=root.received, stored=root.stored, expected=root.expected)

    @strawberry.field(
        description="The errors of invalid items, in the order of the items, once the batch has failed. The first "
        f"{MAX_ITEM_ERRORS:,} are stored, for {ITEM_ERROR_DAYS} days; `errorCount` counts the invalid items.",
        graphql_type=list[ItemError],
    )
    @staticmethod
    @as_parent
    async def errors(
        root: strawberry.Parent[StoredBatch],
        info: Info,
        first: First = 100,
        after: Annotated[
            str | None, strawberry.argument(description="Return only errors after the one with this `cursor`.")
        ] = None,
    ) -> list[ListedError]:
        """Return some of the errors of invalid items."""
        size, cursor = cursors.page_size(first, 100), cursors.decode(after, cursors.NumberCursor, "after")
        start = cursor.number if cursor else 0
        if root.error_report is None:
            return []
        wanted = ReportRange(root.id, root.error_report.id, start, start + size)
        errors = await info.context.loaders.item_errors.load(wanted)
        return [ListedError.of(error, position) for position, error in enumerate(errors, start + 1)]

    @strawberry.field(description="The sequence numbers of the parts stored so far, for a batch sent in parts.")
    @staticmethod
    @as_parent
    async def sequences(root: strawberry.Parent[StoredBatch], info: Info) -> list[int]:
        """Return the sequence numbers of the stored parts."""
        return await info.context.loaders.part_numbers.load(root.id)

    @strawberry.field(
        description="How many of the live processes serve the version of this batch or a later one. Null until the "
        "batch is published.",
        graphql_type=Served | None,
    )
    @staticmethod
    @as_parent
    async def served(root: strawberry.Parent[StoredBatch], info: Info) -> StoredServed | None:
        """Return how many processes serve the version of the batch."""
        if root.revision is None:
            return None
        return await info.context.loaders.served.load((root.price_list, root.revision))

    @strawberry.field(
        description="The release that the batch was sent with. Null if it was sent without one, or if the caller works "
        "on none of the release's price lists.",
        graphql_type=strawberry.LazyType("Release", "graph.types.releases") | None,
    )
    @staticmethod
    @as_parent
    async def release(root: strawberry.Parent[StoredBatch], info: Info) -> StoredRelease | None:
        """Return the release that the batch was sent with."""
        return await info.context.loaders.releases.load(root.release) if root.release else None
