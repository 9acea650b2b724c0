"""Prices as the API has them."""

from console.client import Json


def price(amount: str = "10.00", currency: str = "EUR", **fields: object) -> Json:
    """Return a price without terms, but for the fields given."""
    base: Json = {"amount": amount, "currency": currency, "tiers": [], "validFrom": None, "validUntil": None}
    return {"sku": "A", **base, "attributes": {}, **fields}
