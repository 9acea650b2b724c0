"""Filters and orders of prices."""

import datetime
import decimal

import strawberry

from graph.types.enums import describe_enum
from graph.types.scalars import JSON
from storage import MAX_FILTER_ATTRIBUTES, MAX_SKU_BYTES, PriceOrder, Selection
from storage import AttributeEquals as StoredAttributeEquals
from storage import PriceFilter as StoredPriceFilter

describe_enum(
    PriceOrder,
    "The order of a list of prices.",
    {
        PriceOrder.SKU: "By sku, ascending.",
        PriceOrder.AMOUNT_ASC: "By amount, ascending. Prices with the same amount are in ascending sku order.",
        PriceOrder.AMOUNT_DESC: "By amount, descending. Prices with the same amount are in ascending sku order.",
    },
)


@strawberry.input(description="A range of decimals. Both bounds are inclusive and optional.")
class DecimalRange:
    """A range of decimals."""

    gte: decimal.Decimal | None = strawberry.field(default=None, description="The lower bound.")
    lte: decimal.Decimal | None = strawberry.field(default=None, description="The upper bound.")


@strawberry.input(description="A condition on one attribute.")
class AttributeEquals:
    """A condition on one attribute."""

    name: str = strawberry.field(description="The exact name of the attribute. Dots have no special meaning.")
    value: JSON = strawberry.field(
        description="The value that the attribute must have. Values are compared as JSON: `1` equals `1.0`, but "
        'neither `true` nor `"1"`. The order of object keys does not matter; the order of array items does. Name and '
        "value have at most 16 KiB of JSON."
    )


@strawberry.input(
    description="Conditions that prices must meet. All of them apply. A filter by `skuPrefix` alone reads only the "
    "prices that it returns. Any other filter scans the version, or the prices with the given prefix, and fails with "
    "`SCAN_LIMIT` if it would read more rows than the server allows."
)
class PriceFilter:
    """Conditions that prices must meet."""

    sku_prefix: str | None = strawberry.field(
        default=None, description=f"The prefix that the sku must have: at most {MAX_SKU_BYTES} characters."
    )
    currency: str | None = strawberry.field(default=None, description="The currency, as an ISO 4217 code.")
    amount: DecimalRange | None = strawberry.field(
        default=None, description="The range of the unit amount. Quantity breaks are ignored."
    )
    attributes: list[AttributeEquals] | None = strawberry.field(
        default=None, description=f"The attributes that the price must have: at most {MAX_FILTER_ATTRIBUTES}."
    )
    valid_on: datetime.date | None = strawberry.field(
        default=None,
        description="The day on which the price must be valid. A price without `validFrom` or `validUntil` has no "
        "limit on that side.",
    )


def to_selection(price_filter: PriceFilter | None, order: PriceOrder | None) -> Selection:
    """Return the selection of a filter and an order. Raises `InvalidArgument` for a filter that no price can meet."""
    price_filter = price_filter or PriceFilter()
    amount = price_filter.amount or DecimalRange()
    stored = StoredPriceFilter(
        sku_prefix=price_filter.sku_prefix or "",
        currency=price_filter.currency,
        at_least=amount.gte,
        at_most=amount.lte,
        attributes=tuple(StoredAttributeEquals(each.name, each.value) for each in price_filter.attributes or ()),
        valid_on=price_filter.valid_on,
    )
    stored.check()
    return Selection(stored, order or PriceOrder.SKU)
