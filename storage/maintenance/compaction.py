"""Compaction: the layers of a version are folded into fewer layers with the same prices.

Layers are folded as in a log-structured merge tree: the newest layers, extended by each older layer that is not
much larger than all newer layers together. The number of times that a price is copied therefore grows with the
logarithm of the list's size (O'Neil et al., "The log-structured merge-tree", Acta Informatica 1996), and a small merge
into a large list never copies the list.

Merges may be published meanwhile: the folded layer replaces those it was made of wherever they are in the version that
is current by then. While a large base is rewritten, the layers that arrive above it are folded, too. The layer is
locked before it is created, and garbage collection leaves it alone as long as its lock is held. The lock is confirmed
in the transaction in which a manifest first names the layer.

`storage.maintenance.compaction_schedule` decides when a list is compacted.
"""

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import NamedTuple

from bson.objectid import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository, current_snapshot
from storage.errors import Corrupt, LeaseLost, PriceListNotFound
from storage.layers.block_cache import BlockCache
from storage.layers.fetcher import BlockFetcher
from storage.layers.proof import LayerProver
from storage.layers.reader import LayerReader
from storage.layers.writer import LayerWriter
from storage.maintenance.folding import LayerFold
from storage.mongodb.connection import Client
from storage.mongodb.locks import Locks
from storage.mongodb.transaction import in_transaction

log = logging.getLogger("pricebook.compaction")

MAX_LAYERS = 4
"""Number of layers above which a version is compacted."""

MAX_GROWTH = 4
"""An older layer is folded if it has at most this many times the rows of all newer layers together."""

MAX_FOLDED_LAYERS = 64
"""Number of layers to fold at once, each of which takes some memory."""

LEAVE_OUT_SECONDS = 3600.0
"""How long a layer that cannot be folded is left out, with those below it: someone may repair it meanwhile."""

FOLD_BYTES = 64 << 20
"""Bytes of compressed blocks that a fold keeps in memory."""

LAYER_LOCKS = "layer/"
"""Prefix of the names of the locks of layers; their ids follow."""


class Fold(NamedTuple):
    """Consecutive layers of a version that are to be one, newest first. `whole`: there is no older layer below them."""

    snapshot: Snapshot
    layers: Sequence[Layer]
    whole: bool

    @property
    def rows(self) -> int:
        """Number of rows of all the layers."""
        return sum(layer.count for layer in self.layers)


