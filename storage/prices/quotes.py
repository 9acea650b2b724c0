"""Quotes: what some quantities cost, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, Rounded
from functools import reduce

from storage.prices.price import Price

# An amount has 34 digits and a quantity 10; a thousand lines add three. What would have to be rounded is an error.
_EXACT = Context(prec=100, traps=[Inexact, Rounded])


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """A quantity of one sku; without amounts where the version has no price for it."""

    sku: str
    quantity: int
    unit_amount: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Lines priced from one version. A total is there when every line has a price, and all are of one currency."""

    version: int
    lines: Sequence[QuoteLine]
    total: Decimal | None
    currency: str | None
    complete: bool


def quote(version: int, lines: Sequence[tuple[str, int]], prices: Sequence[Price | None]) -> Quote:
    """Price lines of (sku, quantity) by the prices of a version, one for each line."""
    priced = [_line(*line, price) for line, price in zip(lines, prices, strict=True)]
    known = [price for price in prices if price is not None]
    complete = len(known) == len(lines)
    currencies = {price.currency for price in known}
    if not complete or len(currencies) != 1:
        return Quote(version, priced, None, None, complete)
    total = reduce(_EXACT.add, (line.amount for line in priced if line.amount is not None))
    return Quote(version, priced, total, currencies.pop(), complete)


def _line(sku: str, quantity: int, price: Price | None) -> QuoteLine:
    if price is None:
        return QuoteLine(sku, quantity)
    unit = price.unit_amount(quantity)
    return QuoteLine(sku, quantity, unit, _EXACT.multiply(unit, Decimal(quantity)))
