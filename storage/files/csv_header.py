"""The header row of a CSV file: which column holds what."""

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from storage.prices.row_decoder import MAX_QUANTITY, Row, RowRefused, TierRow

REQUIRED = ("sku", "amount", "currency")
_DATES = ("validFrom", "validUntil")
_KNOWN = "Known are sku, amount, currency, validFrom, validUntil, attributes.NAME and tier.MINQTY, parted by commas."

_ATTRIBUTES = "attributes."
_TIER = "tier."

_tier = re.compile(r"tier\.([0-9]{1,20})").fullmatch

# What stands for a byte that is not UTF-8: see `storage.files.csv`.
_undecodable = re.compile("[\udc80-\udcff]").search

# Enough to mend a header by.
_MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the parts of a price stand in a record of `width` cells."""

    width: int
    sku: int
    amount: int
    currency: int
    valid_from: int | None
    valid_until: int | None
    attributes: tuple[tuple[str, int], ...]
    tiers: tuple[tuple[int, int], ...]

    def row(self, cells: Sequence[str]) -> Row:
        """Return a record as a row. Raises `RowRefused`."""
        if len(cells) != self.width:
            code = "ROW_SHORT" if len(cells) < self.width else "ROW_LONG"
            raise RowRefused(code, f"The row has {len(cells)} cells, the header has {self.width}.")
        return Row(
            cells[self.sku],
            cells[self.amount],
            cells[self.currency],
            [TierRow(quantity, cells[at]) for quantity, at in self.tiers if cells[at]] if self.tiers else None,
            _date(cells, self.valid_from, "validFrom"),
            _date(cells, self.valid_until, "validUntil"),
            {name: cells[at] for name, at in self.attributes if cells[at]} if self.attributes else None,
        )

    def sku_of(self, cells: Sequence[str]) -> str | None:
        """Return the sku of a record that was refused, where it has one."""
        return cells[self.sku] if len(cells) > self.sku and is_utf8(cells[self.sku]) else None


def is_utf8(cell: str) -> bool:
    """Whether all of a cell could be decoded."""
    return cell.isascii() or not _undecodable(cell)


def read_header(cells: Sequence[str]) -> Columns | list[RowRefused]:
    """Return what a header row says, or all that is wrong with it."""
    if not all(map(is_utf8, cells)):
        return [RowRefused("ENCODING_INVALID", "The header row is not UTF-8.")]
    names = [_canonical(cell.strip()) for cell in cells]
    counts = Counter(names)
    problems = [
        RowRefused("COLUMN_UNKNOWN", f"There is no column {name[:100]!r}. {_KNOWN}", name[:100])
        for name in counts
        if not _is_known(name)
    ]
    problems += [
        RowRefused("COLUMN_REPEATED", f"The column {name[:100]!r} stands there {count} times.", name[:100])
        for name, count in counts.items()
        if count > 1
    ]
    problems += [
        RowRefused("COLUMN_MISSING", f"The column {name!r} is missing. {_KNOWN}", name)
        for name in REQUIRED
        if name not in counts
    ]
    if problems:
        return problems[:_MAX_PROBLEMS]
    at = {name: index for index, name in enumerate(names)}
    return Columns(
        width=len(names),
        sku=at["sku"],
        amount=at["amount"],
        currency=at["currency"],
        valid_from=at.get("validFrom"),
        valid_until=at.get("validUntil"),
        attributes=tuple(sorted((name[len(_ATTRIBUTES) :], at[name]) for name in at if name.startswith(_ATTRIBUTES))),
        tiers=tuple((int(name[len(_TIER) :]), at[name]) for name in at if name.startswith(_TIER)),
    )


def _canonical(name: str) -> str:
    """Return the name by which a column is told from others: `tier.05` is `tier.5`."""
    quantity = _tier(name)
    return f"{_TIER}{int(quantity[1])}" if quantity else name


def _is_known(name: str) -> bool:
    if quantity := _tier(name):
        return 1 <= int(quantity[1]) <= MAX_QUANTITY
    return name in REQUIRED or name in _DATES or (name.startswith(_ATTRIBUTES) and name != _ATTRIBUTES)


def _date(cells: Sequence[str], at: int | None, field: str) -> datetime.date | None:
    if at is None or not cells[at]:
        return None
    try:
        return msgspec.convert(cells[at], datetime.date)
    except msgspec.ValidationError as error:
        raise RowRefused("DATE_INVALID", f"{cells[at][:40]!r} is no date, such as 2026-12-31.", field) from error
