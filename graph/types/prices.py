"""Prices."""

import datetime
import decimal
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Info
from graph.identity.requires import as_parent
from graph.types.scalars import JSON
from storage import InvalidArgument
from storage import Price as StoredPrice
from storage import PriceVersion as StoredPriceVersion

Root = strawberry.Parent[StoredPrice]


@strawberry.type(description="A quantity break.")
class PriceTier:
    """Shown of `storage.Tier`."""

    min_quantity: int = strawberry.field(description="The amount holds for this quantity and more.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount.")


@strawberry.type(description="One price of a version.")
class Price:
    """Shown of `storage.Price`."""

    sku: strawberry.ID = strawberry.field(description="The key of the price within its list.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount, exact.")
    currency: str = strawberry.field(description="ISO 4217.")
    tiers: list[PriceTier] = strawberry.field(
        description="Quantity breaks in ascending minQuantity; empty where the amount holds for any quantity."
    )
    valid_from: datetime.date | None = strawberry.field(description="The first day on which the price holds.")
    valid_until: datetime.date | None = strawberry.field(description="The last day on which the price holds.")
    attributes: JSON = strawberry.field(description="What the integrator keeps with the price, as an object.")

    @strawberry.field(description="The unit amount for a quantity, the quantity breaks applied.")
    @staticmethod
    @as_parent
    def unit_amount(
        root: Root, quantity: Annotated[int, strawberry.argument(description="How many, from 1.")] = 1
    ) -> decimal.Decimal:
        """The unit amount for a quantity."""
        if quantity < 1:
            raise InvalidArgument(f"`quantity` is {quantity}; it must be 1 or more.", path=("quantity",))
        return root.unit_amount(quantity)

    @strawberry.field(
        description="The changes of this sku's price, newest first: the versions up to this one in which it became "
        "what it was. The first is the one in which the present price came in. Versions count that were current once "
        "and are kept, rolled back or not; the oldest of them is where a price came in that it has. Looks back over "
        "at most 1000 versions: `SCAN_LIMIT` where that is not enough for `first` changes.",
        graphql_type=list["PriceVersion"],
    )
    @staticmethod
    @as_parent
    async def history(
        root: Root,
        info: Info,
        first: Annotated[int | None, strawberry.argument(description=f"How many; at most {cursors.MAX_PAGE}.")] = 10,
    ) -> list[StoredPriceVersion]:
        """The changes of this sku's price."""
        version, count = info.context.version_at(info.path), cursors.page_size(first, 10)
        return await info.context.loaders.histories.load((version.price_list, version.version, root.sku, count))


@strawberry.type(description="A change of a price.")
class PriceVersion:
    """Shown of `storage.PriceVersion`."""

    @strawberry.field(description="The version that brought the change.")
    @staticmethod
    @as_parent
    def version(root: strawberry.Parent[StoredPriceVersion]) -> int:
        """The version that brought the change."""
        return root.snapshot.version

    @strawberry.field(description="When that version was current for the first time.")
    @staticmethod
    @as_parent
    def published_at(root: strawberry.Parent[StoredPriceVersion]) -> datetime.datetime | None:
        """When that version was current for the first time."""
        return root.snapshot.published_at

    @strawberry.field(description="The price since then; null where it was taken out.", graphql_type=Price | None)
    @staticmethod
    @as_parent
    def price(root: strawberry.Parent[StoredPriceVersion], info: Info) -> StoredPrice | None:
        """The price since then."""
        info.context.versions[info.path] = root.snapshot
        return root.price
