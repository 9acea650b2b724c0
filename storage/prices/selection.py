"""Selections: a filter and an order of the prices of a version."""

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from storage.errors import InvalidArgument
from storage.prices.currencies import CURRENCIES
from storage.prices.item_error import RowRefused
from storage.prices.price import MAX_SKU_BYTES, Price, RowAmount
from storage.prices.row_checks import check_attributes
from storage.prices.sku_range import SkuRange, sku_range_of_prefix

MAX_FILTER_ATTRIBUTES = 20
"""Limit of the attributes in a filter."""

_ZERO = Decimal(0)

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class PriceOrder(StrEnum):
    """The orders of prices. Prices of the same amount are in ascending sku order in both directions."""

    SKU = "SKU"
    AMOUNT_ASC = "AMOUNT_ASC"
    AMOUNT_DESC = "AMOUNT_DESC"


class SortPosition(NamedTuple):
    """A position in an order of prices. In sku order the amount is not needed."""

    sku: str
    amount: Decimal | None = None


SortKey = tuple[Decimal, str]
"""The values that an order of prices compares: the amount, negated if it descends and 0 in sku order, and the sku."""


class AttributeEquals(msgspec.Struct, frozen=True):
    """An attribute and the value that it must have. JSON equality applies: 1 equals 1.0 but not true."""

    name: str
    value: Any

    def select(
        self, prices: Sequence[Price | None] | Mapping[int, Price | None], indexes: Sequence[int]
    ) -> Sequence[int]:
        """Return those of some prices, by their indexes, that have the attribute."""
        rows: Any = prices  # those at the indexes are not None
        name, value = self.name, self.value
        if isinstance(value, str):
            return [index for index in indexes if rows[index].attributes.get(name) == value]
        having = [index for index in indexes if name in rows[index].attributes]
        return [index for index in having if _equal(rows[index].attributes[name], value)]

    def encodings(self) -> list[bytes]:
        """Return byte strings of which every row that meets the condition contains one. Others may contain it, too."""
        value, name = self.value, _encode(self.name)
        if isinstance(value, list | dict):
            return [name + _encode(value)[:1]]  # its type and, up to 15 elements, their number
        if isinstance(value, bool) or not isinstance(value, int | float):
            return [name + _encode(value)]
        return [name + _encode(number) for number in _equal_numbers(value)]


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
        check_sku_prefix(self.sku_prefix, ("filter", "skuPrefix"))
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

    def select(self, heads: Sequence[RowAmount | None], indexes: Sequence[int]) -> Sequence[int]:
        """Return those of some prices, by their indexes, that meet all conditions but those on sku and attributes.

        The heads are of `RowHead` if there are conditions on currency or validity.
        """
        rows: Any = heads
        if self.currency is not None:
            indexes = [index for index in indexes if rows[index].currency == self.currency]
        if self.at_least is not None:
            indexes = [index for index in indexes if rows[index].amount >= self.at_least]
        if self.at_most is not None:
            indexes = [index for index in indexes if rows[index].amount <= self.at_most]
        if self.valid_on is not None:
            day = self.valid_on.isoformat()  # dates are stored in ISO 8601, so the order of texts is that of dates
            indexes = [index for index in indexes if (rows[index].valid_from or day) <= day]
            indexes = [index for index in indexes if (rows[index].valid_until or day) >= day]
        return indexes


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
        """Whether rows are read that are not returned: always, except for a range of skus in sku order."""
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
        order = [f"orderBy {self.order}"] if self.order is not PriceOrder.SKU or not filters else []
        return ", ".join([*filters, *order])

    def key(self, sku: str, amount: Decimal) -> SortKey:
        """Return the key of a price in this order."""
        if self.order is PriceOrder.SKU:
            return _ZERO, sku
        return amount if self.order is PriceOrder.AMOUNT_ASC else amount.copy_negate(), sku

    def filter_between(self, lower: SortKey | None, upper: SortKey | None) -> PriceFilter:
        """Return the filter with the bounds of the amount that two keys of this order imply, if they are given."""
        if self.order is PriceOrder.SKU:
            return self.filter
        least, greatest = lower and lower[0], upper and upper[0]
        if self.order is PriceOrder.AMOUNT_DESC:
            least, greatest = greatest and greatest.copy_negate(), least and least.copy_negate()
        return msgspec.structs.replace(
            self.filter,
            at_least=max((bound for bound in (self.filter.at_least, least) if bound is not None), default=None),
            at_most=min((bound for bound in (self.filter.at_most, greatest) if bound is not None), default=None),
        )


def check_sku_prefix(prefix: str, path: tuple[str, ...]) -> None:
    """Raise `InvalidArgument` for a prefix that no sku can have. `path` is that of the argument."""
    if len(prefix) > MAX_SKU_BYTES:
        raise InvalidArgument(
            f"A skuPrefix may have at most {MAX_SKU_BYTES} characters; this one has {len(prefix)}.", path=path
        )


def _equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal. Python's `True == 1`, at any depth, is not JSON's."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _equal_numbers(value: float) -> list[float]:
    """Return the numbers that equal a number, but are stored as other bytes: an integer and floats."""
    numbers: list[float] = [0.0, -0.0] if value == 0 else [float(value)]
    if -(2**63) <= value < 2**64:
        numbers.append(int(value))
    return [number for number in numbers if number == value]
