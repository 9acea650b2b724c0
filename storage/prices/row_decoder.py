"""Rows as they were sent become documents of a layer, or errors that name the row, the field and the reason.

A slice is decoded in one call (msgspec: 50,000 rows in some tens of milliseconds) and checked row by row. Only when
that call refuses the slice is each of its rows looked at apart, to say which is wrong and why.
"""

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
import msgspec

from storage.prices.currencies import CURRENCIES
from storage.prices.price import MAX_SKU_BYTES, encode

MAX_ATTRIBUTES_BYTES = 16 * 1024
MAX_ATTRIBUTES_DEPTH = 8
MAX_AMOUNT_DIGITS = 34  # what an IEEE 754 decimal128 holds exactly
MAX_QUANTITY = 2**31 - 1  # GraphQL's Int
MAX_TIERS = 100

# Small enough that the event loop is held for some two milliseconds.
SLICE_ROWS = 250

# What msgspec raises for a text that is not what was asked for.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_plain_decimal = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_control_character = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search


class TierRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A quantity break as it was sent."""

    minQuantity: int  # noqa: N815 - the name on the wire
    amount: str


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A price as it was sent: a `PriceInput` of the schema."""

    sku: str
    amount: str
    currency: str
    tiers: list[TierRow] | None = None
    validFrom: datetime.date | None = None  # noqa: N815
    validUntil: datetime.date | None = None  # noqa: N815
    attributes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ItemError:
    """What is wrong with one row. `index` counts the rows of the batch from 0, `line` those of its file from 1."""

    index: int
    sku: str | None
    field: str | None
    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """A run of rows: the documents of the good ones, the errors of the bad ones."""

    documents: list[bytes] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)


