"""Filters applied to blocks: which may have matches, by their stats, and which of their rows match.

A condition that the stats show to hold for all prices of a block is not looked at again. Rows are decoded no further
than the conditions need: an attribute's encoding is searched for in the bytes of the block before any is decoded.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter

from storage.layers.block import BlockContent, BlockStats
from storage.prices.price import Price
from storage.prices.selection import PriceFilter

DECODED_ONE_BY_ONE = 4
"""Up to a quarter of the rows of a block are decoded one by one; if more are needed, all at once is faster."""


class BlockFilter:
    """A filter, for blocks."""

    def __init__(self, price_filter: PriceFilter) -> None:
        self._filter = price_filter
        self._attributes = [(attribute, attribute.encodings()) for attribute in price_filter.attributes]

    def excludes(self, stats: BlockStats) -> bool:
        """Whether no price of a block can match."""
        wanted = self._filter
        if stats.least is None or stats.greatest is None:
            return True  # it has tombstones only
        if wanted.currency is not None and wanted.currency not in stats.currencies:
            return True
        if wanted.at_least is not None and Decimal(stats.greatest) < wanted.at_least:
            return True
        if wanted.at_most is not None and Decimal(stats.least) > wanted.at_most:
            return True
        if wanted.valid_on is None:
            return False
        day = wanted.valid_on.isoformat()
        return (stats.valid_from or day) > day or (stats.valid_until or day) < day

    def matches(self, content: BlockContent, stats: BlockStats, indexes: Sequence[int]) -> Sequence[int]:
        """Return those of the given rows of a block that match, by their index in it."""
        if not self._attributes:
            return self._meeting_conditions(content, stats, content.prices_among(indexes))
        counts = [sum(map(content.count, encodings)) for _, encodings in self._attributes]
        if not all(counts):
            return []
        found = self._meeting_conditions(content, stats, content.prices_among(indexes))
        count, (_, rarest) = min(zip(counts, self._attributes, strict=True), key=itemgetter(0))
        if count * DECODED_ONE_BY_ONE > len(content.skus):
            return self._having_attributes(content.prices(), found)
        found = sorted({index for part in rarest for index in content.containing(part)}.intersection(found))
        return self._having_attributes({index: content.price(index) for index in found}, found)

    def _meeting_conditions(self, content: BlockContent, stats: BlockStats, indexes: Sequence[int]) -> Sequence[int]:
        undecided = self._undecided(stats)
        if undecided.currency is not None or undecided.valid_on is not None:
            return undecided.select(content.heads(), indexes)
        if undecided.at_least is not None or undecided.at_most is not None:
            return undecided.select(content.amounts(), indexes)
        return indexes

    def _undecided(self, stats: BlockStats) -> PriceFilter:
        """Return the conditions that a price of a block may miss, if the stats do not exclude the block."""
        wanted, least, greatest = self._filter, Decimal(stats.least or 0), Decimal(stats.greatest or 0)
        return PriceFilter(
            currency=None if len(stats.currencies) == 1 else wanted.currency,
            at_least=None if wanted.at_least is None or wanted.at_least <= least else wanted.at_least,
            at_most=None if wanted.at_most is None or wanted.at_most >= greatest else wanted.at_most,
            valid_on=wanted.valid_on,
        )

    def _having_attributes(
        self, prices: Sequence[Price | None] | Mapping[int, Price | None], indexes: Sequence[int]
    ) -> Sequence[int]:
        for attribute, _ in self._attributes:
            indexes = attribute.select(prices, indexes)
        return indexes
