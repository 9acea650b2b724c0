"""Quotes: the exact cost of quantities of skus."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, Rounded
from functools import reduce

from storage.prices.price import Price

_EXACT = Context(prec=100, traps=[Inexact, Rounded])
"""An amount has 34 digits, a quantity has 10, and the sum of a thousand lines adds three. Rounding raises an error."""


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """A quantity of a sku. The amounts are None if the version has no price for it."""

    sku: str
    quantity: int
    unit_amount: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Lines priced from one version. It has a total if every line has a price and all prices have one currency."""

    version: int
    lines: Sequence[QuoteLine]
    total: Decimal | None
    currency: str | None
    complete: bool


def quote(version: int, lines: Sequence[tuple[str, int]], prices: Sequence[Price | None]) -> Quote:
    """Return the quote for lines of (sku, quantity). `prices` has the price of each line, or None."""
    priced = [_line(*line, price) for line, price in zip(lines, prices, strict=True)]
    found = [price for price in prices if price is not None]
    complete = len(found) == len(lines)
    currencies = {price.currency for price in found}
    if not complete or len(currencies) != 1:
        return Quote(version, priced, None, None, complete)
    total = reduce(_EXACT.add, (line.amount for line in priced if line.amount is not None))
    return Quote(version, priced, total, currencies.pop(), complete)


def _line(sku: str, quantity: int, price: Price | None) -> QuoteLine:
    if price is None:
        return QuoteLine(sku, quantity)
    unit = price.unit_amount(quantity)
    return QuoteLine(sku, quantity, unit, _EXACT.multiply(unit, Decimal(quantity)))
