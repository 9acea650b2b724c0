"""Prices in words: their terms, how two of them differ, and the change of an amount in percent, computed exactly."""

import json
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from console.client import Json
from console.widgets.tables import cell

PRICE_FIELDS = "sku amount currency tiers { minQuantity amount } validFrom validUntil attributes"
"""The fields of a price that these functions take."""

MAX_ATTRIBUTES = 3
"""Attributes that are named where two prices differ; the others are counted."""

_DIGITS = Context(prec=100, rounding=ROUND_HALF_EVEN)


def price_text(price: Json) -> str:
    """Return the amount and the currency of a price."""
    return f"{price['amount']} {price['currency']}"


def terms(price: Json) -> str:
    """Return what a price has besides its amount: quantity breaks and dates. Empty if it has none."""
    tiers = len(price["tiers"])
    found = [f"{tiers} tier{'s' if tiers > 1 else ''}"] if tiers else []
    if price["validFrom"]:
        found.append(f"from {price['validFrom']}")
    if price["validUntil"]:
        found.append(f"until {price['validUntil']}")
    return " · ".join(found)


def price_cell(price: Json | None) -> Json:
    """Return a cell with a price and its terms; `no price` for none."""
    if price is None:
        return cell("no price")
    return cell(price_text(price), note=terms(price) or None)


def percent(before: Json | None, after: Json | None) -> Fraction | None:
    """Return the change of an amount in percent. None if one is missing or the other currency's, or from 0."""
    if before is None or after is None or before["currency"] != after["currency"]:
        return None
    old, new = Fraction(before["amount"]), Fraction(after["amount"])
    return (new - old) / old * 100 if old else None


def percent_text(change: Fraction) -> str:
    """Return a percentage with its sign: to two decimals, or to two digits if it is smaller than that."""
    if not change:
        return "0.00 %"
    exact = _DIGITS.divide(Decimal(change.numerator), Decimal(change.denominator))
    if abs(exact) >= 10**9 or abs(exact) < Decimal("0.000001"):
        return f"{exact:+.2e} %"
    decimals = 2 if abs(exact) >= Decimal("0.01") else 1 - exact.adjusted()
    return f"{exact:+,.{decimals}f} %"


def differences(before: Json, after: Json) -> list[str]:
    """Return, in words, what differs between two prices of a sku besides the amount."""
    found = []
    if before["currency"] != after["currency"]:
        found.append("currency")
    if before["tiers"] != after["tiers"]:
        found.append("tiers")
    if before["validFrom"] != after["validFrom"]:
        found.append("valid from")
    if before["validUntil"] != after["validUntil"]:
        found.append("valid until")
    names = list(_differing(before["attributes"], after["attributes"]))
    found += [f"attribute {name}" for name in names[:MAX_ATTRIBUTES]]
    if len(names) > MAX_ATTRIBUTES:
        found.append(f"{len(names) - MAX_ATTRIBUTES} more attributes")
    if not found and before["amount"] != after["amount"] and Fraction(before["amount"]) == Fraction(after["amount"]):
        found.append("digits of the amount")
    return found


def change_cell(before: Json | None, after: Json | None) -> Json:
    """Return a cell that says how a price changed: by how many percent, and what else."""
    if before is None:
        return cell("added", tone="good")
    if after is None:
        return cell("removed", tone="bad")
    change, others = percent(before, after), ", ".join(differences(before, after))
    if change:
        shown = f"▲ {percent_text(change)}" if change > 0 else f"▼ {percent_text(change)}"
        return cell(shown, tone="up" if change > 0 else "down", sort=float(change), note=others or None)
    if change is None and before["currency"] == after["currency"] and before["amount"] != after["amount"]:
        return cell("from 0", tone="up", note=others or None)
    return cell(others or "unchanged", tone="muted")


def value_text(value: object) -> str:
    """Return the value of an attribute: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def shortened(text: str, characters: int) -> str:
    """Return a text, or its beginning if it has more characters than that."""
    return text if len(text) <= characters else f"{text[:characters]}…"


def _differing(before: Json, after: Json) -> Iterator[str]:
    """Yield the names of attributes whose values differ as JSON: to Python, 1 and true are equal."""
    for name in sorted({*before, *after}):
        if name not in before or name not in after or value_text([before[name]]) != value_text([after[name]]):
            yield name
