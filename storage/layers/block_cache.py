"""The block cache of a process: the blocks that its requests read, shared by all versions that name their layer.

A layer is immutable, so nothing in the cache ever becomes stale, and a new version finds in it whatever it shares with
the version before. Blocks are kept as they are stored, compressed; of the budget, a quarter is for blocks that were
decoded lately. Both are evicted by the clock algorithm (Corbató, "A paging experiment with the Multics system", 1968):
a block that was read since the hand last passed it gets another round.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from sys import getsizeof
from typing import Any

from storage.layers.block import BlockContent, reopen_block
from storage.layers.directory import Directory
from storage.prices.price import Price

DEFAULT_CACHE_BYTES = 256 << 20
"""Default budget of the block cache."""

DECODED_SHARE = 4
"""A quarter of the budget is for decoded blocks."""

MIN_DIRECTORY_BYTES = 32 << 20
"""Directories are kept up to this size even if the budget is smaller: without one, no block can be found."""

ADMIT_ONE_IN = 8
"""While the share of the decoded blocks is full, one in eight of the blocks that are read is decoded as a whole; of the
others only the row that is read. So blocks that are read often soon are decoded, and reads all over a large list do not
pay for decoding what nobody reads."""

FRAME_ENTRY_BYTES = 33 + 16 + 1 + 64
"""What a compressed block takes besides its bytes: the object, its place in two lists, its mark, and its turn."""

WEIGHED_EVERY = 16
"""One in so many prices of a decoded block is weighed, and stands for all."""

_Turn = tuple["CachedLayer", int]


class DecodedBlock:
    """The prices of a block by sku, None for a tombstone, in sku order."""

    __slots__ = ("bytes", "prices", "used")

    def __init__(self, content: BlockContent) -> None:
        self.prices: dict[str, Price | None] = dict(zip(content.skus, content.prices(), strict=True))
        self.bytes = _memory_of(self.prices)
        self.used = True


class CachedLayer:
    """The directory of a layer, and its blocks by their index: compressed and decoded, None where they are not kept."""

    __slots__ = ("decoded", "directory", "directory_bytes", "frames", "id", "used")

    def __init__(self, layer_id: str, directory: Directory) -> None:
        self.id = layer_id
        self.directory = directory
        self.directory_bytes = directory.memory_bytes + 17 * len(directory)
        self.frames: list[bytes | None] = [None] * len(directory)
        self.decoded: list[DecodedBlock | None] = [None] * len(directory)
        self.used = bytearray(len(directory))


class BlockCache:
    """The cached layers of a process. With a budget of 0 it keeps only directories.

    `hits` and `misses` count blocks that were read, `evictions` those that were dropped to make room.
    """

    def __init__(self, budget: int = DEFAULT_CACHE_BYTES) -> None:
        self.budget = budget
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.frame_bytes = 0
        self.decoded_bytes = 0
        self.directory_bytes = 0
        self._layers: OrderedDict[str, CachedLayer] = OrderedDict()
        self._frame_turns: deque[_Turn] = deque()
        self._decoded_turns: deque[_Turn] = deque()
        self._declined = 0

    @property
    def total_bytes(self) -> int:
        """The memory that the cache takes."""
        return self.frame_bytes + self.decoded_bytes + self.directory_bytes

    def layer(self, layer_id: str) -> CachedLayer | None:
        """Return a layer whose directory is cached, or None."""
        found = self._layers.get(layer_id)
        if found is not None:
            self._layers.move_to_end(layer_id)
        return found

    def add_layer(self, layer_id: str, directory: Directory) -> CachedLayer:
        """Keep the directory of a layer, and return the layer."""
        known = self.layer(layer_id)
        if known is not None:
            return known
        added = self._layers[layer_id] = CachedLayer(layer_id, directory)
        self.directory_bytes += added.directory_bytes
        limit = max(self.budget // DECODED_SHARE, MIN_DIRECTORY_BYTES)
        while self.directory_bytes > limit and len(self._layers) > 1:
            self.drop(next(iter(self._layers)))
        return added

    def drop(self, layer_id: str) -> None:
        """Drop a layer with all its blocks."""
        layer = self._layers.pop(layer_id, None)
        if layer is None:
            return
        self.directory_bytes -= layer.directory_bytes
        self.frame_bytes -= sum(_frame_memory(frame) for frame in layer.frames if frame is not None)
        self.decoded_bytes -= sum(block.bytes for block in layer.decoded if block is not None)
        layer.frames, layer.decoded = [None] * len(layer.frames), [None] * len(layer.decoded)

    def keep_only(self, layer_ids: Iterable[str]) -> None:
        """Drop all other layers."""
        for layer_id in self._layers.keys() - set(layer_ids):
            self.drop(layer_id)

    def add(self, layer: CachedLayer, index: int, frame: bytes) -> None:
        """Keep a block, compressed."""
        if layer.frames[index] is not None or not self._is_kept(layer):
            return
        limit = self.budget - self.decoded_bytes - self.directory_bytes
        size = _frame_memory(frame)
        if not self._evict_frames(limit - size):
            return
        layer.frames[index] = frame
        layer.used[index] = 1
        self.frame_bytes += size
        self._frame_turns.append((layer, index))

    def admit(self, layer: CachedLayer, index: int) -> DecodedBlock | None:
        """Decode a block that is kept compressed, and keep it decoded if it is worth that; None if not."""
        limit = self.budget // DECODED_SHARE
        if self.decoded_bytes >= limit:
            self._declined += 1
            if self._declined % ADMIT_ONE_IN:
                return None
        frame = layer.frames[index]
        return None if frame is None else self.add_decoded(layer, index, DecodedBlock(reopen_block(frame)))

    def add_decoded(self, layer: CachedLayer, index: int, block: DecodedBlock) -> DecodedBlock:
        """Keep a decoded block if there is room for it, and return it."""
        is_missing = layer.decoded[index] is None and self._is_kept(layer)
        if is_missing and self._evict_decoded(self.budget // DECODED_SHARE - block.bytes):
            layer.decoded[index] = block
            self.decoded_bytes += block.bytes
            self._decoded_turns.append((layer, index))
            self._evict_frames(self.budget - self.decoded_bytes - self.directory_bytes)
        return block

    def _is_kept(self, layer: CachedLayer) -> bool:
        return self._layers.get(layer.id) is layer

    def _evict_frames(self, limit: int) -> bool:
        """Evict until at most `limit` bytes are compressed blocks. Returns False if that is impossible."""
        if limit < 0:
            return False
        while self.frame_bytes > limit:
            layer, index = self._frame_turns.popleft()
            frame = layer.frames[index]
            if frame is None:
                continue
            if layer.used[index]:
                layer.used[index] = 0
                self._frame_turns.append((layer, index))
                continue
            layer.frames[index] = None
            self.frame_bytes -= _frame_memory(frame)
            self.evictions += 1
        return True

    def _evict_decoded(self, limit: int) -> bool:
        if limit < 0:
            return False
        while self.decoded_bytes > limit:
            layer, index = self._decoded_turns.popleft()
            block = layer.decoded[index]
            if block is None:
                continue
            if block.used:
                block.used = False
                self._decoded_turns.append((layer, index))
                continue
            layer.decoded[index] = None
            self.decoded_bytes -= block.bytes
            self.evictions += 1
        return True


def _frame_memory(frame: bytes) -> int:
    return len(frame) + FRAME_ENTRY_BYTES


def _memory_of(prices: dict[str, Price | None]) -> int:
    """Return the memory of decoded prices, estimated from a sample of them."""
    sample = list(prices.items())[::WEIGHED_EVERY]
    weight = sum(getsizeof(sku) + _price_bytes(price) for sku, price in sample)
    return getsizeof(prices) + weight * len(prices) // len(sample) + 64


def _price_bytes(price: Price | None) -> int:
    if price is None:
        return 0
    size = getsizeof(price) + getsizeof(price.amount) + getsizeof(price.currency)
    if price.attributes:
        size += _nested_bytes(price.attributes)
    for tier in price.tiers:
        size += getsizeof(tier) + getsizeof(tier.amount) + getsizeof(tier.min_quantity) + 8
    return size + sum(getsizeof(day) for day in (price.valid_from, price.valid_until) if day is not None)


def _nested_bytes(value: Any) -> int:
    # Attribute names are counted for each price although msgspec shares short ones: lists in which every price has
    # other names must not exceed the budget.
    size = getsizeof(value)
    if isinstance(value, dict):
        return size + sum(_nested_bytes(child) for pair in value.items() for child in pair)
    if isinstance(value, list):
        return size + sum(map(_nested_bytes, value))
    return size
