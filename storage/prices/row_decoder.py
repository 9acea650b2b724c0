"""Decodes and validates rows: each becomes a document of a layer, or an error with row, field and reason.

A slice is decoded in one call (msgspec: 50,000 rows take some tens of milliseconds) and validated row by row. Only if
that call fails, each row of the slice is decoded on its own to find the invalid ones.
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
"""Limit of the attributes of a price, as JSON."""

MAX_ATTRIBUTES_DEPTH = 8
"""Limit of the levels of nested attributes."""

MAX_AMOUNT_DIGITS = 34
"""The precision of an IEEE 754 decimal128."""

MAX_QUANTITY = 2**31 - 1
"""The largest GraphQL Int."""

MAX_TIERS = 100
"""Limit of the tiers of a price."""

SLICE_ROWS = 250
"""Number of rows decoded at once. Decoding a slice blocks the event loop for about two milliseconds."""

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors that msgspec raises for invalid input."""

_plain_decimal = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_control_character = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search


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
    attributes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ItemError:
    """The error of one row. `index` is its position in the batch, from 0; `line` its line in the file, from 1."""

    index: int
    sku: str | None
    field: str | None
    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The result of decoding some rows: documents of the valid rows, and errors of the invalid ones."""

    documents: list[bytes] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)


class RowRefused(Exception):
    """A row is invalid. The caller, which has the row's index, turns it into an `ItemError`."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def to_item_error(self, index: int, sku: str | None, line: int | None = None) -> ItemError:
        """Return the error with the position of the row."""
        return ItemError(index, sku and sku[:MAX_SKU_BYTES], self.field, self.code, str(self), line)


def decode_slices(rows: Sequence[msgspec.Raw], first: int = 0) -> Iterator[Slice]:
    """Decode rows in slices of `SLICE_ROWS`. `first` is the position of the first row in the batch."""
    for start in range(0, len(rows), SLICE_ROWS):
        yield decode_slice(rows[start : start + SLICE_ROWS], first + start)


def decode_slice(rows: Sequence[msgspec.Raw], first: int) -> Slice:
    """Decode and validate rows. `first` is the position of the first row in the batch."""
    try:
        decoded: Sequence[Row | msgspec.Raw] = _decode_rows(b"[" + b",".join(rows) + b"]")
    except UNDECODABLE:
        decoded = rows
    result = Slice()
    for index, row in enumerate(decoded, first):
        try:
            result.documents.append(encode_row(row if isinstance(row, Row) else decode_row(row), index))
        except RowRefused as refused:
            sku = row.sku if isinstance(row, Row) else sent_sku(row)
            result.errors.append(refused.to_item_error(index, sku))
    return result


_decode_rows = msgspec.json.Decoder(list[Row]).decode
_decode_one = msgspec.json.Decoder(Row).decode


def encode_row(row: Row, position: int) -> bytes:
    """Validate a row and return its document. Raises `RowRefused`."""
    sku = check_sku(row.sku)
    amount = row.amount
    if not _plain_decimal(amount) or len(amount) > MAX_AMOUNT_DIGITS:
        _check_amount(amount, "amount")
    if row.currency not in CURRENCIES:
        raise RowRefused("CURRENCY_UNKNOWN", f"{row.currency[:20]!r} is not an ISO 4217 currency code.", "currency")
    valid_from, valid_until = row.validFrom, row.validUntil
    if valid_from and valid_until and valid_until < valid_from:
        message = f"validUntil ({valid_until}) must not be before validFrom ({valid_from})."
        raise RowRefused("VALIDITY_INVERTED", message, "validUntil")
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
    """Validate a sku and return it in UTF-8. Raises `RowRefused`."""
    encoded = sku.encode()
    if not sku:
        raise RowRefused("SKU_EMPTY", "A sku must have at least one character.", "sku")
    if len(encoded) > MAX_SKU_BYTES:
        raise RowRefused(
            "SKU_TOO_LONG",
            f"A sku may have at most {MAX_SKU_BYTES} bytes of UTF-8; this one has {len(encoded)}.",
            "sku",
        )
    if not sku.isprintable() and _control_character(sku):
        raise RowRefused("SKU_CONTROL_CHARACTER", "A sku must not contain control characters.", "sku")
    return encoded