class RowRefused(Exception):
    """A row that is not a price. Caught where the row's index is known."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def item(self, index: int, sku: str | None, line: int | None = None) -> ItemError:
        """Return the error of the row at that place."""
        return ItemError(index, sku and sku[:MAX_SKU_BYTES], self.field, self.code, str(self), line)


def decode_slices(rows: Sequence[msgspec.Raw], first: int = 0) -> Iterator[Slice]:
    """Decode rows in slices of `SLICE_ROWS`, in order; `first` is the position in the batch of the first row."""
    for start in range(0, len(rows), SLICE_ROWS):
        yield decode_slice(rows[start : start + SLICE_ROWS], first + start)


def decode_slice(rows: Sequence[msgspec.Raw], first: int) -> Slice:
    """Decode and check rows; `first` is the position in the batch of the first of them."""
    try:
        decoded: Sequence[Row | msgspec.Raw] = _decode_rows(b"[" + b",".join(rows) + b"]")
    except UNDECODABLE:
        decoded = rows
    result = Slice()
    for index, row in enumerate(decoded, first):
        try:
            result.documents.append(to_document(row if isinstance(row, Row) else decode_row(row), index))
        except RowRefused as refused:
            sku = row.sku if isinstance(row, Row) else sent_sku(row)
            result.errors.append(refused.item(index, sku))
    return result


_decode_rows = msgspec.json.Decoder(list[Row]).decode
_decode_one = msgspec.json.Decoder(Row).decode


def to_document(row: Row, position: int) -> bytes:
    """Check a row and return its document. Raises `RowRefused`."""
    sku = check_sku(row.sku)
    amount = row.amount
    if not _plain_decimal(amount) or len(amount) > MAX_AMOUNT_DIGITS:
        _check_amount(amount, "amount")
    if row.currency not in CURRENCIES:
        raise RowRefused("CURRENCY_UNKNOWN", f"{row.currency[:20]!r} is no ISO 4217 code.", "currency")
    valid_from, valid_until = row.validFrom, row.validUntil
    if valid_from and valid_until and valid_until < valid_from:
        raise RowRefused(
            "VALIDITY_INVERTED", f"validUntil {valid_until} is before validFrom {valid_from}.", "validUntil"
        )
    return encode(
        sku,
        amount,
        row.currency,
        _checked_tiers(row.tiers) if row.tiers else [],
        valid_from.isoformat() if valid_from else None,
        valid_until.isoformat() if valid_until else None,
        encode_attributes(row.attributes) if row.attributes else None,
        position,
    )


def check_sku(sku: str) -> bytes:
    """Return a sku in UTF-8. Raises `RowRefused`."""
    encoded = sku.encode()
    if not sku:
        raise RowRefused("SKU_EMPTY", "A sku has at least one character.", "sku")
    if len(encoded) > MAX_SKU_BYTES:
        raise RowRefused(
            "SKU_TOO_LONG",
            f"A sku has at most {MAX_SKU_BYTES} bytes of UTF-8; this has {len(encoded)}.",
            "sku",
        )
    if not sku.isprintable() and _control_character(sku):
        raise RowRefused("SKU_CONTROL_CHARACTER", "A sku has no control characters.", "sku")
    return encoded


def _check_amount(amount: str, field: str) -> None:
    if amount.startswith("-") and _plain_decimal(amount[1:]):
        raise RowRefused("AMOUNT_NEGATIVE", f"{amount[:40]} is negative.", field)
    if not _plain_decimal(amount):
        raise RowRefused(
            "AMOUNT_NOT_DECIMAL", f'{amount[:40]!r} is no decimal in plain notation, such as "12.50".', field
        )
    digits = len(amount.replace(".", ""))
    if digits > MAX_AMOUNT_DIGITS:
        raise RowRefused(
            "AMOUNT_TOO_LONG", f"An amount has at most {MAX_AMOUNT_DIGITS} digits; this has {digits}.", field
        )


def _checked_tiers(tiers: list[TierRow]) -> list[tuple[int, str]]:
    if len(tiers) > MAX_TIERS:
        raise RowRefused("TIERS_TOO_MANY", f"A price has at most {MAX_TIERS} tiers; this has {len(tiers)}.", "tiers")
    for tier in tiers:
        if not 1 <= tier.minQuantity <= MAX_QUANTITY:
            raise RowRefused("TIER_QUANTITY_INVALID", f"minQuantity is 1 to {MAX_QUANTITY}.", "tiers")
        _check_amount(tier.amount, "tiers")
    ordered = sorted((tier.minQuantity, tier.amount) for tier in tiers)
    if len({quantity for quantity, _ in ordered}) < len(ordered):
        raise RowRefused("TIER_QUANTITY_REPEATED", "Two tiers have the same minQuantity.", "tiers")
    return ordered


def encode_attributes(attributes: dict[str, Any]) -> bytes:
    """Return attributes as a layer has them, with the keys of every object in order. Raises `RowRefused`."""
    nested = _is_nested(attributes)
    if nested and _is_deeper(attributes, MAX_ATTRIBUTES_DEPTH):
        raise RowRefused("ATTRIBUTES_TOO_DEEP", f"Attributes nest at most {MAX_ATTRIBUTES_DEPTH} deep.", "attributes")
    size = len(msgspec.json.encode(attributes))
    if size > MAX_ATTRIBUTES_BYTES:
        raise RowRefused(
            "ATTRIBUTES_TOO_LARGE",
            f"Attributes have at most {MAX_ATTRIBUTES_BYTES} bytes of JSON; these have {size}.",
            "attributes",
        )
    keys = list(attributes)
    if nested or keys != sorted(keys):
        attributes = msgspec.to_builtins(attributes, order="sorted")
    try:
        return bson.encode(attributes)
    except (OverflowError, ValueError, bson.errors.BSONError) as error:
        raise RowRefused("ATTRIBUTES_INVALID", f"Attributes cannot be stored: {error}", "attributes") from error


def _is_nested(attributes: dict[str, Any]) -> bool:
    for value in attributes.values():  # noqa: SIM110 - half the time of `any`, for every row
        if type(value) in (dict, list):
            return True
    return False


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return not levels or any(_is_deeper(child, levels - 1) for child in children)


def decode_row(raw: msgspec.Raw | bytes) -> Row:
    """Decode one row. Raises `RowRefused`, which says what is wrong with it."""
    try:
        return _decode_one(raw)
    except UNDECODABLE as error:
        raise _refusal(error) from error


_FIELD_CODES = {"validFrom": "DATE_INVALID", "validUntil": "DATE_INVALID", "attributes": "ATTRIBUTES_INVALID"}
_at_field = re.compile(r" - at `\$\.(\w+)").search
_named_field = re.compile(r"(missing required|unknown) field `([^`]{1,100})").search


def _refusal(error: Exception) -> RowRefused:
    message = str(error)
    if isinstance(error, UnicodeDecodeError):
        return RowRefused("ENCODING_INVALID", f"The row is not UTF-8: {error.reason}.")
    if not isinstance(error, msgspec.ValidationError):
        return RowRefused("ROW_NOT_JSON", f"The row is not valid JSON: {message}")
    at = _at_field(message)
    if named := _named_field(message):
        kind, name = named.groups()
        if at:
            return RowRefused("FIELD_TYPE", message.replace("$.", ""), at[1])
        if kind == "unknown":
            return RowRefused("FIELD_UNKNOWN", f"A price has no field {name!r}.", name)
        return RowRefused("FIELD_MISSING", f"The field {name!r} is missing.", name)
    if not at:
        return RowRefused("ROW_NOT_OBJECT", f"A row must be an object: {message}")
    name = at[1]
    if name == "amount":
        return RowRefused("AMOUNT_NOT_DECIMAL", 'An amount is a string in plain notation, such as "12.50".', name)
    return RowRefused(_FIELD_CODES.get(name, "FIELD_TYPE"), message.replace("$.", ""), name)


def sent_sku(raw: msgspec.Raw | bytes) -> str | None:
    """Return the sku of a row that was refused, where it has one."""
    try:
        value = msgspec.json.decode(raw)
    except UNDECODABLE:
        return None
    sku = value.get("sku") if isinstance(value, dict) else None
    return sku if isinstance(sku, str) else None
