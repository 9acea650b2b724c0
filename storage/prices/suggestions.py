"""Suggestions for names that are almost those of a field, and for codes that are almost those of a currency."""

import re
from difflib import get_close_matches
from functools import lru_cache

from storage.prices.currencies import CURRENCIES

_MAX_NAME = 20
"""Longest name that is compared with others. A longer one is not similar to any."""

_MAX_REMEMBERED = 1024
"""Names whose suggestion is remembered: a mistake of a sender is in every row."""

_MIN_SIMILARITY = 0.75

_SYNONYMS = {
    "sku": ("id", "article", "articleid", "articlenumber", "code", "ean", "gtin", "item", "itemid", "product",
            "productid", "variant"),
    "amount": ("price", "cost", "netprice", "grossprice", "unitprice", "value"),
    "currency": ("currencycode", "curr", "ccy", "iso4217"),
    "validFrom": ("from", "start", "startdate", "validsince"),
    "validUntil": ("until", "to", "end", "enddate", "validto", "expires"),
    "attributes": ("attrs", "properties", "metadata"),
    "tiers": ("tierprices", "scales", "quantitybreaks"),
    "minQuantity": ("quantity", "qty", "minqty", "from"),
}  # fmt: skip
"""Other names of the fields, in lower case without separators."""

_CURRENCY_NAMES = {
    "€": "EUR", "EURO": "EUR", "EUROS": "EUR", "$": "USD", "US$": "USD", "DOLLAR": "USD", "DOLLARS": "USD",
    "£": "GBP", "POUND": "GBP", "POUNDS": "GBP", "UKP": "GBP", "¥": "JPY", "YEN": "JPY", "RMB": "CNY", "₹": "INR",
    "FR.": "CHF", "SFR": "CHF", "SFR.": "CHF", "ZŁ": "PLN", "KČ": "CZK", "₺": "TRY", "₩": "KRW", "₴": "UAH",
}  # fmt: skip
"""Signs and names of currencies, in upper case."""

_separators = re.compile(r"[\s_.-]+")


def similar_field(name: str, known: tuple[str, ...]) -> str | None:
    """Return the known name that is probably meant, or None."""
    return _similar_field(name, known) if len(name) <= _MAX_NAME else None


@lru_cache(_MAX_REMEMBERED)
def _similar_field(name: str, known: tuple[str, ...]) -> str | None:
    plain = _separators.sub("", name).casefold()
    for candidate in known:
        if plain == candidate.casefold() or plain in _SYNONYMS.get(candidate, ()):
            return candidate
    by_plain = {candidate.casefold(): candidate for candidate in known}
    closest = get_close_matches(plain, by_plain, 1, _MIN_SIMILARITY)
    return by_plain[closest[0]] if closest else None


def similar_currency(text: str) -> str | None:
    """Return the currency code that is probably meant, or None."""
    if len(text) > _MAX_NAME:
        return None
    plain = text.strip().upper()
    return plain if plain in CURRENCIES else _CURRENCY_NAMES.get(plain)
