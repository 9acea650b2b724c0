"""Prices and their history."""

import datetime
import decimal
from collections.abc import Awaitable, Sequence
from typing import Annotated, Optional

import msgspec
import strawberry

from graph import cursors
from graph.context import Context, Info
from graph.execution.attributes import attribute
from graph.identity.requires import READING, as_parent, requires
from graph.node_ids import price_id
from graph.types.node import Node
from graph.types.scalars import JSON
from loaders import MAX_DAYS, Between, DaysBefore
from storage import MAX_LOOK_UPS, MAX_MOVES, MAX_PERIODS, InvalidArgument, Snapshot
from storage import LowestPrice as StoredLowestPrice
from storage import Price as StoredPrice
from storage import PricePeriod as StoredPricePeriod
from storage import PriceVersion as StoredPriceVersion


class VersionedPrice(msgspec.Struct, frozen=True, gc=False):
    """A price of one version. The prices of `storage` are shared by all versions that contain them."""

    price: StoredPrice
    snapshot: Snapshot

    @property
    def id(self) -> str:
        """The global id."""
        return price_id(self.snapshot.price_list, self.snapshot.version, self.price.sku)


def versioned(price: StoredPrice | None, snapshot: Snapshot) -> VersionedPrice | None:
    """Return a price as one of a version; None for None."""
    return None if price is None else VersionedPrice(price, snapshot)


Root = strawberry.Parent[VersionedPrice]

FirstChanges = Annotated[
    int | None, strawberry.argument(description=f"The number of changes to return: at most {cursors.MAX_PAGE_SIZE}.")
]

