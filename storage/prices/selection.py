"""Selections: a filter and an order of the prices of a version, and their translation to MongoDB queries.

Input of users appears in queries only as values: as the operand of `$eq`, `$gte`, `$lte` and the like, or as a
`$literal`. Attribute names are passed to `$getField`, so that dots and dollars in them have no meaning.
"""

import datetime
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from bson.decimal128 import Decimal128, create_decimal128_context

from storage.errors import InvalidArgument
from storage.mongodb.connection import Document
from storage.prices.currencies import CURRENCIES
from storage.prices.price import MAX_SKU_BYTES
from storage.prices.row_decoder import RowRefused, check_attributes
from storage.prices.sku_range import SkuRange, sku_range_of_prefix

MAX_FILTER_ATTRIBUTES = 20
"""Limit of the attributes in a filter."""


class PriceOrder(StrEnum):
    """The orders of prices. Prices of the same amount are in ascending sku order in both directions."""

    SKU = "SKU"
    AMOUNT_ASC = "AMOUNT_ASC"
    AMOUNT_DESC = "AMOUNT_DESC"


class SortPosition(NamedTuple):
    """A position in an order of prices. In sku order the amount is not needed."""

    sku: str
    amount: Decimal | None = None


class AttributeEquals(msgspec.Struct, frozen=True):
    """An attribute and the value that it must have. JSON equality applies: 1 equals 1.0 but not true."""

    name: str
    value: Any


class PriceFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """The conditions that a price must meet, all of them. A missing condition matches every price."""

    sku_prefix: str = ""
    currency: str | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    attributes: tuple[AttributeEquals, ...] = ()
    valid_on: datetime.date | None = None

    @property
    def sku_range(self) -> SkuRange:
        """The range of the skus that can match."""
        return sku_range_of_prefix(self.sku_prefix)

    def check(self) -> None:
        """Raise `InvalidArgument` for a prefix, a currency or an attribute that no price can have."""
        if len(self.sku_prefix) > MAX_SKU_BYTES:
            raise InvalidArgument(
                f"A skuPrefix may have at most {MAX_SKU_BYTES} characters; this one has {len(self.sku_prefix)}.",
                path=("filter", "skuPrefix"),
            )
        if self.currency is not None and self.currency not in CURRENCIES:
            raise InvalidArgument(
                f"{self.currency[:20]!r} is not an ISO 4217 currency code.", path=("filter", "currency")
            )
        path = ("filter", "attributes")
        if len(self.attributes) > MAX_FILTER_ATTRIBUTES:
            raise InvalidArgument(
                f"A filter may have at most {MAX_FILTER_ATTRIBUTES} attributes; this one has {len(self.attributes)}.",
                path=path,
            )
        for attribute in self.attributes:
            try:
                check_attributes({attribute.name: attribute.value})
            except RowRefused as refused:
                raise InvalidArgument(f"No price can have this attribute. {refused}", path=path) from refused

    def conditions(self) -> list[Document]:
        """Return the MongoDB conditions for all but the sku. The filter must be valid (see `check`)."""
        conditions: list[Document] = [{"removed": {"$exists": False}}]
        if self.currency is not None:
            conditions.append({"currency": {"$eq": self.currency}})
        if self.at_least is not None:
            conditions.append({"amount": {"$gte": _decimal128(self.at_least, ROUND_CEILING)}})
        if self.at_most is not None:
            conditions.append({"amount": {"$lte": _decimal128(self.at_most, ROUND_FLOOR)}})
        if self.valid_on is not None:
            # Dates are stored in ISO 8601, so string order is date order. A missing date does not limit the validity.
            day = self.valid_on.isoformat()
            conditions.append({"validFrom": {"$not": {"$gt": day}}, "validUntil": {"$not": {"$lt": day}}})
        return conditions + [_equals(attribute) for attribute in self.attributes]


class Selection(msgspec.Struct, frozen=True):
    """The prices that meet a filter, in an order. The default is all of them in sku order."""

    filter: PriceFilter = PriceFilter()
    order: PriceOrder = PriceOrder.SKU

    @property
    def is_everything(self) -> bool:
        """Whether this selects all prices, in sku order."""
        return self == Selection()

    @property
    def scans(self) -> bool:
        """Whether records are read that are not returned: always, except for a range of skus in sku order."""
        return self != Selection(PriceFilter(self.filter.sku_prefix))

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the selection in a cursor."""
        return blake2b(msgspec.json.encode(self, order="sorted"), digest_size=9).hexdigest()

    def __str__(self) -> str:
        """Describe the selection in the names of the schema."""
        names = {"sku_prefix": "skuPrefix", "at_least": "amount", "at_most": "amount", "valid_on": "validOn"}
        fields = dict.fromkeys(names.get(name, name) for name in msgspec.to_builtins(self.filter))
        filters = [f"filter by {', '.join(fields)}"] if fields else []
        return ", ".join([*filters, f"orderBy {self.order}"])

    def beyond(self, position: SortPosition, *, forward: bool) -> Document:
        """Return the condition for records strictly after a position, or before it, in an order by amount."""
        larger = forward is (self.order is PriceOrder.AMOUNT_ASC)
        amount = _decimal128(position.amount or Decimal(0), ROUND_HALF_EVEN)
        beyond, same = {"$gt" if larger else "$lt": amount}, {"$eq": amount}
        return {
            "$or": [{"amount": beyond}, {"amount": same, "_id": {"$gt" if forward else "$lt": position.sku}}],
        }

    def sort(self, *, backward: bool) -> list[tuple[str, int]]:
        """Return the MongoDB sort of an order by amount."""
        by_amount, by_sku = (1 if self.order is PriceOrder.AMOUNT_ASC else -1), 1
        return [("amount", -by_amount if backward else by_amount), ("_id", -by_sku if backward else by_sku)]

    def sorted(self, positions: Iterable[SortPosition], *, backward: bool) -> list[SortPosition]:
        """Return the positions in an order by amount, or in its reverse."""
        by_sku = sorted(positions, key=lambda position: position.sku, reverse=backward)
        descending = backward is (self.order is PriceOrder.AMOUNT_ASC)
        return sorted(by_sku, key=lambda position: position.amount or Decimal(0), reverse=descending)


def _equals(attribute: AttributeEquals) -> Document:
    # Objects are stored with sorted keys, and MongoDB compares the order of keys.
    value = msgspec.to_builtins(attribute.value, order="sorted")
    field = {"$getField": {"field": {"$literal": attribute.name}, "input": "$attributes"}}
    return {"$expr": {"$eq": [field, {"$literal": value}]}}


def _decimal128(value: Decimal, rounding: str) -> Decimal128:
    """Return a bound as a decimal128, rounded.

    No amount has more digits than a decimal128. So rounding a longer bound towards the matching amounts does not change
    which amounts match.
    """
    context = create_decimal128_context()
    context.rounding = rounding
    return Decimal128(context.create_decimal(value))
