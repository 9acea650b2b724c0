"""Differences between two versions of a price list."""

import decimal
from collections.abc import Awaitable, Callable, Sequence

import strawberry

from graph import cursors
from graph.context import Context
from graph.identity.requires import as_parent
from graph.types.connections import Connection, First
from graph.types.enums import describe_enum
from graph.types.gates import DiffSummary
from graph.types.prices import Price, VersionedPrice, versioned
from loaders import SharedStatistics
from storage import ChangeBucket as StoredChangeBucket
from storage import ChangeKind, check_sku_prefix
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

_SCANS = (
    "Reads the rows of both versions that may differ, once for all fields that need it, and fails with `SCAN_LIMIT` if "
    "these are more than the server allows."
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


@strawberry.type(
    description="The number of prices whose amount changed by a percentage within two bounds. The bound nearer to 0 is "
    "inclusive, the other one is not: a fall of exactly 10 % is in the bucket from -25 to -10."
)
class ChangeBucket:
    """The GraphQL type of `storage.ChangeBucket`."""

    from_: decimal.Decimal | None = strawberry.field(
        name="from", description="The lower bound in percent, negative for falls. Null for the largest falls."
    )
    to: decimal.Decimal | None = strawberry.field(
        description="The upper bound in percent, negative for falls. Null for the largest rises."
    )
    count: int = strawberry.field(description="The number of prices.")


@strawberry.type(description="A page of the differences between two versions, in sku order.")
class PriceDiffConnection(Connection[PriceDiff]):
    """A page of differences. `summarize` counts the differences on all pages, and `statistics` measures them."""

    summarize: strawberry.Private[Callable[[], Awaitable[StoredDiffSummary]]]
    statistics: strawberry.Private[SharedStatistics]

    @strawberry.field(
        description="The number of prices that were added, removed, changed and left unchanged, in the whole list: "
        "`skuPrefix` does not narrow it.",
        graphql_type=DiffSummary,
    )
    @as_parent
    async def summary(self) -> StoredDiffSummary:
        """Return the number of prices by how they differ."""
        return await self.summarize()

    @strawberry.field(
        description="The largest changes of an amount in percent of the amount before, up or down, of the differences "
        "on all pages; those of the same percentage in sku order. Only prices that are CHANGED count, and only if "
        f"their amount changed, their currency did not, and the amount before is not 0. {_SCANS}",
        graphql_type=list[PriceDiff],
    )
    @as_parent
    async def largest(self, first: First = 20) -> Sequence[StoredPriceDiff]:
        """Return the largest changes of an amount."""
        size = cursors.page_size(first, 20)
        return (await self.statistics.get(size)).largest[:size]

    @strawberry.field(
        description="How many amounts changed by how many percent, of the differences on all pages: all buckets, from "
        "the largest falls to the largest rises, also those with the count 0. The same prices count as for `largest`. "
        f"{_SCANS}",
        graphql_type=list[ChangeBucket],
    )
    @as_parent
    async def distribution(self) -> Sequence[StoredChangeBucket]:
        """Return the number of changes by their size."""
        return (await self.statistics.get()).distribution


async def diff_page(
    context: Context,
    price_list: str,
    versions: tuple[int, int],
    sku_prefix: str,
    first: int | None,
    after: str | None,
) -> PriceDiffConnection:
    """Return a page of the differences between two versions, of skus with a prefix.

    Raises `InvalidArgument`, `SnapshotNotFound`, `SnapshotExpired`.
    """
    check_sku_prefix(sku_prefix, ("skuPrefix",))
    window = cursors.diff_window(versions, sku_prefix, first, after)
    view, diffs = context.loaders.view, context.loaders.diffs
    old, new = await view.version(price_list, versions[0]), await view.version(price_list, versions[1])
    statistics = diffs.statistics(old, new, sku_prefix)

    async def summary() -> StoredDiffSummary:
        return await diffs.summary(old, new)

    async def count() -> int:
        if sku_prefix:
            return (await statistics.get()).differences
        counted = await summary()
        return counted.added + counted.removed + counted.changed

    return PriceDiffConnection(
        page=await diffs.page(old, new, window, sku_prefix),
        cursor=lambda diff: cursors.encode(cursors.DiffCursor(*versions, diff.sku, len(sku_prefix))),
        count=count,
        summarize=summary,
        statistics=statistics,
    )
