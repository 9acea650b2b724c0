"""Snapshots: the immutable versions of a price list."""

import datetime
from collections.abc import Sequence
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Info, MaybeAwaitable
from graph.identity.requires import INTERNALS, READING, as_parent, requires
from graph.node_ids import snapshot_id
from graph.types.batches import Batch
from graph.types.connections import Connection
from graph.types.enums import describe_enum
from graph.types.filters import PriceFilter, to_selection
from graph.types.node import Node
from graph.types.price_connections import all_prices, selected_prices
from graph.types.prices import FirstChanges, Price, PriceVersion, VersionedPrice, changes_of, versioned
from graph.types.quotes import MAX_LINES, Quote, QuoteLineInput, check_lines
from loaders import PriceLoader
from storage import MISSING, InvalidArgument, PriceOrder, SnapshotState, quote
from storage import Batch as StoredBatch
from storage import Price as StoredPrice
from storage import PriceVersion as StoredPriceVersion
from storage import Quote as StoredQuote
from storage import Snapshot as StoredSnapshot

MAX_SKUS = 1000
"""Number of skus of one `pricesBySku`."""

describe_enum(
    SnapshotState,
    "The state of a version.",
    {
        SnapshotState.SEALED: "The version is complete but has never been current. Only callers who work on the "
        "price list see it.",
        SnapshotState.PUBLISHED: "The version is current or has been current.",
        SnapshotState.RETIRED: "The version has expired, or its batch was not published. It cannot be read.",
    },
)

Root = strawberry.Parent[StoredSnapshot]


@as_parent
def _global_id(root: Root) -> strawberry.ID:
    return strawberry.ID(snapshot_id(root.price_list, root.version))


