"""The rows of an export: prices of the API as lines of NDJSON or CSV that `pricebook import` reads."""

import csv
import io
from collections.abc import Iterable, Sequence

import click
import msgspec

from cli.client import Json
from cli.imports.price_files import MAX_ROW_BYTES

MAX_COLUMNS = 10_000
"""Largest number of columns. Empty cells count too: with more, rows could be too long to import."""

_REQUIRED = ("sku", "amount", "currency")
_DATES = ("validFrom", "validUntil")


class NotInCsv(click.ClickException):
    """A price cannot be represented in CSV; exit code 1."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} CSV cannot represent that: export with --format ndjson.")


def row_of(price: Json) -> Json:
    """Return a price as a `PriceInput`, without empty fields."""
    return {name: value for name, value in price.items() if value not in (None, [], {})}


def ndjson_of(rows: Iterable[Json]) -> bytes:
    """Return rows as NDJSON."""
    return msgspec.json.Encoder().encode_lines(list(rows))


class Columns:
    """The columns of a CSV file: they are complete once all rows were added."""

    def __init__(self) -> None:
        self._dates: set[str] = set()
        self._attributes: set[str] = set()
        self._tiers: set[int] = set()

    def add(self, rows: Iterable[Json]) -> None:
        """Add the columns of some rows. Raises `NotInCsv`."""
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
        """Return the header row. Raises `NotInCsv` if it is too long to import."""
        attributes = [f"attributes.{name}" for name in sorted(self._attributes)]
        tiers = [f"tier.{quantity}" for quantity in sorted(self._tiers)]
        header = _csv([[*_REQUIRED, *sorted(self._dates), *attributes, *tiers]])
        if len(header) > MAX_ROW_BYTES:
            raise NotInCsv(f"The names of {len(attributes):,} attributes make a header row of {len(header):,} bytes.")
        return header

    def lines(self, rows: Iterable[Json]) -> bytes:
        """Return rows, which must have been added before, as CSV."""
        dates, names, quantities = sorted(self._dates), sorted(self._attributes), sorted(self._tiers)
        records = []
        for row in rows:
            attributes = row.get("attributes", {})
            tiers = {tier["minQuantity"]: tier["amount"] for tier in row.get("tiers", ())}
            records.append(
                [
                    *(row[name] for name in _REQUIRED),
                    *(row.get(name, "") for name in dates),
                    *(attributes.get(name, "") for name in names),
                    *(tiers.get(quantity, "") for quantity in quantities),
                ]
            )
        return _csv(records)


def _check_attribute(sku: str, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise NotInCsv(f"The attribute {name!r} of {sku!r} is not a string.")
    if not value:
        raise NotInCsv(f"The attribute {name!r} of {sku!r} is an empty string.")
    if name != name.rstrip() or not name:  # imports strip header cells
        raise NotInCsv(f"The attribute {name!r} of {sku!r} has an empty name, or one that ends in white space.")


def _csv(records: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    # The line ends of RFC 4180. The writer quotes cells that contain either character only with this terminator.
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue().encode()
