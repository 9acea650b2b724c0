"""Ranges of skus. They are ordered by code points, as by their UTF-8 bytes."""

import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

_FIRST_SURROGATE, _AFTER_SURROGATES = 0xD800, 0xE000


@dataclass(frozen=True, slots=True)
class SkuRange:
    """The skus from `low`, inclusive, to `high`, exclusive. None means no upper bound."""

    low: str = ""
    high: str | None = None

    def indexes(self, skus: Sequence[str]) -> range:
        """Return the indexes of those of some skus, given in their order, that are in the range."""
        return range(bisect_left(skus, self.low), len(skus) if self.high is None else bisect_left(skus, self.high))

    def between(self, after: str | None, before: str | None) -> "SkuRange":
        """Return the skus strictly after `after` and strictly before `before`, if given."""
        lower = self if after is None else self.above(after)
        return lower if before is None else lower.below(before)

    def above(self, sku: str) -> "SkuRange":
        """Return the skus after a sku."""
        return replace(self, low=max(self.low, successor(sku)))

    def below(self, sku: str) -> "SkuRange":
        """Return the skus before a sku."""
        return replace(self, high=sku if self.high is None else min(self.high, sku))

    def cut(self, sku: str, *, backward: bool) -> tuple["SkuRange", "SkuRange"]:
        """Return the range below a sku and the range from it on, in the order of iteration."""
        ranges = replace(self, high=sku), replace(self, low=sku)
        return ranges[::-1] if backward else ranges


ALL_SKUS = SkuRange()


def successor(sku: str) -> str:
    """Return the string that directly follows a sku."""
    return f"{sku}\0"


def sku_range_of_prefix(prefix: str) -> SkuRange:
    """Return the range of the skus with a prefix."""
    for length in range(len(prefix), 0, -1):
        point = ord(prefix[length - 1]) + 1
        if point <= sys.maxunicode:
            point = _AFTER_SURROGATES if point == _FIRST_SURROGATE else point
            return SkuRange(prefix, prefix[: length - 1] + chr(point))
    return SkuRange(prefix)
