"""The price: its Python class, and its BSON document in a layer.

The elements of a document, in this order:

    _id (the sku) · amount · currency · tiers? · validFrom? · validUntil? · attributes? · n

A tombstone, which hides the price of its sku in older layers, has `_id` · removed (true) · n.

`n` is the position of the row in its batch. It distinguishes a row that was stored twice from a sku that was sent
twice. The canonical bytes leave it out, so that the same prices have the same checksum in any order.
"""

import datetime
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from struct import Struct as Packer
from typing import Any

import bson
import msgspec
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64

_int32 = Packer("<i").pack
_int64 = Packer("<q").pack

# IEEE 754-2008 decimal128, binary integer decimal: sign, 14 bits of biased exponent, 113 bits of coefficient.
_EXPONENT_BIAS = 6176
_COEFFICIENT_BITS = 113
_COEFFICIENT_MASK = (1 << _COEFFICIENT_BITS) - 1

# The same in two halves of 64 bits, the lower first.
_LOW_HALF = (1 << 64) - 1
_EXPONENT_SHIFT = _COEFFICIENT_BITS - 64

MAX_SKU_BYTES = 256
"""Limit of a sku, in UTF-8."""

_HEADERS = [Packer(f"<i5si{length}s9sQQ14s3sx") for length in range(MAX_SKU_BYTES + 1)]
"""The start of a price's document, by the length of its sku: size, `_id`, amount, currency."""

_TRAILER = Packer("<3sqx")
"""The end of a document: type, name and eight bytes of value of `n`, and the terminating zero."""

# Offsets of the value of `amount` and of the text of `currency` from the terminating zero of the sku.
_AMOUNT_OFFSET = 1 + 1 + 7
_CURRENCY_OFFSET = _AMOUNT_OFFSET + 16 + 1 + 9 + 4

_REMOVED = b"\x08removed\0\x01"

_BEFORE_TRAILER = -_TRAILER.size - 1
"""The last byte before `n`: the value of `removed` in a tombstone, the terminating zero of an element in a price."""


class Tier(msgspec.Struct, frozen=True, gc=False):
    """A quantity break: `amount` applies from `min_quantity` on."""

    min_quantity: int
    amount: Decimal


class Price(msgspec.Struct, frozen=True, gc=False):
    """A price of a version. Immutable, and shared by all requests of a process."""

    sku: str
    amount: Decimal
    currency: str
    tiers: tuple[Tier, ...] = ()
    valid_from: datetime.date | None = None
    valid_until: datetime.date | None = None
    attributes: Mapping[str, Any] = {}

    def unit_amount(self, quantity: int) -> Decimal:
        """Return the amount per unit for a quantity: that of the highest tier reached, or of the price itself."""
        amount = self.amount
        for tier in self.tiers:  # in ascending order
            if tier.min_quantity > quantity:
                break
            amount = tier.amount
        return amount


def encode(
    sku: bytes,
    amount: str,
    currency: str,
    tiers: list[tuple[int, str]],
    valid_from: str | None,
    valid_until: str | None,
    attributes: bytes | None,
    position: int,
) -> bytes:
    """Return the document of a price. All arguments must be valid.

    `sku` is UTF-8, amounts are in plain decimal notation of at most 34 digits, `currency` has three letters, dates are
    ISO 8601, and `attributes` is a BSON document. The elements are concatenated by hand, because this runs for every
    row of every batch: including the attributes it takes a third of the time of encoding a mapping with a Decimal128
    (2.9 instead of 8.6 us for a price of `bench.prices`).
    """
    whole, _, fraction = amount.partition(".")
    coefficient = int(whole + fraction)
    more = b"\x03attributes\0" + attributes if attributes else b""
    if tiers or valid_from or valid_until:
        more = _tiers_and_dates(tiers, valid_from, valid_until) + more
    header = _HEADERS[len(sku)]
    return (
        header.pack(
            header.size + len(more) + _TRAILER.size,
            b"\x02_id\0",
            len(sku) + 1,
            sku,
            b"\0\x13amount\0",
            coefficient & _LOW_HALF,
            (_EXPONENT_BIAS - len(fraction)) << _EXPONENT_SHIFT | coefficient >> 64,
            b"\x02currency\0\x04\0\0\0",
            currency.encode(),
        )
        + more
        + _TRAILER.pack(b"\x12n\0", position)
    )