def _check_amount(amount: str, field: str) -> None:
    if amount.startswith("-") and _plain_decimal(amount[1:]):
        raise RowRefused("AMOUNT_NEGATIVE", f"{amount[:40]} is negative.", field)
    if not _plain_decimal(amount):
        raise RowRefused(
            "AMOUNT_NOT_DECIMAL", f'{amount[:40]!r} is not a decimal in plain notation, such as "12.50".', field
        )
    digits = len(amount.replace(".", ""))
    if digits > MAX_AMOUNT_DIGITS:
        raise RowRefused(
            "AMOUNT_TOO_LONG", f"An amount may have at most {MAX_AMOUNT_DIGITS} digits; this one has {digits}.", field
        )


def _checked_tiers(tiers: list[TierRow]) -> list[tuple[int, str]]:
    if len(tiers) > MAX_TIERS:
        raise RowRefused(
            "TIERS_TOO_MANY", f"A price may have at most {MAX_TIERS} tiers; this one has {len(tiers)}.", "tiers"
        )
    for tier in tiers:
        if not 1 <= tier.minQuantity <= MAX_QUANTITY:
            raise RowRefused("TIER_QUANTITY_INVALID", f"minQuantity must be 1 to {MAX_QUANTITY}.", "tiers")
        _check_amount(tier.amount, "tiers")
    ordered = sorted((tier.minQuantity, tier.amount) for tier in tiers)
    if len({quantity for quantity, _ in ordered}) < len(ordered):
        raise RowRefused("TIER_QUANTITY_REPEATED", "Each tier must have a different minQuantity.", "tiers")
    return ordered


def encode_attributes(attributes: dict[str, Any]) -> bytes:
    """Validate attributes and return them as BSON with sorted keys. Raises `RowRefused`."""
    try:
        size = len(msgspec.json.encode(attributes))
    except RecursionError as error:
        raise _too_deep() from error
    if size > MAX_ATTRIBUTES_BYTES:
        raise RowRefused(
            "ATTRIBUTES_TOO_LARGE",
            f"Attributes may have at most {MAX_ATTRIBUTES_BYTES} bytes of JSON; these have {size}.",
            "attributes",
        )
    nested = _is_nested(attributes)
    if nested and _is_deeper(attributes, MAX_ATTRIBUTES_DEPTH):
        raise _too_deep()
    keys = list(attributes)
    if nested or keys != sorted(keys):
        attributes = msgspec.to_builtins(attributes, order="sorted")
    try:
        return bson.encode(attributes)
    except (OverflowError, ValueError, bson.errors.BSONError) as error:
        raise RowRefused("ATTRIBUTES_INVALID", f"Attributes cannot be stored: {error}", "attributes") from error


def _too_deep() -> RowRefused:
    message = f"Attributes may be nested at most {MAX_ATTRIBUTES_DEPTH} levels deep."
    return RowRefused("ATTRIBUTES_TOO_DEEP", message, "attributes")


def _is_nested(attributes: dict[str, Any]) -> bool:
    for value in attributes.values():  # noqa: SIM110 - twice as fast as `any`, and runs for every row
        if type(value) in (dict, list):
            return True
    return False


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return not levels or any(_is_deeper(child, levels - 1) for child in children)


def decode_row(raw: msgspec.Raw | bytes) -> Row:
    """Decode one row. Raises `RowRefused` with the field and the reason."""
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
    location = _at_field(message)
    if named := _named_field(message):
        kind, name = named.groups()
        if location:
            return RowRefused("FIELD_TYPE", message.replace("$.", ""), location[1])
        if kind == "unknown":
            return RowRefused("FIELD_UNKNOWN", f"A price has no field {name!r}. Remove it.", name)
        return RowRefused("FIELD_MISSING", f"The required field {name!r} is missing.", name)
    if not location:
        return RowRefused("ROW_NOT_OBJECT", f"A row must be a JSON object: {message}")
    name = location[1]
    if name == "amount":
        return RowRefused("AMOUNT_NOT_DECIMAL", 'An amount must be a string in plain notation, such as "12.50".', name)
    return RowRefused(_FIELD_CODES.get(name, "FIELD_TYPE"), message.replace("$.", ""), name)


def sent_sku(raw: msgspec.Raw | bytes) -> str | None:
    """Return the sku of an invalid row, or None if it has none."""
    try:
        value = msgspec.json.decode(raw)
    except UNDECODABLE:
        return None
    sku = value.get("sku") if isinstance(value, dict) else None
    return sku if isinstance(sku, str) else None
