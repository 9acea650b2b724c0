"""The prices of some skus in many versions. Versions share layers, so a sku is looked up once in each layer."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from storage.catalog.snapshots import Layer, Snapshot
from storage.layers.reader import LayerReader
from storage.prices.price import Price

MAX_CONCURRENT_LAYER_READS = 16
"""Layers that a process reads at once."""

LayerPrices = Mapping[str, Price | None]
"""The prices of one layer by sku, None for a tombstone."""


class LayerPriceReader:
    """Looks skus up in layers. All readers of a process share the `slots`, one for each layer that is read at once."""

    def __init__(self, layer_reader: LayerReader, slots: asyncio.Semaphore) -> None:
        self._layer_reader = layer_reader
        self._slots = slots

    def in_memory(self, layer: Layer, skus: Sequence[str]) -> LayerPrices | None:
        """Return the prices that a layer has of some skus; None unless all that it needs is in memory, decoded."""
        return self._layer_reader.layer_prices_in_memory(layer, skus)

    async def find(self, layer: Layer, skus: Sequence[str]) -> LayerPrices:
        """Return the prices that a layer has of some skus. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        async with self._slots:
            return await self._layer_reader.layer_prices(layer, skus)


class VersionPrices:
    """The prices of some skus in a run of versions. It holds those of the layers of the last versions it was given."""

    def __init__(self, reader: LayerPriceReader) -> None:
        self._reader = reader
        self._layers: dict[str, LayerPrices] = {}

    async def look_up(self, snapshots: Iterable[Snapshot], skus: Sequence[str]) -> None:
        """Look the skus up in all layers of the next versions. Raises `LayerGone`, `Corrupt`, `UnknownFormat`.

        In layers of the versions before, they were looked up already: the skus of those must include these.
        """
        layers = {layer.id: layer for snapshot in snapshots for layer in snapshot.layers}
        missing = []
        for layer in layers.values():
            if layer.id not in self._layers:
                known = self._reader.in_memory(layer, skus)
                if known is None:
                    missing.append(layer)
                else:
                    self._layers[layer.id] = known
        found = await asyncio.gather(*(self._reader.find(layer, skus) for layer in missing))
        self._layers.update(zip((layer.id for layer in missing), found, strict=True))
        self._layers = {layer: self._layers[layer] for layer in layers}

    def stack(self, snapshot: Snapshot) -> list[LayerPrices]:
        """Return the prices of the layers of a version, newest first."""
        return [self._layers[layer.id] for layer in snapshot.layers]


def visible_price(stack: Iterable[LayerPrices], sku: str) -> Price | None:
    """Return the price that a version has of a sku: that of its newest layer which has one."""
    for prices in stack:
        if sku in prices:
            return prices[sku]
    return None
