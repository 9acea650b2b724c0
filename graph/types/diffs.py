"""Differences between two versions of a price list."""

from collections.abc import Awaitable, Callable

import strawberry

from graph import cursors
from graph.context import Context
from graph.identity.requires import as_parent
from graph.types.connections import Connection
from graph.types.enums import describe_enum
from graph.types.gates import DiffSummary
from graph.types.prices import Price, VersionedPrice, versioned
from storage import ChangeKind
from storage import DiffSummary as StoredDiffSummary
from storage import PriceDiff as StoredPriceDiff

describe_enum(
    ChangeKind,
    "How a price differs between two versions.",
    {
        ChangeKind.ADDED: "Only the `to` version has the sku.",
        ChangeKind.REMOVED: "Only the `from` version has the sku.",
        ChangeKind.CHANGED: "Both versions have the sku, with different prices.",
    },
)

Root = strawberry.Parent[StoredPriceDiff]


@strawberry.type(description="A price that differs between two versions.")
class PriceDiff:
    """The GraphQL type of `storage.PriceDiff`."""

    sku: strawberry.ID = strawberry.field(description="The sku of the price.")
    change: ChangeKind = strawberry.field(description="Whether the price was added, removed or changed.")

    @strawberry.field(
        description="The price in the `from` version. Null if that version does not have the sku.",
        graphql_type=Price | None,
    )
    @staticmethod
    @as_parent
    def before(root: Root) -> VersionedPrice | None:
        """Return the price in the `from` version."""
        return versioned(root.before, root.versions[0])

    @strawberry.field(
        description="The price in the `to` version. Null if that version does not have the sku.",
        graphql_type=Price | None,
    )
    @staticmethod
    @as_parent
    def after(root: Root) -> VersionedPrice | None:
        """Return the price in the `to` version."""
        return versioned(root.after, root.versions[1])


@strawberry.type(description="A page of the differences between two versions, in sku order.")
class PriceDiffConnection(Connection[PriceDiff]):
    """A page of differences. `summarize` counts the differences on all pages."""

    summarize: strawberry.Private[Callable[[], Awaitable[StoredDiffSummary]]]

    @strawberry.field(
        description="The number of prices that were added, removed, changed and left unchanged.",
        graphql_type=DiffSummary,
    )
    @as_parent
    async def summary(self) -> StoredDiffSummary:
        """Return the number of prices by how they differ."""
        return await self.summarize()


async def diff_page(
    context: Context, price_list: str, versions: tuple[int, int], first: int | None, after: str | None
) -> PriceDiffConnection:
    """Return a page of the differences between two versions. Raises `SnapshotNotFound`, `SnapshotExpired`."""
    window = cursors.diff_window(versions, first, after)
    view, diffs = context.loaders.view, context.loaders.diffs
    old, new = await view.version(price_list, versions[0]), await view.version(price_list, versions[1])

    async def summary() -> StoredDiffSummary:
        return await diffs.summary(old, new)

    async def count() -> int:
        counted = await summary()
        return counted.added + counted.removed + counted.changed

    return PriceDiffConnection(
        page=await diffs.page(old, new, window),
        cursor=lambda diff: cursors.encode(cursors.DiffCursor(*versions, diff.sku)),
        count=count,
        summarize=summary,
    )
