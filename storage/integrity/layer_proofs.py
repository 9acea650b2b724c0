"""Proofs: what a layer really is, and how many prices layers have together. Each layer is read once.

A version's size is counted from its oldest layer upwards: a layer adds its prices, and takes away those of its skus
that the layers below it have. These are looked up while the layer is read for its checksum, so that many versions
that share layers cost what their layers cost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymongo.errors import AutoReconnect

from storage.layers.reader import LayerReader
from storage.layers.writer import Layers
from storage.prices.checksum import Checksum, checksum
from storage.prices.price import is_removal, sku_of

# So many rows are looked up at once in the layers below.
BATCH_ROWS = 500

# An election ends a reading; so often it is begun again.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """What a layer was found to be. `stored` is None where there is no such layer."""

    stored: Checksum | None
    sealed: bool


class Proofs:
    """The proofs of a database's layers. It keeps a line for each layer, whatever their size.

    `read` is called with the number of rows as they are read.
    """

    def __init__(self, layers: Layers, stack: LayerReader, read: Callable[[int], None]) -> None:
        self._layers = layers
        self._layer_reader = stack
        self._read = read
        self._proofs: dict[str, Proof] = {}
        self._sizes: dict[tuple[str, ...], int] = {}

    async def prove(self, layers: Sequence[str]) -> tuple[list[Proof], int]:
        """Return the proof of each layer of a version, newest first, and how many prices they have together.

        The number is worth something only where all layers are sound.
        """
        for depth in reversed(range(len(layers))):
            stack = tuple(layers[depth:])
            if stack not in self._sizes:
                await self._prove(stack)
        return [self._proofs[layer] for layer in layers], self._sizes[tuple(layers)] if layers else 0

    async def _prove(self, stack: tuple[str, ...]) -> None:
        layer, below = stack[0], stack[1:]
        sealed = await self._layers.is_sealed(layer)
        if sealed is None:
            self._proofs[layer] = Proof(None, sealed=False)
            self._sizes[stack] = 0
            return
        stored, gain = await self._through_elections(layer, below)
        self._proofs[layer] = Proof(stored, sealed)
        self._sizes[stack] = gain + (self._sizes[below] if below else 0)

    async def _through_elections(self, layer: str, below: Sequence[str]) -> tuple[Checksum, int]:
        for _ in range(TRIES - 1):
            try:
                return await self._read_layer(layer, below)
            except AutoReconnect:
                continue
        return await self._read_layer(layer, below)

    async def _read_layer(self, layer: str, below: Sequence[str]) -> tuple[Checksum, int]:
        """Return the checksum of a layer, and by how many prices it makes those below it more."""
        stored, gain = Checksum(), 0
        async for run in self._layer_reader.runs(layer):
            stored += checksum(run)
            for start in range(0, len(run), BATCH_ROWS):
                gain += await self._gain(run[start : start + BATCH_ROWS], below)
            self._read(len(run))
        return stored, gain

    async def _gain(self, documents: Sequence[bytes], below: Sequence[str]) -> int:
        try:
            prices = sum(not is_removal(document) for document in documents)
            skus = [sku_of(document) for document in documents]
        except (UnicodeDecodeError, IndexError):
            return 0  # what is no price: the checksum will be wrong
        return prices - len(await self._layer_reader.find_raw(below, skus)) if below else prices
