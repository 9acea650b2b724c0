"""The row: a price before validation, as it is decoded from JSON or CSV."""

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

MAX_ATTRIBUTES_DEPTH = 8
"""Limit of the levels of nested attributes."""

if TYPE_CHECKING:
    Attributes = dict[str, Any]
else:
    # An object of JSON of limited depth, so that msgspec checks the depth as it decodes.
    _value = _scalar = None | bool | int | float | str
    for _ in range(MAX_ATTRIBUTES_DEPTH - 1):
        _value = _scalar | list[_value] | dict[str, _value]
    Attributes = dict[str, _value]


class TierRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A quantity break of a row: the `PriceTierInput` of the schema."""

    minQuantity: int  # noqa: N815 - the name in the schema
    amount: str


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A price before validation: the `PriceInput` of the schema."""

    sku: str
    amount: str
    currency: str
    tiers: list[TierRow] | None = None
    validFrom: datetime.date | None = None  # noqa: N815
    validUntil: datetime.date | None = None  # noqa: N815
    attributes: Attributes | None = None
