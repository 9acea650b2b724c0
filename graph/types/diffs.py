"""What differs between two versions of a list."""

from collections.abc import Awaitable, Callable

import strawberry

from graph import cursors
from graph.context import Context, Info
from graph.identity.requires import as_parent
from graph.types.connections import Connection
from graph.types.gates import DiffSummary
from graph.types.prices import Price
from storage import ChangeKind
from storage import DiffSummary as StoredDiffSummary
from storage import Price as StoredPrice
from storage import PriceDiff as StoredPriceDiff

DEFAULT_SIZE = 100

strawberry.enum(ChangeKind, description="What became of a sku.")

Root = strawberry.Parent[StoredPriceDiff]


@strawberry.type(description="A sku that differs between two versions.")
class PriceDiff:
    """Shown of `storage.PriceDiff`."""

    sku: strawberry.ID = strawberry.field(description="The key of the price.")
    change: ChangeKind = strawberry.field(description="What became of it.")

    @strawberry.field(description="The price in the version before; null where it had none.", graphql_type=Price | None)
    @staticmethod
    @as_parent
    def before(root: Root, info: Info) -> StoredPrice | None:
        """The price in the version before."""
        info.context.versions[info.path] = root.versions[0]
        return root.before

    @strawberry.field(description="The price in the version after; null where it has none.", graphql_type=Price | None)
    @staticmethod
    @as_parent
    def after(root: Root, info: Info) -> StoredPrice | None:
        """The price in the version after."""
        info.context.versions[info.path] = root.versions[1]
        return root.after


@strawberry.type(description="A page of what differs between two versions, in sku order.")
class PriceDiffConnection(Connection[PriceDiff]):
    """A page, and the summary of all differences."""

    counted: strawberry.Private[Callable[[], Awaitable[StoredDiffSummary]]]

    @strawberry.field(description="How many prices differ in all, and how many do not.", graphql_type=DiffSummary)
    @as_parent
    async def summary(self) -> StoredDiffSummary:
        """How many prices differ in all, and how many do not."""
        return await self.counted()


async def diff_of(
    context: Context, price_list: str, versions: tuple[int, int], first: int | None, after: str | None
) -> PriceDiffConnection:
    """Return a page of what differs between two versions of a list. Raises `SnapshotNotFound`, `SnapshotExpired`."""
    window = cursors.diff_window(versions, first, after, DEFAULT_SIZE)
    view, diffs = context.loaders.view, context.loaders.diffs
    old, new = await view.version(price_list, versions[0]), await view.version(price_list, versions[1])

    async def summary() -> StoredDiffSummary:
        return await diffs.summary(old, new)

    async def count() -> int:
        counted = await summary()
        return counted.added + counted.removed + counted.changed

    return PriceDiffConnection(
        page=await diffs.page(old, new, window),
        cursor=lambda diff: cursors.write(cursors.DiffCursor(*versions, diff.sku)),
        count=count,
        counted=summary,
    )
