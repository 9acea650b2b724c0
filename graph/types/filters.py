"""What a page of prices can be asked for by."""

import datetime
import decimal

import strawberry

from graph.types.scalars import JSON
from storage import AttributeEquals as StoredAttributeEquals
from storage import PriceFilter as StoredPriceFilter
from storage import PriceOrder, Selection

strawberry.enum(
    PriceOrder,
    description="The order of prices. Prices of one amount stand in sku order, whichever way the amounts go.",
)


@strawberry.input(description="A range of amounts, with its ends; an end that is left out is none.")
class DecimalRange:
    """A range of amounts."""

    gte: decimal.Decimal | None = strawberry.field(default=None, description="The least.")
    lte: decimal.Decimal | None = strawberry.field(default=None, description="The most.")


@strawberry.input(description="An attribute with the value that it must have.")
class AttributeEquals:
    """An attribute with the value that it must have."""

    name: str = strawberry.field(description="The attribute's name, as it stands; dots mean nothing.")
    value: JSON = strawberry.field(
        description='Equal as JSON is: 1 is 1.0 but neither true nor "1", objects in any order of their keys, '
        "arrays in theirs."
    )


@strawberry.input(
    description="What prices must meet, all of it. `skuPrefix` alone reads only what it answers with; all else reads "
    "the records of the version, those of the prefix where there is one, up to a limit: `SCAN_LIMIT` beyond it."
)
class PriceFilter:
    """What prices must meet."""

    sku_prefix: str | None = strawberry.field(default=None, description="How the sku begins.")
    currency: str | None = strawberry.field(default=None, description="ISO 4217.")
    amount: DecimalRange | None = strawberry.field(default=None, description="The unit amount, without tiers.")
    attributes: list[AttributeEquals] | None = strawberry.field(
        default=None, description="Every pair must be equal; at most 20."
    )
    valid_on: datetime.date | None = strawberry.field(
        default=None, description="Only prices valid on this day; a price without an end of validity has none."
    )


def selected(given: PriceFilter | None, order: PriceOrder | None) -> Selection:
    """Return what a filter and an order select. Raises `InvalidArgument` for a filter that no price can meet."""
    given = given or PriceFilter()
    amount = given.amount or DecimalRange()
    wanted = StoredPriceFilter(
        sku_prefix=given.sku_prefix or "",
        currency=given.currency,
        at_least=amount.gte,
        at_most=amount.lte,
        attributes=tuple(StoredAttributeEquals(each.name, each.value) for each in given.attributes or ()),
        valid_on=given.valid_on,
    )
    wanted.check()
    return Selection(wanted, order or PriceOrder.SKU)
