"""Decodes and validates rows: each becomes the stored row of a price, or an error with row, field and reason.

A slice is decoded in one call, and its skus, amounts and currencies are validated in one pass each. Only if that finds
something wrong, the rows are taken one by one to tell which.
"""

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

import msgspec

from storage.prices.currencies import CURRENCIES
from storage.prices.price import MAX_SKU_BYTES, encode_row

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
"""Number of rows decoded at once. Decoding a slice blocks the event loop for less than a millisecond."""

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors that msgspec raises for invalid input."""

_SMALL_ROW_BYTES = MAX_ATTRIBUTES_BYTES // 6
"""Stored rows up to this size have attributes within the limit: no byte of MessagePack is more than six of JSON."""

_plain_decimal = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_control_character = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search

if TYPE_CHECKING:
    _Attributes = dict[str, Any]
else:
    # An object of JSON of limited depth, so that msgspec checks the depth as it decodes.
    _value = _scalar = None | bool | int | float | str
    for _ in range(MAX_ATTRIBUTES_DEPTH - 1):
        _value = _scalar | list[_value] | dict[str, _value]
    _Attributes = dict[str, _value]


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
    attributes: _Attributes | None = None


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
    """The result of decoding some rows: the stored rows of the valid ones, and errors of the invalid ones.

    `positions` are the indexes of the valid ones in their request, file or part, from 0.
    """

    skus: list[str] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)

    def add(self, row: Row, position: int, line: int | None) -> None:
        """Add a row, or its error if it is invalid."""
        try:
            encoded = _encode_checked(row)
        except RowRefused as refused:
            self.errors.append(refused.to_item_error(position, row.sku, line))
        else:
            self.skus.append(row.sku)
            self.rows.append(encoded)
            self.positions.append(position)


class RowRefused(Exception):
    """A row is invalid. The caller, which has the row's index, turns it into an `ItemError`."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def to_item_error(self, index: int, sku: str | None, line: int | None = None) -> ItemError:
        """Return the error with the position of the row."""
        return ItemError(index, sku and sku[:MAX_SKU_BYTES], self.field, self.code, str(self), line)


def decode_slices(raws: Sequence[msgspec.Raw]) -> Iterator[Slice]:
    """Decode the rows of a request in slices of `SLICE_ROWS`."""
    for start in range(0, len(raws), SLICE_ROWS):
        yield decode_slice(raws[start : start + SLICE_ROWS], start)


def decode_slice(raws: Sequence[msgspec.Raw | bytes], first: int, lines: Sequence[int] | None = None) -> Slice:
    """Decode and validate rows. Each must be the text of one JSON value.

    `first` is the position of the first row, and `lines` are the lines of the rows if they are from a file.
    """
    try:
        rows = _decode_rows(b"[" + b",".join(raws) + b"]")
    except UNDECODABLE:
        return decode_each(raws, first, lines)
    return encode_slice(rows, range(first, first + len(rows)), lines)


def decode_each(raws: Iterable[msgspec.Raw | bytes], first: int, lines: Sequence[int] | None = None) -> Slice:
    """Decode and validate rows one by one. They may be any text."""
    result = Slice()
    for position, raw, line in zip(count(first), raws, lines or repeat(None), strict=False):
        try:
            row = _decode_row(raw)
        except UNDECODABLE as error:
            result.errors.append(_refusal(raw, error).to_item_error(position, _sent_sku(raw), line))
        else:
            result.add(row, position, line)
    return result


_decode_rows = msgspec.json.Decoder(list[Row]).decode
_decode_row = msgspec.json.Decoder(Row).decode


def encode_slice(rows: Sequence[Row], positions: Sequence[int], lines: Sequence[int] | None = None) -> Slice:
    """Validate decoded rows, and encode the valid ones as stored rows."""
    skus = [row.sku for row in rows]
    if _required_fields_are_valid(rows, skus):
        try:
            return Slice(skus, [_encode(row) for row in rows], list(positions))
        except RowRefused:
            pass
    result = Slice()
    for row, position, line in zip(rows, positions, lines or repeat(None), strict=False):
        result.add(row, position, line)
    return result