class Compactor:
    """Folds layers of current versions; several folds at once, also of one list, if they share no layer."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        layer_writer: LayerWriter,
        fetcher: BlockFetcher,
        prover: LayerProver,
        locks: Locks,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._layer_writer = layer_writer
        self._fetcher = fetcher
        self._prover = prover
        self._locks = locks
        self._in_folds: set[str] = set()
        self._left_out: dict[str, float] = {}

    async def next_fold(self, name: str) -> Fold | None:
        """Return the fold that a list needs now, of the layers above those that are being folded or are left out.

        Returns None unless there are more than `MAX_LAYERS` of them.
        """
        snapshot = await self._current(name)
        layers = snapshot.layers if snapshot else ()
        now = asyncio.get_running_loop().time()
        self._left_out = {layer: until for layer, until in self._left_out.items() if now < until}
        barriers = self._in_folds | self._left_out.keys()
        above = next((index for index, layer in enumerate(layers) if layer.id in barriers), len(layers))
        return newest_fold(snapshot, above) if snapshot and above > MAX_LAYERS else None

    def leave_out(self, layer: Layer) -> None:
        """Fold only layers above this one for a while, because a fold that it was the oldest of is damaged.

        If another of its layers is the damaged one, the next fold fails too, and leaves out the next newer layer.
        """
        self._left_out[layer.id] = asyncio.get_running_loop().time() + LEAVE_OUT_SECONDS

    async def fold(self, fold: Fold) -> None:
        """Fold layers of a version, and let the current version name the result in their place.

        Raises `Corrupt`, `LayerGone`, `UnknownFormat`, `Unavailable`, and `LeaseLost` if the process was stopped
        until the folded layer may have been collected.
        """
        in_fold = {layer.id for layer in fold.layers}
        self._in_folds |= in_fold
        try:
            await self._fold_into(fold, str(ObjectId()))
        finally:
            self._in_folds -= in_fold

    async def _fold_into(self, fold: Fold, target: str) -> None:
        name, version = fold.snapshot.price_list, fold.snapshot.version
        async with self._locks.held(f"{LAYER_LOCKS}{target}") as token:
            if token is None:
                raise AssertionError(f"Layer {target} is new, and yet locked.")
            try:
                folded = await self._write(fold, target)
            except (Exception, asyncio.CancelledError):
                with suppress(PyMongoError):
                    await self._layer_writer.drop(target)
                raise
            # If this fails, a manifest may name the layer: it is left to garbage collection.
            swapped = await self._swap(fold, folded, token)
        if swapped:
            log.info("Version %s of %s: folded %d layers, %d rows.", version, name, len(fold.layers), folded.count)
        else:
            await self._layer_writer.drop(target)
            log.info("Version %s of %s was compacted or replaced meanwhile.", version, name)

    async def _write(self, fold: Fold, target: str) -> Layer:
        """Write the rows of some layers into a new one, frozen and proved."""
        cache = BlockCache(sys.maxsize)
        reader = LayerReader(self._fetcher, cache)
        merged = LayerFold(reader, await reader.layers(fold.layers), whole=fold.whole)
        cache.budget = FOLD_BYTES + cache.directory_bytes
        async with aclosing(merged.blocks()) as blocks:
            folded = await self._layer_writer.write(target, blocks)
        expected = fold.snapshot.size if fold.whole else merged.distinct_skus
        if folded.count != expected:
            raise Corrupt(
                f"Folding {len(fold.layers)} layers gave {folded.count} rows instead of {expected}; it is undone."
            )
        await self._layer_writer.freeze(target)
        await self._prover.prove(folded)
        return folded

    async def _swap(self, fold: Fold, folded: Layer, token: int) -> bool:
        """Let the current version name the folded layer in place of its sources. Returns False if it has them no more.

        A merge that is published meanwhile takes its layers from the manifest as it was. The transaction therefore
        writes to the pointer, as a merge does: one of the two is repeated.
        """
        name = fold.snapshot.price_list

        async def act(session: AsyncClientSession) -> bool:
            if not await self._locks.confirm(f"{LAYER_LOCKS}{folded.id}", token, session):
                raise LeaseLost(f"The lock of layer {folded.id} expired, so it may have been collected.")
            snapshot = await self._current(name, session)
            layers = replaced(snapshot.layers, fold, folded) if snapshot else None
            if snapshot is None or layers is None:
                return False
            await self._snapshots.replace_layers(snapshot, layers, session)
            await self._price_lists.note_compaction(name, session)
            return True

        return await in_transaction(self._client, act)

    async def _current(self, name: str, session: AsyncClientSession | None = None) -> Snapshot | None:
        """Return the manifest of the current version of a list; None without one, or if the list was deleted."""
        try:
            return await current_snapshot(self._price_lists, self._snapshots, name, session)
        except PriceListNotFound:
            return None


def newest_fold(snapshot: Snapshot, above: int) -> Fold:
    """Return the fold of the newest layers of a version, at least two and only of the first `above`."""
    layers, end = snapshot.layers, 2
    newer = layers[0].count + layers[1].count
    while end < min(above, MAX_FOLDED_LAYERS) and layers[end].count <= MAX_GROWTH * newer:
        newer += layers[end].count
        end += 1
    return Fold(snapshot, layers[:end], whole=end == len(layers))


def replaced(layers: Sequence[Layer], fold: Fold, folded: Layer) -> list[Layer] | None:
    """Return layers with the folded one in place of its sources; None if they are not there as they were folded."""
    length = len(fold.layers)
    for start in range(len(layers) - length + 1):
        end = start + length
        if layers[start:end] == fold.layers and (end == len(layers) or not fold.whole):
            return [*layers[:start], folded, *layers[end:]]
    return None
