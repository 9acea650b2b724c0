"""Proofs of layers: their checksums, and the number of prices of a stack of layers. Each layer is read once.

The size of a version is counted from its oldest layer upwards: a layer adds its prices, except those whose skus the
layers below already have. These are looked up while the layer is read for its checksum, so that the cost depends on
the layers alone, not on the number of versions that share them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymongo.errors import AutoReconnect

from storage.layers.reader import LayerReader
from storage.layers.writer import LayerWriter

Checksum = object
LOOKUP_ROWS = 500
"""Number of rows that are looked up at once in the layers below."""

MAX_READ_ATTEMPTS = 5
"""Attempts to read a layer. A primary election interrupts a read."""


@dataclass(frozen=True, slots=True)
class LayerProof:
    """The checksum of a layer as it is stored, and whether it is sealed. `stored` is None if the layer is missing."""

    stored: Checksum | None
    sealed: bool


class LayerProver:
    """Proves layers, and keeps the proofs in memory. `on_read` is called with the number of rows as they are read."""

    def __init__(self, layer_writer: LayerWriter, layer_reader: LayerReader, on_read: Callable[[int], None]) -> None:
        self._layer_writer = layer_writer
        self._layer_reader = layer_reader
        self._on_read = on_read
        self._proofs: dict[str, LayerProof] = {}
        self._sizes: dict[tuple[str, ...], int] = {}

    async def prove(self, layers: Sequence[str]) -> tuple[list[LayerProof], int]:
        """Return the proof of each layer of a version, newest first, and the number of prices of all layers.

        The number is meaningful only if all layers are sound.
        """
        for depth in reversed(range(len(layers))):
            stack = tuple(layers[depth:])
            if stack not in self._sizes:
                await self._prove(stack)
        return [self._proofs[layer] for layer in layers], self._sizes[tuple(layers)] if layers else 0

    async def _prove(self, stack: tuple[str, ...]) -> None:
        layer, below = stack[0], stack[1:]
        sealed = await self._layer_writer.is_sealed(layer)
        if sealed is None:
            self._proofs[layer] = LayerProof(None, sealed=False)
            self._sizes[stack] = 0
            return
        stored, gain = await self._read_with_retries(layer, below)
        self._proofs[layer] = LayerProof(stored, sealed)
        self._sizes[stack] = gain + (self._sizes[below] if below else 0)

    async def _read_with_retries(self, layer: str, below: Sequence[str]) -> tuple[Checksum, int]:
        for _ in range(MAX_READ_ATTEMPTS - 1):
            try:
                return await self._read_layer(layer, below)
            except AutoReconnect:
                continue
        return await self._read_layer(layer, below)

    async def _read_layer(self, layer: str, below: Sequence[str]) -> tuple[Checksum, int]:
        """Return the checksum of a layer, and the number of prices that it adds to the layers below."""
        stored, gain = Checksum(), 0
        async for run in self._layer_reader.runs(layer):
            stored += checksum(run)
            for start in range(0, len(run), LOOKUP_ROWS):
                gain += await self._gain(run[start : start + LOOKUP_ROWS], below)
            self._on_read(len(run))
        return stored, gain

    async def _gain(self, documents: Sequence[bytes], below: Sequence[str]) -> int:
        try:
            prices = sum(not is_tombstone(document) for document in documents)
            skus = [sku_of(document) for document in documents]
        except (UnicodeDecodeError, IndexError):
            return 0  # not a price: the checksum will differ
        return prices - len(await self._layer_reader.find_raw(below, skus)) if below else prices
