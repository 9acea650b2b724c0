"""The header row of a CSV file: its columns."""

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from storage.prices.row_decoder import MAX_QUANTITY, Row, RowRefused, TierRow

REQUIRED = ("sku", "amount", "currency")
_DATES = ("validFrom", "validUntil")
KNOWN_COLUMNS = (
    "Use sku, amount, currency, validFrom, validUntil, attributes.NAME and tier.MINQTY, separated by commas."
)

_ATTRIBUTES = "attributes."
_TIER = "tier."

_tier = re.compile(r"tier\.([0-9]{1,20})").fullmatch

# Lone surrogates stand for bytes that are not UTF-8: see `storage.files.csv`.
_undecodable = re.compile("[\udc80-\udcff]").search

_MAX_PROBLEMS = 100
"""Limit of the errors reported for a header row."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The indexes of the fields of a price in a record of `width` cells."""

    width: int
    sku: int
    amount: int
    currency: int
    valid_from: int | None
    valid_until: int | None
    attributes: tuple[tuple[str, int], ...]
    tiers: tuple[tuple[int, int], ...]

    def row(self, cells: Sequence[str]) -> Row:
        """Return the row of a record. Raises `RowRefused`."""
        if len(cells) != self.width:
            code = "ROW_SHORT" if len(cells) < self.width else "ROW_LONG"
            raise RowRefused(code, f"The row has {len(cells)} cells, but the header has {self.width}.")
        return Row(
            cells[self.sku],
            cells[self.amount],
            cells[self.currency],
            [TierRow(quantity, cells[index]) for quantity, index in self.tiers if cells[index]] if self.tiers else None,
            _date(cells, self.valid_from, "validFrom"),
            _date(cells, self.valid_until, "validUntil"),
            {name: cells[index] for name, index in self.attributes if cells[index]} if self.attributes else None,
        )

    def sku_of(self, cells: Sequence[str]) -> str | None:
        """Return the sku of an invalid record, or None if it has none."""
        return cells[self.sku] if len(cells) > self.sku and is_utf8(cells[self.sku]) else None


def is_utf8(cell: str) -> bool:
    """Return whether a cell has no invalid bytes."""
    return cell.isascii() or not _undecodable(cell)


def read_header(cells: Sequence[str]) -> Columns | list[RowRefused]:
    """Return the columns of a header row, or all its errors."""
    if not all(map(is_utf8, cells)):
        return [RowRefused("ENCODING_INVALID", "The header row is not UTF-8. Save the file as UTF-8.")]
    names = [_canonical(cell.strip()) for cell in cells]
    counts = Counter(names)
    problems = [
        RowRefused("COLUMN_UNKNOWN", f"There is no column {name[:100]!r}. {KNOWN_COLUMNS}", name[:100])
        for name in counts
        if not _is_known(name)
    ]
    problems += [
        RowRefused("COLUMN_REPEATED", f"The column {name[:100]!r} appears {count} times. Keep one.", name[:100])
        for name, count in counts.items()
        if count > 1
    ]
    problems += [
        RowRefused("COLUMN_MISSING", f"The required column {name!r} is missing. {KNOWN_COLUMNS}", name)
        for name in REQUIRED
        if name not in counts
    ]
    if problems:
        return problems[:_MAX_PROBLEMS]
    index_of = {name: index for index, name in enumerate(names)}
    return Columns(
        width=len(names),
        sku=index_of["sku"],
        amount=index_of["amount"],
        currency=index_of["currency"],
        valid_from=index_of.get("validFrom"),
        valid_until=index_of.get("validUntil"),
        attributes=tuple(
            sorted((name[len(_ATTRIBUTES) :], index_of[name]) for name in names if name.startswith(_ATTRIBUTES))
        ),
        tiers=tuple((int(name[len(_TIER) :]), index_of[name]) for name in names if name.startswith(_TIER)),
    )


def _canonical(name: str) -> str:
    """Return the canonical name of a column: `tier.05` is `tier.5`."""
    quantity = _tier(name)
    return f"{_TIER}{int(quantity[1])}" if quantity else name


def _is_known(name: str) -> bool:
    if quantity := _tier(name):
        return 1 <= int(quantity[1]) <= MAX_QUANTITY
    return name in REQUIRED or name in _DATES or (name.startswith(_ATTRIBUTES) and name != _ATTRIBUTES)


def _date(cells: Sequence[str], index: int | None, field: str) -> datetime.date | None:
    if index is None or not cells[index]:
        return None
    try:
        return msgspec.convert(cells[index], datetime.date)
    except msgspec.ValidationError as error:
        raise RowRefused("DATE_INVALID", f"{cells[index][:40]!r} is not a date, such as 2026-12-31.", field) from error