def _required_fields_are_valid(rows: Sequence[Row], skus: Sequence[str]) -> bool:
    """Return whether skus, amounts and currencies are all valid and none is near its limit."""
    text, amounts = "".join(skus), [row.amount for row in rows]
    return (
        all(skus)
        and max(map(len, skus), default=0) <= (MAX_SKU_BYTES if text.isascii() else MAX_SKU_BYTES // 4)
        and not _has_control_character(text)
        and all(map(_plain_decimal, amounts))
        and max(map(len, amounts), default=0) <= MAX_AMOUNT_DIGITS
        and CURRENCIES.issuperset([row.currency for row in rows])
    )


def _encode_checked(row: Row) -> bytes:
    """Validate a row and return its stored row. Raises `RowRefused`."""
    check_sku(row.sku)
    _check_amount(row.amount, "amount")
    if row.currency not in CURRENCIES:
        raise RowRefused("CURRENCY_UNKNOWN", f"{row.currency[:20]!r} is not an ISO 4217 currency code.", "currency")
    return _encode(row)


def _encode(row: Row) -> bytes:
    """Validate the optional fields of a row and return its stored row. Raises `RowRefused`."""
    valid_from, valid_until, attributes = row.validFrom, row.validUntil, row.attributes
    if valid_from and valid_until and valid_until < valid_from:
        message = f"validUntil ({valid_until}) must not be before validFrom ({valid_from})."
        raise RowRefused("VALIDITY_INVERTED", message, "validUntil")
    tiers = _checked_tiers(row.tiers) if row.tiers else ()
    try:
        encoded = encode_row(row.amount, row.currency, tiers, valid_from, valid_until, attributes)
    except OverflowError as error:
        message = "An integer in the attributes exceeds 64 bits. Send it as a string."
        raise RowRefused("ATTRIBUTES_INVALID", message, "attributes") from error
    if len(encoded) > _SMALL_ROW_BYTES and attributes:
        _check_size(attributes)
    return encoded


def check_sku(sku: str) -> None:
    """Raise `RowRefused` for an invalid sku."""
    if not sku:
        raise RowRefused("SKU_EMPTY", "A sku must have at least one character.", "sku")
    size = len(sku.encode())
    if size > MAX_SKU_BYTES:
        raise RowRefused(
            "SKU_TOO_LONG", f"A sku may have at most {MAX_SKU_BYTES} bytes of UTF-8; this one has {size}.", "sku"
        )
    if _has_control_character(sku):
        raise RowRefused("SKU_CONTROL_CHARACTER", "A sku must not contain control characters.", "sku")


def _has_control_character(text: str) -> bool:
    return not text.isprintable() and _control_character(text) is not None


def _check_amount(amount: str, field: str) -> None:
    if not _plain_decimal(amount):
        if amount.startswith("-") and _plain_decimal(amount[1:]):
            raise RowRefused("AMOUNT_NEGATIVE", f"{amount[:40]} is negative.", field)
        raise RowRefused(
            "AMOUNT_NOT_DECIMAL", f'{amount[:40]!r} is not a decimal in plain notation, such as "12.50".', field
        )
    digits = len(amount) - ("." in amount)
    if digits > MAX_AMOUNT_DIGITS:
        raise RowRefused(
            "AMOUNT_TOO_LONG", f"An amount may have at most {MAX_AMOUNT_DIGITS} digits; this one has {digits}.", field
        )


def _checked_tiers(tiers: list[TierRow]) -> list[tuple[int, str]]:
    if len(tiers) > MAX_TIERS:
        raise RowRefused(
            "TIERS_TOO_MANY", f"A price may have at most {MAX_TIERS} tiers; this one has {len(tiers)}.", "tiers"
        )
    amounts = {tier.minQuantity: tier.amount for tier in tiers}
    ordered = sorted(amounts.items())
    if ordered[0][0] < 1 or ordered[-1][0] > MAX_QUANTITY:
        raise RowRefused("TIER_QUANTITY_INVALID", f"minQuantity must be 1 to {MAX_QUANTITY}.", "tiers")
    for tier in tiers:
        _check_amount(tier.amount, "tiers")
    if len(ordered) < len(tiers):
        raise RowRefused("TIER_QUANTITY_REPEATED", "Each tier must have a different minQuantity.", "tiers")
    return ordered


def check_attributes(attributes: dict[str, Any]) -> None:
    """Raise `RowRefused` for attributes that no price can have."""
    try:
        msgspec.convert(attributes, _Attributes)
    except msgspec.ValidationError as error:
        raise _too_deep() from error
    _encode(Row("", "0", "EUR", attributes=attributes))


def _check_size(attributes: dict[str, Any]) -> None:
    size = len(msgspec.json.encode(attributes))
    if size > MAX_ATTRIBUTES_BYTES:
        raise RowRefused(
            "ATTRIBUTES_TOO_LARGE",
            f"Attributes may have at most {MAX_ATTRIBUTES_BYTES} bytes of JSON; these have {size}.",
            "attributes",
        )


def _too_deep() -> RowRefused:
    message = f"Attributes may be nested at most {MAX_ATTRIBUTES_DEPTH} levels deep."
    return RowRefused("ATTRIBUTES_TOO_DEEP", message, "attributes")


_FIELD_CODES = {"validFrom": "DATE_INVALID", "validUntil": "DATE_INVALID", "attributes": "ATTRIBUTES_INVALID"}
_at_field = re.compile(r" - at `\$\.(\w+)").search
_named_field = re.compile(r"(missing required|unknown) field `([^`]{1,100})").search


def _refusal(raw: msgspec.Raw | bytes, error: Exception) -> RowRefused:
    message = str(error)
    if not _is_utf8(raw):
        return RowRefused("ENCODING_INVALID", "The row is not UTF-8. Encode all rows as UTF-8.")
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
    if "$.attributes[" in message:
        return _too_deep()
    name = location[1]
    if name == "amount":
        return RowRefused("AMOUNT_NOT_DECIMAL", 'An amount must be a string in plain notation, such as "12.50".', name)
    return RowRefused(_FIELD_CODES.get(name, "FIELD_TYPE"), message.replace("$.", ""), name)


def _is_utf8(raw: msgspec.Raw | bytes) -> bool:
    try:
        str(raw, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _sent_sku(raw: msgspec.Raw | bytes) -> str | None:
    """Return the sku of an invalid row, or None if it has none."""
    try:
        value = msgspec.json.decode(raw)
    except UNDECODABLE:
        return None
    sku = value.get("sku") if isinstance(value, dict) else None
    return sku if isinstance(sku, str) else None
