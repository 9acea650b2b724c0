"""Rows of an export: prices as the API tells them become lines that `pricebook import` takes back, NDJSON or CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

from cli.imports.price_files import MAX_ROW_BYTES

Json = dict[str, Any]

MAX_COLUMNS = 10_000
"""More are no table; and with those that are empty, a row would be too long to be read again."""

_PLAIN = ("sku", "amount", "currency")
_DATES = ("validFrom", "validUntil")


class NotInCsv(click.ClickException):
    """A price that CSV has no words for; exit code 1."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why} CSV cannot say that: export it with --format ndjson.")


def row_of(price: Json) -> Json:
    """Return a price as a `PriceInput`, without what is empty."""
    return {name: value for name, value in price.items() if value not in (None, [], {})}


def ndjson_of(rows: Iterable[Json]) -> bytes:
    """Return rows, a line each."""
    return msgspec.json.Encoder().encode_lines(list(rows))


class Columns:
    """The columns that a CSV of some rows needs; they are known when all rows were seen."""

    def __init__(self) -> None:
        self._dates: set[str] = set()
        self._attributes: set[str] = set()
        self._tiers: set[int] = set()

    def add(self, rows: Iterable[Json]) -> None:
        """See what rows need. Raises `NotInCsv`."""
        for row in rows:
            self._dates.update(row.keys() & _DATES)
            self._tiers.update(tier["minQuantity"] for tier in row.get("tiers", ()))
            for name, value in row.get("attributes", {}).items():
                if name not in self._attributes or not value or not isinstance(value, str):
                    _check_attribute(row["sku"], name, value)
                    self._attributes.add(name)
        count = len(self._attributes) + len(self._tiers)
        if count > MAX_COLUMNS:
            raise NotInCsv(f"The prices have attributes and tiers for {count:,} columns, over {MAX_COLUMNS:,}.")

    def header(self) -> bytes:
        """Return the header row. Raises `NotInCsv` where it is too long to be read again."""
        attributes = [f"attributes.{name}" for name in sorted(self._attributes)]
        tiers = [f"tier.{quantity}" for quantity in sorted(self._tiers)]
        header = _csv([[*_PLAIN, *sorted(self._dates), *attributes, *tiers]])
        if len(header) > MAX_ROW_BYTES:
            raise NotInCsv(f"The names of {len(attributes):,} attributes make a header row of {len(header):,} bytes.")
        return header

    def lines(self, rows: Iterable[Json]) -> bytes:
        """Return rows that were all seen before."""
        dates, names, quantities = sorted(self._dates), sorted(self._attributes), sorted(self._tiers)
        records = []
        for row in rows:
            attributes = row.get("attributes", {})
            tiers = {tier["minQuantity"]: tier["amount"] for tier in row.get("tiers", ())}
            records.append(
                [
                    *(row[name] for name in _PLAIN),
                    *(row.get(name, "") for name in dates),
                    *(attributes.get(name, "") for name in names),
                    *(tiers.get(quantity, "") for quantity in quantities),
                ]
            )
        return _csv(records)


def _check_attribute(sku: str, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise NotInCsv(f"The attribute {name!r} of {sku!r} is no string.")
    if not value:
        raise NotInCsv(f"The attribute {name!r} of {sku!r} is an empty string.")
    if name != name.rstrip() or not name:  # header cells are stripped
        raise NotInCsv(f"The attribute {name!r} of {sku!r} has a name that ends in white space, or none.")


def _csv(records: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    # RFC 4180 has these line ends; and a cell with either of the two characters is quoted only so.
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue().encode()
