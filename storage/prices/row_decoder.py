"""Decodes and validates rows: each becomes the stored row of a price, or its errors, with field and reason.

A slice is decoded in one call, and its skus, amounts and currencies are validated in one pass each. Only if that finds
something wrong, the rows are taken one by one. The errors of a refused row, which take far longer than decoding it, are
worked out when they are asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, repeat

import msgspec

from storage.prices.amount_text import MAX_AMOUNT_DIGITS, is_plain_decimal
from storage.prices.currencies import CURRENCIES
from storage.prices.item_error import ItemError, RowRefused
from storage.prices.price import MAX_SKU_BYTES, encode_row
from storage.prices.row import Row
from storage.prices.row_checks import (
    MAX_ATTRIBUTES_BYTES,
    check_amount,
    check_attributes_size,
    check_currency,
    check_sku,
    check_validity,
    errors_of,
    have_valid_characters,
    ordered_tiers,
    too_large_integer,
)
from storage.prices.row_text import UNDECODABLE, errors_of_text

SLICE_ROWS = 250
"""Number of rows decoded at once: less than a millisecond, or a few if they are invalid."""

SLICE_BYTES = 256 * 1024
"""The same in bytes, for long rows of a request. The blocks of files are limited already."""

_SMALL_ROW_BYTES = MAX_ATTRIBUTES_BYTES // 6
"""Stored rows up to this size have attributes within the limit: no byte of MessagePack is more than six of JSON."""


Explanation = Callable[[], tuple[str | None, Iterable[RowRefused]]]
"""Works out the sku of a refused row, None if it has none, and its errors."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """An invalid row, with its index in its request, file or part, from 0, and its line if it is from a file."""

    position: int
    line: int | None
    explain: Explanation

    def errors(self) -> list[ItemError]:
        """Work out the errors of the row. This may take a millisecond."""
        sku, errors = self.explain()
        return [error.to_item_error(self.position, sku, self.line) for error in errors]


@dataclass(frozen=True, slots=True)
class Slice:
    """The result of decoding some rows: the stored rows of the valid ones, and the invalid ones.

    `positions` are the indexes of the valid ones in their request, file or part, from 0.
    """

    skus: list[str] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)

    def add(self, row: Row, position: int, line: int | None) -> None:
        """Add a row, valid or not."""
        try:
            if not _required_fields_are_valid((row,), (row.sku,)):
                _check_required_fields(row)
            encoded = _encode(row)
        except RowRefused:
            self.refuse(position, line, partial(_explain, row))
        else:
            self.skus.append(row.sku)
            self.rows.append(encoded)
            self.positions.append(position)

    def refuse(self, position: int, line: int | None, explain: Explanation) -> None:
        """Add a row that is invalid."""
        self.refused.append(RefusedRow(position, line, explain))


def _explain(row: Row) -> tuple[str, Iterable[RowRefused]]:
    return row.sku, errors_of(msgspec.structs.asdict(row))


def decode_slices(raws: Sequence[msgspec.Raw]) -> Iterator[Slice]:
    """Decode the rows of a request in slices of `SLICE_ROWS`, or fewer if they are long."""
    for start in range(0, len(raws), SLICE_ROWS):
        yield from _decode_in_halves(raws[start : start + SLICE_ROWS], start)


def _decode_in_halves(raws: Sequence[msgspec.Raw], first: int) -> Iterator[Slice]:
    if len(raws) > 1 and sum(map(len, raws)) > SLICE_BYTES:
        middle = len(raws) // 2
        yield from _decode_in_halves(raws[:middle], first)
        yield from _decode_in_halves(raws[middle:], first + middle)
    else:
        yield decode_slice(raws, first)


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
            result.refuse(position, line, partial(errors_of_text, raw, str(error)))
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
        and have_valid_characters(skus, text)
        and all(map(is_plain_decimal, amounts))
        and max(map(len, amounts), default=0) <= MAX_AMOUNT_DIGITS
        and CURRENCIES.issuperset([row.currency for row in rows])
    )


def _check_required_fields(row: Row) -> None:
    check_sku(row.sku)
    check_amount(row.amount)
    check_currency(row.currency)


def _encode(row: Row) -> bytes:
    """Validate the optional fields of a row and return its stored row. Raises `RowRefused` for its first error."""
    valid_from, valid_until, attributes = row.validFrom, row.validUntil, row.attributes
    if valid_until:
        check_validity(valid_from, valid_until)
    tiers = ordered_tiers(row.tiers) if row.tiers else ()
    try:
        encoded = encode_row(row.amount, row.currency, tiers, valid_from, valid_until, attributes)
    except OverflowError as error:
        raise too_large_integer() from error
    if len(encoded) > _SMALL_ROW_BYTES and attributes:
        check_attributes_size(attributes)
    return encoded
