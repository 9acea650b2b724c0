"""Prices and their history."""

import datetime
import decimal
from typing import Annotated

import strawberry
from msgspec.structs import astuple

from graph import cursors
from graph.context import Context, Info
from graph.identity.requires import READING, as_parent, requires
from graph.node_ids import price_id
from graph.types.node import Node
from graph.types.scalars import JSON
from storage import InvalidArgument, Snapshot
from storage import Price as StoredPrice
from storage import PriceVersion as StoredPriceVersion


class VersionedPrice(StoredPrice, frozen=True, gc=False, kw_only=True):
    """A price of one version. The prices of `storage` are shared by all versions that contain them."""

    snapshot: Snapshot

    @classmethod
    def of(cls, price: StoredPrice, snapshot: Snapshot) -> "VersionedPrice":
        """Return a price as one of a version."""
        return cls(*astuple(price), snapshot=snapshot)

    @property
    def id(self) -> str:
        """The global id."""
        return price_id(self.snapshot.price_list, self.snapshot.version, self.sku)

    @property
    def price_list(self) -> str:
        """The name of the price list."""
        return self.snapshot.price_list

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.snapshot.version


def versioned(price: StoredPrice | None, snapshot: Snapshot) -> VersionedPrice | None:
    """Return a price as one of a version; None for None."""
    return None if price is None else VersionedPrice.of(price, snapshot)


Root = strawberry.Parent[VersionedPrice]

FirstChanges = Annotated[
    int | None, strawberry.argument(description=f"The number of changes to return: at most {cursors.MAX_PAGE_SIZE}.")
]


async def changes_of(context: Context, snapshot: Snapshot, sku: str, first: int | None) -> list[StoredPriceVersion]:
    """Return up to `first` changes of a price up to a version, newest first. Raises `InvalidArgument`, `ScanLimit`."""
    count = cursors.page_size(first, 10)
    return await context.loaders.histories.load((snapshot.price_list, snapshot.version, sku, count))


@strawberry.type(description="A quantity break: the unit amount from a quantity on.")
class PriceTier:
    """The GraphQL type of `storage.Tier`."""

    min_quantity: int = strawberry.field(description="The smallest quantity that the amount applies to.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount from this quantity on.")


@strawberry.type(description="A price in one version of a price list.")
class Price(Node):
    """The GraphQL type of `VersionedPrice`."""

    id: strawberry.ID = strawberry.field(
        description="The global id. It names the price list, the version and the sku: another version, another id."
    )
    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    version: int = strawberry.field(description="The number of the version.")
    sku: strawberry.ID = strawberry.field(description="The key of the price within its list.")
    amount: decimal.Decimal = strawberry.field(description="The exact unit amount, before quantity breaks.")
    currency: str = strawberry.field(description="The currency, as an ISO 4217 code.")
    tiers: list[PriceTier] = strawberry.field(
        description="The quantity breaks, by ascending `minQuantity`. Empty if the amount applies to any quantity."
    )
    valid_from: datetime.date | None = strawberry.field(
        description="The first day on which the price is valid. Null if unlimited."
    )
    valid_until: datetime.date | None = strawberry.field(
        description="The last day on which the price is valid. Null if unlimited."
    )
    attributes: JSON = strawberry.field(
        description="The attributes that the integrator sent with the price, as a JSON object."
    )

    @strawberry.field(description="The unit amount for a quantity, with quantity breaks applied.")
    @staticmethod
    @as_parent
    def unit_amount(
        root: Root, quantity: Annotated[int, strawberry.argument(description="The quantity: 1 or more.")] = 1
    ) -> decimal.Decimal:
        """Return the unit amount for a quantity."""
        if quantity < 1:
            raise InvalidArgument(f"`quantity` is {quantity}; it must be 1 or more.", path=("quantity",))
        return root.unit_amount(quantity)

    @strawberry.field(
        description="The changes of this price up to this version, newest first: one entry for each version that "
        "changed it. Considers all retained versions that have been current, including those rolled back later; the "
        "oldest of them counts as a change if it contains the sku. Examines at most 1000 versions, and fails with "
        "`SCAN_LIMIT` if they contain fewer than `first` changes and older versions exist.",
        graphql_type=list["PriceVersion"],
    )
    @staticmethod
    @requires(READING, price_list="root.price_list")
    async def history(root: Root, info: Info, first: FirstChanges = 10) -> list[StoredPriceVersion]:
        """Return the changes of the price, newest first."""
        return await changes_of(info.context, root.snapshot, root.sku, first)


@strawberry.type(description="A change in the history of a price.")
class PriceVersion:
    """The GraphQL type of `storage.PriceVersion`."""

    @strawberry.field(description="The version that changed the price.")
    @staticmethod
    @as_parent
    def version(root: strawberry.Parent[StoredPriceVersion]) -> int:
        """Return the number of the version that changed the price."""
        return root.snapshot.version

    @strawberry.field(description="When that version first became current.")
    @staticmethod
    @as_parent
    def published_at(root: strawberry.Parent[StoredPriceVersion]) -> datetime.datetime | None:
        """Return when that version first became current."""
        return root.snapshot.published_at

    @strawberry.field(
        description="The price in that version. Null if the version removed the sku.", graphql_type=Price | None
    )
    @staticmethod
    @as_parent
    def price(root: strawberry.Parent[StoredPriceVersion]) -> VersionedPrice | None:
        """Return the price in that version."""
        return versioned(root.price, root.snapshot)
