"""Selections: which prices of a version are asked for, and in which order; and how the server is asked for them.

What a user sends stands in a query only where the server takes it for a value: behind `$eq`, `$gte`, `$lte` and their
like, or as a `$literal`. The names of attributes go through `$getField`, so that dots and dollars in them mean nothing.
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
from storage.prices.row_decoder import RowRefused, encode_attributes
from storage.prices.sku_range import SkuRange, sku_range_of_prefix

MAX_ATTRIBUTES = 20


class PriceOrder(StrEnum):
    """The orders of prices. Those of one amount stand in sku order, whichever way the amounts go."""

    SKU = "SKU"
    AMOUNT_ASC = "AMOUNT_ASC"
    AMOUNT_DESC = "AMOUNT_DESC"


class Place(NamedTuple):
    """A place in an order of prices; the sku order needs no amount."""

    sku: str
    amount: Decimal | None = None


class AttributeEquals(msgspec.Struct, frozen=True):
    """An attribute with the value that it must have: as JSON has it, so 1 is 1.0, and not true."""

    name: str
    value: Any


class PriceFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a price must meet, all of it; what is left out, any price does."""

    sku_prefix: str = ""
    currency: str | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    attributes: tuple[AttributeEquals, ...] = ()
    valid_on: datetime.date | None = None

    @property
    def span(self) -> SkuRange:
        """The skus that can meet it."""
        return sku_range_of_prefix(self.sku_prefix)

    def check(self) -> None:
        """Raise `InvalidArgument` for what no price can have: a currency that is none, an attribute that is none."""
        if self.currency is not None and self.currency not in CURRENCIES:
            raise InvalidArgument(f"{self.currency[:20]!r} is no ISO 4217 code.", path=("filter", "currency"))
        path = ("filter", "attributes")
        if len(self.attributes) > MAX_ATTRIBUTES:
            raise InvalidArgument(f"At most {MAX_ATTRIBUTES} attributes, not {len(self.attributes)}.", path=path)
        for attribute in self.attributes:
            try:
                encode_attributes({attribute.name: attribute.value})
            except RowRefused as refused:
                raise InvalidArgument(f"No price has such an attribute. {refused}", path=path) from refused

    def conditions(self) -> list[Document]:
        """Return what a record must meet besides its sku. The filter is one that was checked."""
        conditions: list[Document] = [{"removed": {"$exists": False}}]
        if self.currency is not None:
            conditions.append({"currency": {"$eq": self.currency}})
        if self.at_least is not None:
            conditions.append({"amount": {"$gte": _decimal128(self.at_least, ROUND_CEILING)}})
        if self.at_most is not None:
            conditions.append({"amount": {"$lte": _decimal128(self.at_most, ROUND_FLOOR)}})
        if self.valid_on is not None:
            # Days are stored in ISO 8601, whose order is that of the days. A day that is missing is no limit.
            day = self.valid_on.isoformat()
            conditions.append({"validFrom": {"$not": {"$gt": day}}, "validUntil": {"$not": {"$lt": day}}})
        return conditions + [_equals(attribute) for attribute in self.attributes]


class Selection(msgspec.Struct, frozen=True):
    """The prices that meet a filter, in an order. The default is all of them in sku order."""

    filter: PriceFilter = PriceFilter()
    order: PriceOrder = PriceOrder.SKU

    @property
    def is_everything(self) -> bool:
        """Whether it is all prices, in sku order."""
        return self == Selection()

    @property
    def scans(self) -> bool:
        """Whether records have to be read that are not answered: for all but a range of skus in their order."""
        return self != Selection(PriceFilter(self.filter.sku_prefix))

    @property
    def fingerprint(self) -> str:
        """Tells one selection from another, in a cursor."""
        return blake2b(msgspec.json.encode(self, order="sorted"), digest_size=9).hexdigest()

    def __str__(self) -> str:
        """Name what was asked for, as the schema names it."""
        names = {"sku_prefix": "skuPrefix", "at_least": "amount", "at_most": "amount", "valid_on": "validOn"}
        given = dict.fromkeys(names.get(name, name) for name in msgspec.to_builtins(self.filter))
        asked = [f"filter by {', '.join(given)}"] if given else []
        return ", ".join([*asked, f"orderBy {self.order}"])

    def beyond(self, place: Place, *, forward: bool) -> Document:
        """Return what a record meets that stands strictly after a place, or else before it, in an order of amounts."""
        larger = forward is (self.order is PriceOrder.AMOUNT_ASC)
        amount = _decimal128(place.amount or Decimal(0), ROUND_HALF_EVEN)
        further, same = {"$gt" if larger else "$lt": amount}, {"$eq": amount}
        return {
            "$or": [{"amount": further}, {"amount": same, "_id": {"$gt" if forward else "$lt": place.sku}}],
        }

    def sort(self, *, backward: bool) -> list[tuple[str, int]]:
        """Return an order of amounts as the server sorts by it."""
        by_amount, by_sku = (1 if self.order is PriceOrder.AMOUNT_ASC else -1), 1
        return [("amount", -by_amount if backward else by_amount), ("_id", -by_sku if backward else by_sku)]

    def sorted(self, places: Iterable[Place], *, backward: bool) -> list[Place]:
        """Return places in an order of amounts, from the side where a walk begins."""
        by_sku = sorted(places, key=lambda place: place.sku, reverse=backward)
        descending = backward is (self.order is PriceOrder.AMOUNT_ASC)
        return sorted(by_sku, key=lambda place: place.amount or Decimal(0), reverse=descending)


def _equals(attribute: AttributeEquals) -> Document:
    # Objects are stored with their keys in order, and to the server objects in another order are not equal.
    value = msgspec.to_builtins(attribute.value, order="sorted")
    field = {"$getField": {"field": {"$literal": attribute.name}, "input": "$attributes"}}
    return {"$expr": {"$eq": [field, {"$literal": value}]}}


def _decimal128(value: Decimal, rounding: str) -> Decimal128:
    """Return a limit as the server compares by it.

    No amount has more digits than a decimal128, so a limit that has more is met by the same amounts when it is
    rounded towards those that meet it.
    """
    context = create_decimal128_context()
    context.rounding = rounding
    return Decimal128(context.create_decimal(value))