def encode_tombstone(sku: bytes, position: int) -> bytes:
    """Return the document of a tombstone, which hides the price of a sku in older layers."""
    body = b"".join((b"\x02_id\0", _int32(len(sku) + 1), sku, b"\0", _REMOVED, b"\x12n\0", _int64(position), b"\0"))
    return _int32(len(body) + 4) + body


def sku_of(document: bytes) -> str:
    """Return the sku of a document: its first element."""
    return document[13 : _end_of_sku(document)].decode()


def position_of(document: bytes) -> int:
    """Return the position of a document in its batch: its last element."""
    return int.from_bytes(document[-9:-1], "little")


def currency_of(document: bytes) -> bytes:
    """Return the three letters of the currency of a price's document."""
    start = _end_of_sku(document) + _CURRENCY_OFFSET
    return document[start : start + 3]


def amount_of(document: bytes) -> Decimal:
    """Return the amount of a price's document."""
    start = _end_of_sku(document) + _AMOUNT_OFFSET
    return _decimal(document[start : start + 16])


def is_tombstone(document: bytes) -> bool:
    """Return whether a document is a tombstone."""
    return document[_BEFORE_TRAILER] == 1


def _end_of_sku(document: bytes) -> int:
    """Return the index of the terminating zero of the sku."""
    return 12 + (document[9] | document[10] << 8)


def split(run: bytes) -> Iterator[bytes]:
    """Return the documents of a raw batch of the driver, which are concatenated."""
    start = 0
    while start < len(run):
        end = start + int.from_bytes(run[start : start + 4], "little")
        yield run[start:end]
        start = end


def canonical(document: bytes) -> bytes:
    """Return the bytes of a document without its size and its position in the batch."""
    return document[4 : -_TRAILER.size]


def decode(document: Mapping[str, Any]) -> Price:
    """Return the price of a document that PyMongo has decoded."""
    valid_from, valid_until = document.get("validFrom"), document.get("validUntil")
    return Price(
        document["_id"],
        _decimal(document["amount"].bid),
        sys.intern(document["currency"]),
        tuple(Tier(tier["minQuantity"], _decimal(tier["amount"].bid)) for tier in document.get("tiers", ())),
        datetime.date.fromisoformat(valid_from) if valid_from else None,
        datetime.date.fromisoformat(valid_until) if valid_until else None,
        _plain(document["attributes"]) if "attributes" in document else {},
    )


def _plain(value: Any) -> Any:
    # PyMongo decodes 64-bit integers, and objects with `$ref` and `$id`, to classes that JSON encoders do not support.
    # Thousands of prices share their attribute names, so these are interned.
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, dict):
        return {sys.intern(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return int(value) if isinstance(value, Int64) else value


def _decimal128(amount: str) -> bytes:
    whole, _, fraction = amount.partition(".")
    exponent = _EXPONENT_BIAS - len(fraction)
    return (exponent << _COEFFICIENT_BITS | int(whole + fraction)).to_bytes(16, "little")


def _decimal(value: bytes) -> Decimal:
    # All amounts are encoded by this module: never negative, never special, at most 34 decimals.
    bits = int.from_bytes(value, "little")
    scale = _EXPONENT_BIAS - (bits >> _COEFFICIENT_BITS)
    digits = str(bits & _COEFFICIENT_MASK)
    if not scale:
        return Decimal(digits)
    digits = digits.zfill(scale + 1)
    return Decimal(f"{digits[:-scale]}.{digits[-scale:]}")


def _tiers_and_dates(tiers: list[tuple[int, str]], valid_from: str | None, valid_until: str | None) -> bytes:
    return b"".join(
        (
            _tiers(tiers) if tiers else b"",
            b"\x02validFrom\0\x0b\0\0\0" + valid_from.encode() + b"\0" if valid_from else b"",
            b"\x02validUntil\0\x0b\0\0\0" + valid_until.encode() + b"\0" if valid_until else b"",
        )
    )


def _tiers(tiers: list[tuple[int, str]]) -> bytes:
    array = bson.encode(
        {
            str(i): {"minQuantity": quantity, "amount": Decimal128.from_bid(_decimal128(amount))}
            for i, (quantity, amount) in enumerate(tiers)
        }
    )
    return b"\x04tiers\0" + array