@strawberry.type(description="An immutable version of a price list.")
class Snapshot(Node):
    """The GraphQL type of `storage.Snapshot`."""

    id: strawberry.ID = strawberry.field(
        resolver=_global_id, description="The global id. It names the price list and the version."
    )
    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    version: int = strawberry.field(
        description="The number of the version, starting at 1. Numbers only grow and are never used twice."
    )
    size: int = strawberry.field(description="The number of prices in this version.")
    state: SnapshotState = strawberry.field(description="The state of the version.")
    created_at: datetime.datetime = strawberry.field(description="When the version was sealed.")
    published_at: datetime.datetime | None = strawberry.field(
        description="When the version first became current. Null if it has never been current."
    )
    label: str | None = strawberry.field(description="The label that the batch gave this version.")

    @strawberry.field(description="The batch that created this version.", graphql_type=Batch | None)
    @staticmethod
    @requires(INTERNALS, price_list="root.price_list")
    async def batch(root: Root, info: Info) -> StoredBatch | None:
        """Return the batch that created this version."""
        return await info.context.loaders.batches.load(root.batch)

    @strawberry.field(
        description="Until when `keepVersion` keeps this version, whatever retention says. The instant may be over. "
        "Null without one.",
        graphql_type=datetime.datetime | None,
    )
    @staticmethod
    @requires(INTERNALS, price_list="root.price_list")
    async def kept_until(root: Root, info: Info) -> datetime.datetime | None:
        """Return until when this version is kept. The manifest in memory may be older than that."""
        keep = await info.context.loaders.keeps.load((root.price_list, root.version))
        return keep.until if keep else None

    @strawberry.field(
        description="The price of a sku. Null if this version does not have the sku.", graphql_type=Price | None
    )
    @staticmethod
    @as_parent
    def price(
        root: Root,
        info: Info,
        sku: Annotated[strawberry.ID, strawberry.argument(description="The sku to look up.")],
    ) -> MaybeAwaitable[VersionedPrice]:
        """Return the price of a sku."""
        prices = info.context.loaders.prices
        cached = prices.cached(root, sku)
        return _load_price(prices, root, sku) if cached is MISSING else versioned(cached, root)

    @strawberry.field(
        description="The changes of a price up to this version, newest first, as `Price.history`; also of a sku that "
        "this version does not have. Empty if no retained version has the sku.",
        graphql_type=list[PriceVersion],
    )
    @staticmethod
    @requires(READING, price_list="root.price_list")
    async def history(
        root: Root,
        info: Info,
        sku: Annotated[strawberry.ID, strawberry.argument(description="The sku to look up.")],
        first: FirstChanges = 10,
    ) -> list[StoredPriceVersion]:
        """Return the changes of a price, newest first."""
        return await changes_of(info.context, root, sku, first)

    @strawberry.field(
        description="The prices of several skus, in the order of `skus`. An item is null if this version does not have "
        "the sku.",
        graphql_type=list[Price | None],
    )
    @staticmethod
    @as_parent
    def prices_by_sku(
        root: Root,
        info: Info,
        skus: Annotated[
            list[strawberry.ID], strawberry.argument(description=f"The skus to look up: at most {MAX_SKUS}.")
        ],
    ) -> MaybeAwaitable[list[VersionedPrice | None]]:
        """Return the prices of several skus, in their order."""
        if len(skus) > MAX_SKUS:
            raise InvalidArgument(f"`skus` has {len(skus)} items; at most {MAX_SKUS} are allowed.", path=("skus",))
        prices = info.context.loaders.prices
        cached = prices.cached_many(root, skus)
        return _load_prices(prices, root, skus) if cached is None else _all_versioned(cached, root)

    @strawberry.field(
        description="The prices of this version, in sku order unless `orderBy` is given. Cursors name their version, "
        "so pagination stays on one version while others are published; it fails with `SNAPSHOT_EXPIRED` if that "
        "version expires. Use a cursor only with the same `filter` and `orderBy`.",
        graphql_type=Connection[Price],
    )
    @staticmethod
    @as_parent
    async def prices(
        root: Root,
        info: Info,
        first: Annotated[
            int | None,
            strawberry.argument(
                description=f"The number of prices to return from the start: at most {cursors.MAX_PAGE_SIZE}."
            ),
        ] = 100,
        after: Annotated[str | None, strawberry.argument(description="Return only prices after this cursor.")] = None,
        last: Annotated[
            int | None,
            strawberry.argument(
                description="The number of prices to return from the end. Takes precedence over `first`."
            ),
        ] = None,
        before: Annotated[str | None, strawberry.argument(description="Return only prices before this cursor.")] = None,
        filter: Annotated[  # noqa: A002
            PriceFilter | None,
            strawberry.argument(
                description="Return only prices that match this filter. `totalCount` counts all of them."
            ),
        ] = None,
        order_by: Annotated[
            PriceOrder | None,
            strawberry.argument(
                description="The order of the prices. Ordering by amount scans the version, or the prices with the "
                "`skuPrefix` of the filter, and fails with `SCAN_LIMIT` if it would read more rows than the server "
                "allows."
            ),
        ] = None,
    ) -> Connection[VersionedPrice]:
        """Return a page of the prices."""
        selection = to_selection(filter, order_by)
        if selection.is_everything:
            return await all_prices(info.context, root, first, after, last, before)
        return await selected_prices(info.context, root, selection, first, after, last, before)

    @strawberry.field(
        description="The cost of quantities of skus. All lines are priced from this version.", graphql_type=Quote
    )
    @staticmethod
    @as_parent
    async def quote(
        root: Root,
        info: Info,
        lines: Annotated[
            list[QuoteLineInput], strawberry.argument(description=f"The lines to quote: at most {MAX_LINES}.")
        ],
    ) -> StoredQuote:
        """Return the cost of quantities of skus."""
        check_lines(lines)
        prices = await info.context.loaders.prices.load_many(root, [line.sku for line in lines])
        return quote(root.version, [(line.sku, line.quantity) for line in lines], prices)


async def _load_price(prices: PriceLoader, snapshot: StoredSnapshot, sku: str) -> VersionedPrice | None:
    return versioned(await prices.load(snapshot, sku), snapshot)


async def _load_prices(
    prices: PriceLoader, snapshot: StoredSnapshot, skus: Sequence[str]
) -> list[VersionedPrice | None]:
    return _all_versioned(await prices.load_many(snapshot, skus), snapshot)


def _all_versioned(prices: Sequence[StoredPrice | None], snapshot: StoredSnapshot) -> list[VersionedPrice | None]:
    return [versioned(price, snapshot) for price in prices]
