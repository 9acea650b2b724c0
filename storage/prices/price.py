"""The price: its Python class, and the row that stores it in a block.

A row is the MessagePack of an array, whose trailing defaults are left out:

    [amount, currency, tiers = [], validFrom = nil, validUntil = nil, attributes = {}]

The amount is the text that was sent, so that it keeps its scale. Tiers are `[minQuantity, amount]` in ascending order,
dates are ISO 8601, and attributes have sorted keys at every level: equal prices have equal bytes. The sku is not in the
row, but in the block's table of skus. A tombstone, which hides the price of its sku in older layers, is nil.
"""

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import force_setattr

from storage.prices.currencies import CURRENCIES

MAX_SKU_BYTES = 256
"""Limit of a sku, in UTF-8."""

TOMBSTONE = b"\xc0"
"""The row of a tombstone."""

if TYPE_CHECKING:
    _Currency = str
else:
    _Currency = Literal[tuple(sorted(CURRENCIES))]  # decoded to the same string for all prices


class Tier(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A quantity break: `amount` applies from `min_quantity` on."""

    min_quantity: int
    amount: Decimal


class Price(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A price of a version. Immutable, and shared by all requests of a process."""

    amount: Decimal
    currency: _Currency
    tiers: tuple[Tier, ...] = ()
    valid_from: datetime.date | None = None
    valid_until: datetime.date | None = None
    attributes: Mapping[str, Any] = {}
    sku: str = ""

    def unit_amount(self, quantity: int) -> Decimal:
        """Return the amount per unit for a quantity: that of the highest tier reached, or of the price itself."""
        amount = self.amount
        for tier in self.tiers:  # in ascending order
            if tier.min_quantity > quantity:
                break
            amount = tier.amount
        return amount


class RowAmount(msgspec.Struct, array_like=True, gc=False):
    """The amount of a row, without the rest."""

    amount: Decimal


class RowHead(RowAmount, array_like=True, gc=False):
    """The fields of a row that filters use, without its attributes. Dates are as they are stored, in ISO 8601."""

    currency: _Currency
    tiers: msgspec.Raw = msgspec.Raw()
    valid_from: str | None = None
    valid_until: str | None = None


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode_row = msgspec.msgpack.Decoder(Price | None).decode
_decode_rows = msgspec.msgpack.Decoder(list[Price | None]).decode
_decode_head = msgspec.msgpack.Decoder(RowHead).decode
_decode_amount = msgspec.msgpack.Decoder(RowAmount).decode


def encode_row(
    amount: str,
    currency: str,
    tiers: Sequence[tuple[int, str]] = (),
    valid_from: datetime.date | None = None,
    valid_until: datetime.date | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the row of a price. All arguments must be valid, and tiers, of (minimum quantity, amount), ascending.

    Raises `OverflowError` for an integer of more than 64 bits in the attributes.
    """
    if attributes:
        return _encode((amount, currency, tiers, valid_from, valid_until, attributes))
    if valid_until:
        return _encode((amount, currency, tiers, valid_from, valid_until))
    if valid_from:
        return _encode((amount, currency, tiers, valid_from))
    return _encode((amount, currency, tiers) if tiers else (amount, currency))


def decode_row(sku: str, row: bytes | memoryview) -> Price | None:
    """Return the price of a row, or None for a tombstone. Raises `msgspec.DecodeError` for bytes that are no row."""
    price: Price | None = _decode_row(row)
    if price is not None:
        force_setattr(price, "sku", sku)
    return price


def decode_rows(skus: Sequence[str], array: bytes | memoryview) -> list[Price | None]:
    """Return the prices of a MessagePack array of rows, None for tombstones. Raises `msgspec.DecodeError`."""
    prices = _decode_rows(array)
    for sku, price in zip(skus, prices, strict=True):
        if price is not None:
            force_setattr(price, "sku", sku)
    return prices


def same_row(one: Price | None, other: Price | None) -> bool:
    """Whether two prices have the same row. Equal ones may differ in the scale of an amount, or as 1, 1.0 and true."""
    if one is other:
        return True
    if one is None or other is None or one != other:
        return False
    if one.tiers or one.attributes:
        return _encode(one) == _encode(other)
    return str(one.amount) == str(other.amount)


def head_of(row: bytes | memoryview) -> RowHead:
    """Return the fields of a price's row that filters use, without decoding its attributes."""
    return _decode_head(row)


def amount_of(row: bytes | memoryview) -> Decimal:
    """Return the amount of a price's row, without decoding the rest."""
    return _decode_amount(row).amount