_SCAN_LIMIT = (
    f"Fails with `SCAN_LIMIT` if there are more than {MAX_MOVES} changes of the current version, or more than "
    f"{MAX_LOOK_UPS} for all `timeline` and `lowest` of the request, each counted once for each sku"
)
_NESTED = "Fails with `TIMELINE_NESTED` within a `timeline`, where it is the same for each period."


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
    price_list: strawberry.ID = strawberry.field(
        resolver=attribute("snapshot.price_list"), description="The name of the price list."
    )
    version: int = strawberry.field(resolver=attribute("snapshot.version"), description="The number of the version.")
    sku: strawberry.ID = strawberry.field(
        resolver=attribute("price.sku"), description="The key of the price within its list."
    )
    amount: decimal.Decimal = strawberry.field(
        resolver=attribute("price.amount"), description="The exact unit amount, before quantity breaks."
    )
    currency: str = strawberry.field(
        resolver=attribute("price.currency"), description="The currency, as an ISO 4217 code."
    )
    tiers: list[PriceTier] = strawberry.field(
        resolver=attribute("price.tiers"),
        description="The quantity breaks, by ascending `minQuantity`. Empty if the amount applies to any quantity.",
    )
    valid_from: datetime.date | None = strawberry.field(
        resolver=attribute("price.valid_from"),
        description="The first day on which the price is valid. Null if unlimited.",
    )
    valid_until: datetime.date | None = strawberry.field(
        resolver=attribute("price.valid_until"),
        description="The last day on which the price is valid. Null if unlimited.",
    )
    attributes: JSON = strawberry.field(
        resolver=attribute("price.attributes"),
        description="The attributes that the integrator sent with the price, as a JSON object.",
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
        return root.price.unit_amount(quantity)

    @strawberry.field(
        description="The changes of this price up to this version, newest first: one entry for each version that "
        "changed it. Considers all retained versions that have been current, including those rolled back later; the "
        "oldest of them counts as a change if it contains the sku. Examines at most 1000 versions, and fails with "
        "`SCAN_LIMIT` if they contain fewer than `first` changes and older versions exist.",
        graphql_type=list["PriceVersion"],
    )
    @staticmethod
    @requires(READING, price_list="root.snapshot.price_list")
    async def history(root: Root, info: Info, first: FirstChanges = 10) -> list[StoredPriceVersion]:
        """Return the changes of the price, newest first."""
        return await changes_of(info.context, root.snapshot, root.price.sku, first)

    @strawberry.field(
        description="What this sku cost while its price list showed it: one entry for each period with the same price, "
        "by all changes of the current version, rollbacks included; oldest first. Does not depend on the version of "
        "this price. Periods of versions that have expired are left out. "
        f"{_SCAN_LIMIT}, or if all timelines of the request have more than {MAX_PERIODS} periods. {_NESTED}",
        graphql_type=list["PricePeriod"],
    )
    @staticmethod
    @requires(READING, price_list="root.snapshot.price_list")
    def timeline(
        root: Root,
        info: Info,
        since: Annotated[
            datetime.datetime,
            strawberry.argument(description="The start: the first period begins here at the earliest."),
        ],
        until: Annotated[
            datetime.datetime | None,
            strawberry.argument(
                description="The end: the last period ends here at the latest. Not in the future; the default is now."
            ),
        ] = None,
    ) -> Awaitable[Sequence[StoredPricePeriod]]:
        """Return the periods of the price, oldest first."""
        window = Between(since, until)
        return info.context.loaders.timelines.periods(root.snapshot.price_list, window, root.price.sku)

    @strawberry.field(
        description="The lowest amount of this sku in the currency of this price, by what its price list showed in the "
        "`days` before an instant: the earliest of equal ones. Null if the sku had no price in this currency then. "
        "Counts the amount before quantity breaks. "
        f"{_SCAN_LIMIT}. {_NESTED}",
        graphql_type=Optional["LowestPrice"],
    )
    @staticmethod
    @requires(READING, price_list="root.snapshot.price_list")
    def lowest(
        root: Root,
        info: Info,
        days: Annotated[
            int, strawberry.argument(description=f"The length of the window, in days of 24 hours: 1 to {MAX_DAYS}.")
        ] = 30,
        before: Annotated[
            datetime.datetime | None,
            strawberry.argument(
                description="The end of the window, which it excludes. Not in the future; the default is now."
            ),
        ] = None,
    ) -> Awaitable[StoredLowestPrice | None]:
        """Return the lowest amount of the days before an instant."""
        window = DaysBefore(days, before)
        price = root.price
        return info.context.loaders.timelines.lowest(root.snapshot.price_list, window, price.sku, price.currency)


@strawberry.type(description="A change in the history of a price.")
class PriceVersion:
    """The GraphQL type of `storage.PriceVersion`."""

    version: int = strawberry.field(
        resolver=attribute("snapshot.version"), description="The version that changed the price."
    )
    published_at: datetime.datetime | None = strawberry.field(
        resolver=attribute("snapshot.published_at"), description="When that version first became current."
    )

    @strawberry.field(
        description="The price in that version. Null if the version removed the sku.", graphql_type=Price | None
    )
    @staticmethod
    @as_parent
    def price(root: strawberry.Parent[StoredPriceVersion]) -> VersionedPrice | None:
        """Return the price in that version."""
        return versioned(root.price, root.snapshot)


@strawberry.type(description="A period in which a price list had one price of a sku.")
class PricePeriod:
    """The GraphQL type of `storage.PricePeriod`."""

    from_: datetime.datetime = strawberry.field(name="from", description="When the period began, or the timeline.")
    until: datetime.datetime | None = strawberry.field(
        description="When the period ended, or the timeline. Null if the period lasts."
    )
    version: int = strawberry.field(
        resolver=attribute("snapshot.version"), description="The version that was current when the period began."
    )

    @strawberry.field(description="The price. Null if the price list did not have the sku.", graphql_type=Price | None)
    @staticmethod
    @as_parent
    def price(root: strawberry.Parent[StoredPricePeriod]) -> VersionedPrice | None:
        """Return the price in that version."""
        return versioned(root.price, root.snapshot)


@strawberry.type(description="The lowest amount of a sku in a window of time.")
class LowestPrice:
    """The GraphQL type of `storage.LowestPrice`."""

    amount: decimal.Decimal = strawberry.field(description="The lowest unit amount, before quantity breaks.")
    currency: str = strawberry.field(description="The currency, as an ISO 4217 code.")
    version: int = strawberry.field(description="The version that was current when the amount began to be shown.")
    from_: datetime.datetime = strawberry.field(
        name="from",
        description="When the amount began to be shown. Before the window if the version was current when it began.",
    )
    complete: bool = strawberry.field(
        description="Whether all of the window is known. False if a version that was current in it has expired, or if "
        "the price list had no version at its start."
    )
