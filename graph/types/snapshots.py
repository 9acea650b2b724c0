"""Snapshots: the immutable versions of a price list."""

import datetime
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Info, MaybeAwaitable
from graph.identity.requires import INSIDE, as_parent, needs
from graph.types.batches import Batch
from graph.types.connections import Connection
from graph.types.filters import PriceFilter, selected
from graph.types.price_connections import all_prices, selected_prices
from graph.types.prices import Price
from graph.types.quotes import MAX_LINES, Quote, QuoteLineInput, check_lines
from loaders import MISSING
from storage import Batch as StoredBatch
from storage import InvalidArgument, PriceOrder, SnapshotState, quote
from storage import Price as StoredPrice
from storage import Quote as StoredQuote
from storage import Snapshot as StoredSnapshot

MAX_SKUS = 1000

strawberry.enum(SnapshotState, description="Where a version stands.")

Root = strawberry.Parent[StoredSnapshot]


@strawberry.type(description="One immutable version of a price list.")
class Snapshot:
    """Shown of `storage.Snapshot`."""

    price_list: strawberry.ID = strawberry.field(description="The list that this is a version of.")
    version: int = strawberry.field(description="Counts the versions of the list from 1; never used twice.")
    size: int = strawberry.field(description="Number of prices in this version.")
    state: SnapshotState = strawberry.field(description="Where it stands.")
    created_at: datetime.datetime = strawberry.field(description="When it was sealed.")
    published_at: datetime.datetime | None = strawberry.field(
        description="Null until it was current for the first time."
    )
    label: str | None = strawberry.field(description="The label that its batch gave it.")

    @strawberry.field(description="The batch that made it.", graphql_type=Batch | None)
    @staticmethod
    @needs(INSIDE, of="root.price_list")
    async def batch(root: Root, info: Info) -> StoredBatch | None:
        """The batch that made it."""
        return await info.context.loaders.batches.load(root.batch)

    @strawberry.field(
        description="The price of a sku; null where this version has no such sku.", graphql_type=Price | None
    )
    @staticmethod
    @as_parent
    def price(
        root: Root,
        info: Info,
        sku: Annotated[strawberry.ID, strawberry.argument(description="The key of the price.")],
    ) -> MaybeAwaitable[StoredPrice]:
        """The price of a sku."""
        info.context.versions[info.path] = root
        prices = info.context.loaders.prices
        cached = prices.cached(root, sku)
        return prices.load(root, sku) if cached is MISSING else cached

    @strawberry.field(
        description="In the order asked for; null where this version has no such sku.",
        graphql_type=list[Price | None],
    )
    @staticmethod
    @as_parent
    def prices_by_sku(
        root: Root,
        info: Info,
        skus: Annotated[list[strawberry.ID], strawberry.argument(description=f"At most {MAX_SKUS}.")],
    ) -> MaybeAwaitable[list[StoredPrice | None]]:
        """The prices of some skus, in their order."""
        if len(skus) > MAX_SKUS:
            raise InvalidArgument(f"At most {MAX_SKUS} skus at once, not {len(skus)}.", path=("skus",))
        info.context.versions[info.path] = root
        prices = info.context.loaders.prices
        cached = prices.cached_many(root, skus)
        return prices.load_many(root, skus) if cached is None else cached

    @strawberry.field(
        description="In sku order unless `orderBy` says otherwise. Cursors name their version: a walk stays on it "
        "across publishes; `SNAPSHOT_EXPIRED` once retention took it. They also know their filter and order, which "
        "have to stay the same.",
        graphql_type=Connection[Price],
    )
    @staticmethod
    @as_parent
    async def prices(
        root: Root,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description=f"How many, from the start; at most {cursors.MAX_PAGE}.")
        ] = 100,
        after: Annotated[str | None, strawberry.argument(description="Only those after this cursor.")] = None,
        last: Annotated[
            int | None, strawberry.argument(description="How many, from the end; goes before `first`.")
        ] = None,
        before: Annotated[str | None, strawberry.argument(description="Only those before this cursor.")] = None,
        filter: Annotated[  # noqa: A002
            PriceFilter | None, strawberry.argument(description="Only those that meet it; `totalCount` counts them.")
        ] = None,
        order_by: Annotated[
            PriceOrder | None,
            strawberry.argument(
                description="An order of amounts reads all prices that meet the filter's `skuPrefix`, up to a limit: "
                "`SCAN_LIMIT` beyond it."
            ),
        ] = None,
    ) -> Connection[StoredPrice]:
        """A page of the prices."""
        info.context.versions[info.path] = root
        selection = selected(filter, order_by)
        if selection.is_everything:
            return await all_prices(info.context, root, first, after, last, before)
        return await selected_prices(info.context, root, selection, first, after, last, before)

    @strawberry.field(description="Every line is priced from this one version.", graphql_type=Quote)
    @staticmethod
    @as_parent
    async def quote(
        root: Root,
        info: Info,
        lines: Annotated[list[QuoteLineInput], strawberry.argument(description=f"At most {MAX_LINES}.")],
    ) -> StoredQuote:
        """What some quantities cost."""
        check_lines(lines)
        prices = await info.context.loaders.prices.load_many(root, [line.sku for line in lines])
        return quote(root.version, [(line.sku, line.quantity) for line in lines], prices)
