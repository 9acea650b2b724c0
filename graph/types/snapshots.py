"""Snapshots: the immutable versions of a price list."""

import datetime
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Answer, Info
from graph.types.batches import Batch
from graph.types.connections import Connection
from graph.types.prices import Price
from loaders import MISSING, Page
from storage import Batch as StoredBatch
from storage import InvalidArgument, SnapshotState
from storage import Price as StoredPrice
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
    async def batch(root: Root, info: Info) -> StoredBatch | None:
        """The batch that made it."""
        return await info.context.loaders.batches.load(root.batch)

    @strawberry.field(
        description="The price of a sku; null where this version has no such sku.", graphql_type=Price | None
    )
    @staticmethod
    def price(
        root: Root,
        info: Info,
        sku: Annotated[strawberry.ID, strawberry.argument(description="The key of the price.")],
    ) -> Answer[StoredPrice]:
        """The price of a sku."""
        prices = info.context.loaders.prices
        cached = prices.cached(root, sku)
        return prices.load(root, sku) if cached is MISSING else cached

    @strawberry.field(
        description="In the order asked for; null where this version has no such sku.",
        graphql_type=list[Price | None],
    )
    @staticmethod
    def prices_by_sku(
        root: Root,
        info: Info,
        skus: Annotated[list[strawberry.ID], strawberry.argument(description=f"At most {MAX_SKUS}.")],
    ) -> Answer[list[StoredPrice | None]]:
        """The prices of some skus, in their order."""
        if len(skus) > MAX_SKUS:
            raise InvalidArgument(f"At most {MAX_SKUS} skus at once, not {len(skus)}.", path=("skus",))
        prices = info.context.loaders.prices
        cached = prices.cached_many(root, skus)
        return prices.load_many(root, skus) if cached is None else cached

    @strawberry.field(
        description="In sku order. Cursors name their version: a walk stays on it across publishes; "
        "`SNAPSHOT_EXPIRED` once retention took it.",
        graphql_type=Connection[Price],
    )
    @staticmethod
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
    ) -> Connection[StoredPrice]:
        """A page of the prices, in sku order."""
        window = cursors.price_window(root.version, first, after, last, before, default=100)
        page: Page[StoredPrice] = await info.context.loaders.pages.prices(root, window)

        async def count() -> int:
            return root.size

        return Connection(
            page=page, cursor=lambda price: cursors.write(cursors.PriceCursor(root.version, price.sku)), count=count
        )
