"""The block cache of a process: the blocks that its requests read, shared by all versions that name their layer.

A layer is immutable, so nothing in the cache ever becomes stale, and a new version finds in it whatever it shares with
the version before: its layers, and those blocks of new layers that are equal. Blocks are kept as they are stored,
compressed; of the budget, a quarter is for blocks that were decoded lately. Both are evicted by the clock algorithm
(Corbató, "A paging experiment with the Multics system", 1968): a block that was read since the hand last passed it gets
another round.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from storage.layers.block import reopen_block
from storage.layers.cached_layer import FRAME_ENTRY_BYTES, CachedBlock, CachedLayer, DecodedBlock
from storage.layers.directory import Directory

DEFAULT_CACHE_BYTES = 256 << 20
"""Default budget of the block cache."""

DECODED_SHARE = 4
"""A quarter of the budget is for decoded blocks."""

MIN_DIRECTORY_BYTES = 32 << 20
"""Directories are kept up to this size even if the budget is smaller: without one, no block can be found."""

DECODED_MARGIN = 16
"""The share of the decoded blocks counts as full from a sixteenth below its limit: the eviction of one block for
another leaves it just below the limit."""

ADMIT_ONE_IN = 32
"""While the share of the decoded blocks is full, one in 32 of the blocks that are read is decoded as a whole; of the
others only the row that is read. So blocks that are read often soon are decoded, and reads all over a large list do not
pay for decoding what is not read again."""


class BlockCache:
    """The cached layers of a process. With a budget of 0 it keeps only directories.

    `total_bytes` exceeds `budget` only by directories. `hits` and `misses` count the blocks and prices that were looked
    for, `evictions` the blocks that were dropped to make room.
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
        self._frames: deque[CachedBlock] = deque()
        """Blocks that are kept compressed, in the order in which the hand passes them. Dropped ones are skipped."""
        self._decoded: deque[CachedBlock] = deque()
        """The same for decoded blocks."""
        self._released = 0
        """Blocks of dropped layers in `_frames`, at most."""
        self._declined = 0

    @property
    def total_bytes(self) -> int:
        """The memory that the cache takes."""
        return self.frame_bytes + self.decoded_bytes + self.directory_bytes

    @property
    def room(self) -> int:
        """The part of the budget that directories leave for blocks."""
        return max(0, self.budget - self.directory_bytes)

    @property
    def decoded_limit(self) -> int:
        """Limit of the decoded blocks."""
        return min(self.budget // DECODED_SHARE, self.room)

    @property
    def frame_limit(self) -> int:
        """The room for compressed blocks while the share of the decoded ones is full."""
        return self.room - self.decoded_limit

    # -- Layers

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
            self._drop_one_but(added)
        self._evict_decoded(self.decoded_limit)
        self._evict_frames(self.room - self.decoded_bytes)
        return added

    def _drop_one_but(self, added: CachedLayer) -> None:
        """Drop the layer that was asked for least recently. Those that were read meanwhile get another round."""
        while True:
            layer_id, layer = next(iter(self._layers.items()))
            if not layer.used and layer is not added:
                self.drop(layer_id)
                return
            layer.used = False
            self._layers.move_to_end(layer_id)

    def drop(self, layer_id: str) -> None:
        """Drop a layer, with those of its blocks that no other layer shares."""
        layer = self._layers.pop(layer_id, None)
        if layer is None:
            return
        self.directory_bytes -= layer.directory_bytes
        owners: dict[tuple[CachedLayer, ...], tuple[CachedLayer, ...]] = {layer.sole_owner: ()}
        for block in layer.blocks:
            if block is not None:
                if block.layers not in owners:
                    owners[block.layers] = tuple(other for other in block.layers if other is not layer)
                block.layers = owners[block.layers]
                if not block.layers:
                    self._release(block)
        self.decoded_bytes -= layer.prices_bytes
        layer.clear()
        layer.sole_owner = ()
        self._forget_released()

    def _release(self, block: CachedBlock) -> None:
        self._released += 1
        if block.frame is not None:
            self.frame_bytes -= block.frame_bytes
            block.frame = None
        if block.decoded is not None:
            self.decoded_bytes -= block.decoded.bytes
            block.decoded = None

    def _forget_released(self) -> None:
        """Remove the blocks of dropped layers from the clocks, once they are a good part of them."""
        if self._released > len(self._frames) // 4:
            self._frames = deque(block for block in self._frames if block.frame is not None)
            self._decoded = deque(block for block in self._decoded if block.decoded is not None)
            self._released = 0

    def share(self, layer: CachedLayer, indexes: Iterable[int], other: CachedLayer) -> None:
        """Share the blocks of another layer that are equal, so that both keep them once."""
        if not (self._is_kept(layer) and self._is_kept(other)):
            return
        owners: dict[tuple[CachedLayer, ...], tuple[CachedLayer, ...]] = {}
        for index in indexes:
            there = other.directory.index(layer.directory.firsts[index])
            block = None if there < 0 else other.blocks[there]
            if block is None or layer.has(index) or other.directory.hash(there) != layer.directory.hash(index):
                continue
            layer.blocks[index] = block
            block.layers = owners.setdefault(block.layers, (*block.layers, layer))
            if block.decoded is not None:
                self.decoded_bytes += layer.add_prices(block.decoded)
        self._evict_decoded(self.decoded_limit)
        self._evict_frames(self.room - self.decoded_bytes)

    # -- Blocks

    def add(self, layer: CachedLayer, index: int, frame: bytes, *, idle_only: bool = False) -> bool:
        """Keep a block, compressed. Returns False if there is no room for it.

        With `idle_only`, no block that was read lately is evicted for it, and it counts as not yet read itself.
        """
        known = layer.blocks[index]
        if known is not None and known.frame is not None:
            return True
        size = len(frame) + FRAME_ENTRY_BYTES
        if not self._is_kept(layer) or not self._evict_frames(
            self.room - self.decoded_bytes - size, idle_only=idle_only
        ):
            return False
        block = self._block(layer, index)
        block.frame, block.used = frame, not idle_only
        self.frame_bytes += size
        self._frames.append(block)
        return True

    def admit(self, layer: CachedLayer, index: int) -> DecodedBlock | None:
        """Decode a block that is kept compressed, and keep it decoded if it is worth that; None if not."""
        block = layer.blocks[index]
        if block is None or block.frame is None or not self.admits_decoded():
            return None
        return self.add_decoded(layer, index, DecodedBlock(reopen_block(block.frame)))

    def admits_decoded(self) -> bool:
        """Whether to keep the next block decoded: always while there is room, else one in `ADMIT_ONE_IN`."""
        limit = self.decoded_limit
        if self.decoded_bytes < limit - limit // DECODED_MARGIN:
            return True
        self._declined += 1
        return not self._declined % ADMIT_ONE_IN

    def add_decoded(self, layer: CachedLayer, index: int, decoded: DecodedBlock) -> DecodedBlock:
        """Keep a decoded block if there is room for it, and return it."""
        limit = self.decoded_limit
        if not self._is_kept(layer) or layer.is_decoded(index) or decoded.weigh() > limit:
            return decoded
        self._evict_decoded(limit - decoded.bytes)
        block = self._block(layer, index)
        block.decoded = decoded
        self.decoded_bytes += decoded.bytes + sum(owner.add_prices(decoded) for owner in block.layers)
        self._decoded.append(block)
        self._evict_decoded(limit)  # the mapping of prices may have grown
        self._evict_frames(self.room - self.decoded_bytes)
        return decoded

    def _block(self, layer: CachedLayer, index: int) -> CachedBlock:
        block = layer.blocks[index]
        if block is None:
            block = layer.blocks[index] = CachedBlock(layer.directory.firsts[index], layer.sole_owner)
        return block

    def _is_kept(self, layer: CachedLayer) -> bool:
        return self._layers.get(layer.id) is layer

    # -- Eviction

    def _evict_frames(self, limit: int, *, idle_only: bool = False) -> bool:
        """Evict until at most `limit` bytes are compressed blocks. Returns False if that is impossible."""
        turns = len(self._frames)
        while self.frame_bytes > limit:
            if not self._frames or (idle_only and turns <= 0):
                return False
            turns -= 1
            block = self._frames.popleft()
            if block.frame is None:
                continue
            if block.used:
                block.used = idle_only
                self._frames.append(block)
                continue
            self.frame_bytes -= block.frame_bytes
            block.frame = None
            self._forget(block)
            self.evictions += 1
        return limit >= 0

    def _evict_decoded(self, limit: int) -> None:
        """Evict until at most `limit` bytes are decoded blocks."""
        while self.decoded_bytes > limit and self._decoded:
            block = self._decoded.popleft()
            decoded = block.decoded
            if decoded is None:
                continue
            if decoded.used:
                decoded.used = False
                self._decoded.append(block)
                continue
            block.decoded = None
            self.decoded_bytes -= decoded.bytes
            for layer in block.layers:
                self.decoded_bytes += layer.remove_prices(decoded)
            self._forget(block)
            self.evictions += 1

    def _forget(self, block: CachedBlock) -> None:
        """Remove a block from its layers if nothing is left of it."""
        if block.frame is None and block.decoded is None:
            for layer in block.layers:
                layer.blocks[layer.directory.index(block.first)] = None
            block.layers = ()
