"""Memory size of a cached record in bytes: `sys.getsizeof` of all its objects, and its entries in the cache."""

from decimal import Decimal
from sys import getsizeof
from typing import Any

from storage import Price, Tier

ENTRY_BYTES = 72
"""An entry of a large dict: 37 to 105 bytes, by when the dict was last resized (CPython 3.11, tracemalloc)."""

SORTED_ENTRY_BYTES = 8
"""An entry of the sorted list of skus."""

_DECIMAL = getsizeof(Decimal("12.50"))
_PRICE = getsizeof(Price("", Decimal(1), "EUR")) + _DECIMAL + ENTRY_BYTES
_TIER = getsizeof(Tier(1, Decimal(1))) + _DECIMAL + getsizeof(1 << 16) + 8
_DATE = 32
_NESTED = (dict, list)


def weigh(sku: str, price: Price | None) -> int:
    """Return the bytes of a record, or of the entry for a sku that the version does not have.

    Currencies are not counted, because all prices share them. Attribute names are, although most prices share them:
    otherwise a list in which every price has different names would exceed the budget.
    """
    if price is None:
        return ENTRY_BYTES + getsizeof(sku)
    size = _PRICE + getsizeof(sku)
    if price.attributes:
        size += _nested_bytes(price.attributes)
    if price.tiers:
        size += len(price.tiers) * _TIER
    if price.valid_from is not None:
        size += _DATE
    if price.valid_until is not None:
        size += _DATE
    return size


def _nested_bytes(value: Any) -> int:
    size = getsizeof(value)
    if isinstance(value, dict):
        for key, child in value.items():
            size += getsizeof(key) + (_nested_bytes(child) if type(child) in _NESTED else getsizeof(child))
    elif isinstance(value, list):
        size += sum(map(_nested_bytes, value))
    return size
