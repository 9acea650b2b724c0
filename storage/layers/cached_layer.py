"""A layer in the block cache: its directory, its blocks, and the prices of those that are decoded."""

from sys import getrefcount, getsizeof
from typing import Any

from storage.layers.block import BlockContent
from storage.layers.directory import Directory
from storage.prices.price import Price

FRAME_ENTRY_BYTES = 33 + 72 + 8
"""Memory of a compressed block besides its frame: the headers of two objects, and its turn."""

BLOCK_ENTRY_BYTES = 8
"""The place of a block in the list of its layer."""

WEIGHED_EVERY = 16
"""One in 16 prices of a decoded block is weighed, and stands for all."""

DECODED_ENTRY_BYTES = 56 + 56 + 56 + 8
"""Memory of a decoded block besides its prices: its object, the headers of its two lists, and its turn."""

SHARED_INTEGER = 256
"""CPython has one object for each integer up to this, and for True and False."""

NAME_REFERENCES = 3
"""References to an attribute name besides those of the attributes: of the decoder's cache, and while it is counted."""


class DecodedBlock:
    """The skus of a block in their order, and their prices, None for a tombstone."""

    __slots__ = ("bytes", "prices", "skus", "used")

    def __init__(self, content: BlockContent) -> None:
        self.skus = content.skus
        self.prices = content.prices()
        self.bytes = 0
        """The memory that it takes, once it is weighed."""
        self.used = True
        """Whether it was read since the hand of the clock last passed it."""

    def weigh(self) -> int:
        """Estimate the memory that it takes."""
        self.bytes = _memory_of(self.skus, self.prices)
        return self.bytes


class CachedBlock:
    """A block that is kept compressed, decoded, or both. Layers with an equal block share it."""

    __slots__ = ("decoded", "first", "frame", "layers", "used")

    def __init__(self, first: str, layers: tuple["CachedLayer", ...]) -> None:
        self.first = first
        self.layers = layers
        self.frame: bytes | None = None
        self.decoded: DecodedBlock | None = None
        self.used = True
        """Whether the frame was read since the hand of the clock last passed it."""

    @property
    def frame_bytes(self) -> int:
        """The memory that the frame takes."""
        return len(self.frame or b"") + FRAME_ENTRY_BYTES


class CachedLayer:
    """The directory of a layer, and those of its blocks that are in memory."""

    __slots__ = (
        "blocks",
        "directory",
        "directory_bytes",
        "has_tombstones",
        "id",
        "prices",
        "prices_bytes",
        "sole_owner",
        "undecoded",
        "used",
    )

    def __init__(self, layer_id: str, directory: Directory) -> None:
        self.id = layer_id
        self.directory = directory
        self.directory_bytes = directory.memory_bytes + BLOCK_ENTRY_BYTES * len(directory)
        self.has_tombstones = any(directory.tombstones)
        self.sole_owner: tuple[CachedLayer, ...] = (self,)
        """The owners of a block that no other layer shares."""
        self.used = True
        """Whether prices were read since a layer was last dropped for its directory's size."""
        self.clear()

    def clear(self) -> None:
        """Forget all blocks."""
        self.blocks: list[CachedBlock | None] = [None] * len(self.directory)
        self.undecoded = len(self.directory)
        """Number of blocks that are not decoded."""
        self.prices: dict[str, Price | None] = {}
        """The prices of all decoded blocks, None for a tombstone."""
        self.prices_bytes = 0

    def frame(self, index: int) -> bytes | None:
        """Return a block, compressed, and note that it was read; None if it is not kept so."""
        block = self.blocks[index]
        if block is None or block.frame is None:
            return None
        block.used = True
        return block.frame

    def decoded(self, index: int) -> DecodedBlock | None:
        """Return a decoded block, and note that it was read; None if it is not kept so."""
        block = self.blocks[index]
        if block is None or block.decoded is None:
            return None
        block.decoded.used = True
        return block.decoded

    def has(self, index: int) -> bool:
        """Whether a block is in memory."""
        return self.blocks[index] is not None

    def is_decoded(self, index: int) -> bool:
        """Whether a block is in memory, decoded."""
        block = self.blocks[index]
        return block is not None and block.decoded is not None

    def add_prices(self, decoded: DecodedBlock) -> int:
        """Add the prices of a block, and return the bytes that they take besides those of the block."""
        self.prices.update(zip(decoded.skus, decoded.prices, strict=True))
        self.undecoded -= 1
        return self._grown()

    def remove_prices(self, decoded: DecodedBlock) -> int:
        """Remove the prices of a block, and return the change of bytes."""
        self.undecoded += 1
        if self.undecoded == len(self.blocks):
            self.prices = {}
        else:
            for sku in decoded.skus:
                del self.prices[sku]
        return self._grown()

    def _grown(self) -> int:
        before, self.prices_bytes = self.prices_bytes, getsizeof(self.prices) if self.prices else 0
        return self.prices_bytes - before


def _memory_of(skus: list[str], prices: list[Price | None]) -> int:
    """Return the memory of decoded prices, estimated from a sample of them."""
    sample = range(0, len(skus), WEIGHED_EVERY)
    weight = sum(getsizeof(skus[index]) + _price_bytes(prices[index]) for index in sample)
    return DECODED_ENTRY_BYTES + 2 * 8 * len(skus) + weight * len(skus) // len(sample)


def _price_bytes(price: Price | None) -> int:
    """Return the memory of a price. Its currency is shared by all prices."""
    if price is None:
        return 0
    size = getsizeof(price) + getsizeof(price.amount) + _nested_bytes(price.attributes)
    if price.tiers:
        size += getsizeof(price.tiers)
    for tier in price.tiers:
        size += getsizeof(tier) + getsizeof(tier.amount) + _nested_bytes(tier.min_quantity)
    return size + sum(getsizeof(day) for day in (price.valid_from, price.valid_until) if day is not None)


def _nested_bytes(value: Any) -> int:
    """Return the memory of a JSON value. Names of attributes, which the decoder shares, are split among their users."""
    if isinstance(value, dict):
        names = sum(getsizeof(name) // max(1, getrefcount(name) - NAME_REFERENCES) for name in value)
        return getsizeof(value) + names + sum(map(_nested_bytes, value.values()))
    if isinstance(value, list):
        return getsizeof(value) + sum(map(_nested_bytes, value))
    return 0 if value is None or (isinstance(value, int) and value <= SHARED_INTEGER) else getsizeof(value)
