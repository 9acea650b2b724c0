"""What a record weighs in memory, in bytes: the sum of `sys.getsizeof` over its objects, and its place in the cache."""

from decimal import Decimal
from sys import getsizeof
from typing import Any

from storage import Price, Tier

# An entry of a dict with thousands of them takes 37 to 105 bytes, by how long ago it grew last (CPython 3.11,
# tracemalloc); one of the sorted list of skus takes 8.
PLACE = 72
SORTED_PLACE = 8

_DECIMAL = getsizeof(Decimal("12.50"))
_PRICE = getsizeof(Price("", Decimal(1), "EUR")) + _DECIMAL + PLACE
_TIER = getsizeof(Tier(1, Decimal(1))) + _DECIMAL + getsizeof(1 << 16) + 8
_DATE = 32
_NESTED = (dict, list)


def weigh(sku: str, price: Price | None) -> int:
    """Return the bytes of a record, or of the knowledge that there is none.

    Currencies are not counted, for all prices share them; names of attributes are, though most prices share those
    too: so a list where each price has names of its own does not exceed what it claims.
    """
    if price is None:
        return PLACE + getsizeof(sku)
    size = _PRICE + getsizeof(sku)
    if price.attributes:
        size += _deep(price.attributes)
    if price.tiers:
        size += len(price.tiers) * _TIER
    if price.valid_from is not None:
        size += _DATE
    if price.valid_until is not None:
        size += _DATE
    return size


def _deep(value: Any) -> int:
    size = getsizeof(value)
    if isinstance(value, dict):
        for key, child in value.items():
            size += getsizeof(key) + (_deep(child) if type(child) in _NESTED else getsizeof(child))
    elif isinstance(value, list):
        size += sum(map(_deep, value))
    return size
