"""The errors of records of a CSV file that are no rows."""

import csv
import re
from collections.abc import Sequence
from dataclasses import replace

from storage.files.csv_header import OTHER_SEPARATORS, Columns, NotARow, read_date
from storage.prices.date_text import date_message
from storage.prices.item_error import MAX_ERRORS_PER_ITEM, RowRefused
from storage.prices.row_checks import errors_of

_digits = re.compile(r"[^0-9]{0,4}[0-9]{1,15}").fullmatch
_decimals = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?[^0-9]{0,4}").fullmatch

_MALFORMED = (
    ("expected after", 'Only a comma may follow a closing quote. Double the quotes within a value: "5"" pipe".'),
    ("unexpected end", "A quote that opens in this row is never closed. Close it."),
    (
        "new-line",
        "A carriage return (CR) stands outside quotes. End lines with LF or CR LF, or put the value in quotes.",
    ),
    ("field larger", "A cell has more than 131,072 characters. Close its quote, or shorten it."),
)
"""Advice, by a part of the message of the module `csv`."""


def malformed(error: csv.Error) -> RowRefused:
    """Return the error of a record that is not CSV."""
    advice = (advice for part, advice in _MALFORMED if part in str(error))
    return RowRefused("ROW_NOT_CSV", f"The row is not valid CSV. {next(advice, f'{error}. Check its quotes.')}")


def record_errors(columns: Columns, cells: Sequence[str]) -> list[RowRefused]:
    """Return all errors of a record that is no row."""
    if len(cells) != columns.width:
        code = "ROW_SHORT" if len(cells) < columns.width else "ROW_LONG"
        cells_text = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        message = f"The row has {cells_text}, but the header has {columns.width}."
        return [RowRefused(code, f"{message} {_width_advice(columns, cells)}")]
    errors: list[RowRefused] = []
    for name, index in (("validFrom", columns.valid_from), ("validUntil", columns.valid_until)):
        try:
            read_date(cells, index)
        except NotARow:
            errors.append(RowRefused("DATE_INVALID", date_message(cells[index or 0]), name))
    without_dates = replace(columns, valid_from=None, valid_until=None)
    row = without_dates.row(cells)
    required = {"sku": row.sku, "amount": row.amount, "currency": row.currency, "tiers": row.tiers}
    return [*errors_of(required), *errors][:MAX_ERRORS_PER_ITEM]


def _width_advice(columns: Columns, cells: Sequence[str]) -> str:
    amount, following = columns.amount, columns.amount + 1
    if len(cells) > columns.width and _digits(cells[amount]) and _decimals(cells[following]):
        return f"Is {cells[amount]},{cells[following]} one amount? Write it without commas, with a decimal point."
    for separator, name in OTHER_SEPARATORS.items():
        if len(cells) == 1 < columns.width and separator in cells[0]:
            return f"It is separated by {name}. Separate the cells by commas."
    if len(cells) > columns.width and not any(cells[columns.width :]):
        return "Remove the commas at its end."
    return "Add the missing commas." if len(cells) < columns.width else "Put a value with a comma in double quotes."
