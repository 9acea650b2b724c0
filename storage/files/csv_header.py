"""The header row of a CSV file: its columns."""

import datetime
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from storage.files.csv_text import check_utf8, is_utf8
from storage.prices.currencies import CURRENCIES
from storage.prices.item_error import RowRefused, quoted
from storage.prices.row import Row, TierRow
from storage.prices.row_checks import MAX_QUANTITY
from storage.prices.suggestions import similar_field

REQUIRED = ("sku", "amount", "currency")
_DATES = ("validFrom", "validUntil")
KNOWN_COLUMNS = (
    "Use sku, amount, currency, validFrom, validUntil, attributes.NAME and tier.MINQTY, separated by commas."
)

_ATTRIBUTES = "attributes."
_TIER = "tier."

_tier = re.compile(r"tier\.([0-9]{1,20})").fullmatch

_COMMAS = "separate the columns by commas: Excel saves them as 'CSV UTF-8 (Comma delimited)'"

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}

_MAX_PROBLEMS = 100
"""Limit of the errors reported for a header row."""

_MAX_CELLS_OF_PRICE = 100
"""A first row of more cells is taken for the names of columns, whatever is in it."""


class NotARow(Exception):
    """A record is no row. `storage.files.csv_records` works out its errors."""


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
        """Return the row of a record. Raises `NotARow`."""
        if len(cells) != self.width:
            raise NotARow
        return Row(
            cells[self.sku],
            cells[self.amount],
            cells[self.currency],
            [TierRow(quantity, cells[index]) for quantity, index in self.tiers if cells[index]] if self.tiers else None,
            read_date(cells, self.valid_from),
            read_date(cells, self.valid_until),
            {name: cells[index] for name, index in self.attributes if cells[index]} if self.attributes else None,
        )

    def sku_of(self, cells: Sequence[str]) -> str | None:
        """Return the sku of an invalid record, or None if it has none."""
        return cells[self.sku] if len(cells) > self.sku and is_utf8(cells[self.sku]) else None


def read_header(cells: Sequence[str]) -> Columns | list[RowRefused]:
    """Return the columns of a header row, or all its errors."""
    if error := _not_a_header(cells):
        return [error]
    names = list(map(_canonical, map(str.strip, cells)))
    if problems := list(islice(_problems(names), _MAX_PROBLEMS)):
        return problems
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


def _problems(names: Sequence[str]) -> Iterator[RowRefused]:
    counts = Counter(names)
    misspelt: set[str | None] = set()
    for name in counts:
        if not _is_known(name):
            similar = _similar(name)
            misspelt.add(similar)
            yield _unknown(name, names, similar if similar not in counts else None)
    for name, count in counts.items():
        if count > 1 and _is_known(name):
            message = f"The column {quoted(name)} appears {count} times. Keep one."
            yield RowRefused("COLUMN_REPEATED", message, name[:100])
    for name in REQUIRED:
        if name not in counts and name not in misspelt:
            yield RowRefused("COLUMN_MISSING", f"The required column {name!r} is missing. {KNOWN_COLUMNS}", name)


def _not_a_header(cells: Sequence[str]) -> RowRefused | None:
    """Return the error of a first row that is not the names of columns, separated by commas."""
    first = cells[0].strip()
    try:
        check_utf8(cells)
    except RowRefused as refused:
        return refused
    if first.casefold().startswith("sep="):
        return RowRefused(
            "SEPARATOR_NOT_COMMA", f"The first line, {quoted(first)}, is for Excel only. Remove it, and {_COMMAS}."
        )
    for separator, name in OTHER_SEPARATORS.items():
        if len(cells) == 1 and separator in first and _similar(first.split(separator)[0]) in REQUIRED:
            return RowRefused(
                "SEPARATOR_NOT_COMMA", f"The columns are separated by {name}. In the whole file, {_COMMAS}."
            )
    if _has_price(cells) and not any(_is_known(name) or _similar(name) in REQUIRED for name in map(str.strip, cells)):
        return RowRefused("HEADER_MISSING", f"The first row has a price, not the names of the columns. {KNOWN_COLUMNS}")
    return None


def _has_price(cells: Sequence[str]) -> bool:
    return len(cells) <= _MAX_CELLS_OF_PRICE and not CURRENCIES.isdisjoint(map(str.strip, cells))


def _similar(name: str) -> str | None:
    return similar_field(name, (*REQUIRED, *_DATES))


def _unknown(name: str, names: Sequence[str], similar: str | None) -> RowRefused:
    """Return the error of an unknown column; `similar` is a column that may be meant and that the header lacks."""
    if not name:
        number = names.index(name) + 1
        return RowRefused("COLUMN_UNKNOWN", f"Column {number} has no name. Name it, or remove the column.", "")
    if name.startswith(_TIER):
        advice = f"Write {_TIER} and a quantity from 1 to {MAX_QUANTITY}, such as tier.10."
    elif similar:
        advice = f"Did you mean {similar}?"
    else:
        advice = (
            f"Name it {_ATTRIBUTES}{name[:40] if name != _ATTRIBUTES else 'NAME'} if it is an attribute, or remove it."
        )
    return RowRefused("COLUMN_UNKNOWN", f"There is no column {quoted(name)}. {advice}", name[:100])


def _canonical(name: str) -> str:
    """Return the canonical name of a column: `tier.05` is `tier.5`."""
    quantity = _tier(name) if name.startswith(_TIER) else None
    return f"{_TIER}{int(quantity[1])}" if quantity else name


def _is_known(name: str) -> bool:
    if name.startswith(_TIER) and (quantity := _tier(name)):
        return 1 <= int(quantity[1]) <= MAX_QUANTITY
    return name in REQUIRED or name in _DATES or (name.startswith(_ATTRIBUTES) and name != _ATTRIBUTES)


def read_date(cells: Sequence[str], index: int | None) -> datetime.date | None:
    """Return the date in a cell, or None. Raises `NotARow`."""
    if index is None or not cells[index]:
        return None
    try:
        return msgspec.convert(cells[index], datetime.date)
    except msgspec.ValidationError as error:
        raise NotARow from error
