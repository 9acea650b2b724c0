"""Histories by (list, version, sku)."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from loaders.loading import Loader
from storage import PriceVersion, Store

HistoryKey = tuple[str, int, str, int]
"""List, version, sku, and how many changes."""

# Of each sku all layers of a run of versions are held at once.
MAX_SKUS = 1000


class HistoryLoader(Loader[HistoryKey, list[PriceVersion]]):
    """Loads the changes of the prices that a request asks for, newest first: those of one version together."""

    def __init__(self, store: Store) -> None:
        super().__init__(self._load, max_batch_size=MAX_SKUS)
        self._histories = store.histories

    async def _load(self, keys: Sequence[HistoryKey]) -> list[list[PriceVersion]]:
        wanted: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
        for price_list, version, sku, count in keys:
            skus = wanted[price_list, version]
            skus[sku] = max(count, skus.get(sku, 0))
        found = await asyncio.gather(*(self._histories.find(*of, skus) for of, skus in wanted.items()))
        changes = dict(zip(wanted, found, strict=True))
        return [changes[price_list, version][sku][:count] for price_list, version, sku, count in keys]
