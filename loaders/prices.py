"""Prices by (layers, sku)."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from strawberry.dataloader import DataLoader

from storage import Price, Store

PriceKey = tuple[tuple[str, ...], str]


class PriceLoader(DataLoader[PriceKey, Price | None]):
    """Loads the prices that a request asks for, in one round trip for each version; None where there is no such sku."""

    def __init__(self, store: Store) -> None:
        super().__init__(self._load)
        self._store = store

    async def _load(self, keys: Sequence[PriceKey]) -> list[Price | None]:
        skus: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for layers, sku in keys:
            skus[layers].append(sku)
        found = await asyncio.gather(*(self._store.stack.find(layers, wanted) for layers, wanted in skus.items()))
        prices = dict(zip(skus, found, strict=True))
        return [prices[layers].get(sku) for layers, sku in keys]
