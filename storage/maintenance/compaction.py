"""Compaction: the layers of a version are folded into fewer layers with the same prices.

Layers are folded as in a log-structured merge tree: the run of newest layers, extended by each older layer that is not
much larger than all newer layers together. The number of times that a price is copied therefore grows with the
logarithm of the list's size (O'Neil et al., "The log-structured merge-tree", Acta Informatica 1996), and a small merge
into a large list never copies the list.
"""

import logging
from collections.abc import Sequence

from bson.objectid import ObjectId

from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository
from storage.errors import Corrupt
from storage.layers.reader import LayerReader
from storage.layers.writer import LayerWriter
from storage.mongodb.locks import Locks
from storage.prices.price import is_tombstone

Checksum = object
log = logging.getLogger("pricebook.compaction")

MAX_LAYERS = 8
"""Number of layers above which a version is compacted."""

MAX_GROWTH = 3
"""An older layer is folded if it has at most this many times the documents of all newer layers together."""


class Compactor:
    """Compacts current versions, one at a time, under a lock for each list."""

    def __init__(
        self,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        layer_writer: LayerWriter,
        layer_reader: LayerReader,
        locks: Locks,
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._layer_writer = layer_writer
        self._layer_reader = layer_reader
        self._locks = locks

    async def run(self) -> None:
        """Compact every list whose current version has more than `MAX_LAYERS` layers."""
        for price_list in await self._price_lists.by_name():
            if price_list.current_version is None:
                continue
            snapshot = await self._snapshots.get(price_list.name, price_list.current_version)
            if snapshot and len(snapshot.layers) > MAX_LAYERS:
                async with self._locks.held(f"compact/{price_list.name}") as held:
                    if held:
                        await self.compact(snapshot)

    async def compact(self, snapshot: Snapshot) -> Snapshot:
        """Fold the newest layers of a version into one, and return the current manifest."""
        run = run_to_fold(snapshot.layers)
        whole = len(run) == len(snapshot.layers)
        folded = await self._fold(run, whole=whole)
        after = (folded, *snapshot.layers[len(run) :])
        if not await self._snapshots.replace_layers(snapshot, after):
            await self._layer_writer.drop(folded.id)
            log.info("Version %s of %s was compacted by another process.", snapshot.version, snapshot.price_list)
            return snapshot
        log.info("Version %s of %s: folded %d layers.", snapshot.version, snapshot.price_list, len(run))
        compacted = await self._snapshots.get(snapshot.price_list, snapshot.version)
        return compacted or snapshot

    async def _fold(self, run: Sequence[Layer], *, whole: bool) -> Layer:
        """Fold a run of layers into one. The tombstones are dropped if `whole`, for there is no older layer."""
        target = str(ObjectId())
        await self._layer_writer.create(target)
        await self._layer_writer.fold([layer.id for layer in reversed(run)], target, drop_tombstones=whole)
        await self._layer_writer.freeze(target)
        folded, expected = await self._checksum_of(target), await self._expected_checksum(run, whole=whole)
        if folded != expected:
            await self._layer_writer.drop(target)
            raise Corrupt(
                f"Folding {len(run)} layers gave {folded.count} documents instead of {expected.count}; it is undone."
            )
        return Layer(target, folded.count, folded.hex)

    async def _checksum_of(self, layer: str) -> Checksum:
        total = Checksum()
        async for documents in self._layer_reader.runs(layer):
            total += checksum(documents)
        return total

    async def _expected_checksum(self, run: Sequence[Layer], *, whole: bool) -> Checksum:
        """Return the checksum of a run of layers, read independently of the folding."""
        total = Checksum()
        async for documents in self._layer_reader.merged([layer.id for layer in run]):
            total += checksum(document for document in documents if not (whole and is_tombstone(document)))
        return total


def run_to_fold(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Return the newest layers to fold into one: at least two."""
    newer = layers[0].count + layers[1].count
    end = 2
    while end < len(layers) and layers[end].count <= MAX_GROWTH * newer:
        newer += layers[end].count
        end += 1
    return layers[:end]
