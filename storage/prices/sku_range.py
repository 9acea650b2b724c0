"""Spans: ranges of skus, by the order of their code points, which is that of their UTF-8 and the server's."""

import sys
from dataclasses import dataclass, replace
from typing import Any

_FIRST_SURROGATE, _BEHIND_SURROGATES = 0xD800, 0xE000


@dataclass(frozen=True, slots=True)
class SkuRange:
    """The skus from `low` on that come before `high`; None is no end."""

    low: str = ""
    high: str | None = None

    def between(self, after: str | None, before: str | None) -> "SkuRange":
        """Return the part that lies strictly between two skus, where they are given."""
        span = self if after is None else self.above(after)
        return span if before is None else span.below(before)

    def above(self, sku: str) -> "SkuRange":
        """Return the part that follows a sku."""
        return replace(self, low=max(self.low, successor(sku)))

    def below(self, sku: str) -> "SkuRange":
        """Return the part that comes before a sku."""
        return replace(self, high=sku if self.high is None else min(self.high, sku))

    def cut(self, at: str, *, backward: bool) -> tuple["SkuRange", "SkuRange"]:
        """Return the two parts below `at` and from it on: first the one that a walk meets first."""
        parts = replace(self, high=at), replace(self, low=at)
        return parts[::-1] if backward else parts

    @property
    def query(self) -> dict[str, Any]:
        """The condition that a record meets when its sku is within."""
        return {"_id": {"$gte": self.low} if self.high is None else {"$gte": self.low, "$lt": self.high}}


ALL_SKUS = SkuRange()


def successor(sku: str) -> str:
    """Return the text that directly follows a sku."""
    return f"{sku}\0"


def sku_range_of_prefix(prefix: str) -> SkuRange:
    """Return the skus that begin with a prefix."""
    for length in range(len(prefix), 0, -1):
        point = ord(prefix[length - 1]) + 1
        if point <= sys.maxunicode:
            point = _BEHIND_SURROGATES if point == _FIRST_SURROGATE else point
            return SkuRange(prefix, prefix[: length - 1] + chr(point))
    return SkuRange(prefix)
