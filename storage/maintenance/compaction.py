"""Compaction: the layers of a version are folded into fewer layers with the same prices.

Layers are folded as in a log-structured merge tree: the newest layers, extended by each older layer that is not
much larger than all newer layers together. The number of times that a price is copied therefore grows with the
logarithm of the list's size (O'Neil et al., "The log-structured merge-tree", Acta Informatica 1996), and a small merge
into a large list never copies the list.

Merges may be published meanwhile: the folded layer replaces those it was made of wherever they are in the version that
is current by then. The layer is locked before it is created, and garbage collection leaves it alone as long as its lock
is held. The lock is confirmed in the transaction in which a manifest first names the layer.
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
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository
from storage.errors import Corrupt, LeaseLost, PricebookError
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

MAX_LAYERS = 8
"""Number of layers above which a version is compacted."""

MAX_GROWTH = 4
"""An older layer is folded if it has at most this many times the rows of all newer layers together."""

MAX_FOLDED_LAYERS = 64
"""Number of layers to fold at once, each of which takes some memory."""

MAX_SWAPS = 20
"""How often the manifest is read again because merges are published at the same time."""

FOLD_BYTES = 64 << 20
"""Bytes of compressed blocks that a fold keeps in memory."""

RETRY_SECONDS = 300.0
"""How long a list is left alone after its compaction has failed."""

LAYER_LOCKS = "layer/"
"""Prefix of the names of the locks of layers; their ids follow."""


class FoldInput(NamedTuple):
    """The layers to fold, newest first. `whole`: there is no older layer below them."""

    layers: Sequence[Layer]
    whole: bool


class Compactor:
    """Compacts current versions, one at a time, under a lock for each list."""

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
        self._failed: dict[str, float] = {}

    async def run(self) -> None:
        """Compact every list whose current version has more than `MAX_LAYERS` layers."""
        now = asyncio.get_running_loop().time()
        self._failed = {name: at for name, at in self._failed.items() if now < at + RETRY_SECONDS}
        current = await self._price_lists.current_versions()
        for name, _ in await self._snapshots.with_more_layers(MAX_LAYERS, current):
            if name in self._failed:
                continue
            try:
                await self._compact_list(name)
            except Exception as error:  # continue with the other lists
                self._failed[name] = now
                expected = isinstance(error, PricebookError | PyMongoError)
                log.warning("Could not compact %s: %s: %s", name, type(error).__name__, error, exc_info=not expected)

    async def _compact_list(self, name: str) -> None:
        async with self._locks.held(f"compact/{name}") as held:
            snapshot = await self._current(name) if held else None
            if snapshot and len(snapshot.layers) > MAX_LAYERS:
                await self.compact(snapshot)

    async def compact(self, snapshot: Snapshot) -> Snapshot:
        """Fold the newest layers of the current version into one, and return the manifest that is current then.

        Raises `Corrupt`, `LayerGone`, `UnknownFormat`, `Unavailable`, and `LeaseLost` if the process was stopped
        until the folded layer may have been collected.
        """
        source = layers_to_fold(snapshot.layers)
        target = str(ObjectId())
        async with self._locks.held(f"{LAYER_LOCKS}{target}") as token:
            if token is None:
                raise AssertionError(f"Layer {target} is new, and yet locked.")
            try:
                folded = await self._fold(target, source, snapshot.size)
            except Exception:
                with suppress(PyMongoError):
                    await self._layer_writer.drop(target)
                raise
            # If this fails, a manifest may name the layer: it is left to garbage collection.
            swapped = await self._swap(snapshot.price_list, source, folded, token)
        if swapped:
            log.info("Version %s of %s: folded %d layers.", snapshot.version, snapshot.price_list, len(source.layers))
        else:
            await self._layer_writer.drop(target)
            log.info("Version %s of %s was compacted or replaced meanwhile.", snapshot.version, snapshot.price_list)
        return await self._current(snapshot.price_list) or snapshot

    async def _fold(self, target: str, source: FoldInput, size: int) -> Layer:
        """Fold layers into a new one, frozen and proved. `size` is that of the version."""
        cache = BlockCache(sys.maxsize)
        reader = LayerReader(self._fetcher, cache)
        fold = LayerFold(reader, await reader.layers(source.layers), whole=source.whole)
        cache.budget = FOLD_BYTES + cache.directory_bytes
        async with aclosing(fold.blocks()) as blocks:
            folded = await self._layer_writer.write(target, blocks)
        expected = size if source.whole else fold.distinct_skus
        if folded.count != expected:
            raise Corrupt(
                f"Folding {len(source.layers)} layers gave {folded.count} rows instead of {expected}; it is undone."
            )
        await self._layer_writer.freeze(target)
        await self._prover.prove(folded)
        return folded

    async def _swap(self, name: str, source: FoldInput, folded: Layer, token: int) -> bool:
        """Let the current version name the folded layer in place of `source`; return whether a version does."""
        swapped = False
        for _ in range(MAX_SWAPS):
            snapshot = await self._current(name)
            layers = replaced(snapshot.layers, source, folded) if snapshot else None
            if snapshot is None or layers is None:
                break
            swapped |= await self._replace_layers(snapshot, layers, folded, token)
        return swapped

    async def _replace_layers(self, snapshot: Snapshot, layers: Sequence[Layer], folded: Layer, token: int) -> bool:
        async def act(session: AsyncClientSession) -> bool:
            if not await self._locks.confirm(f"{LAYER_LOCKS}{folded.id}", token, session):
                raise LeaseLost(f"The lock of layer {folded.id} expired, so it may have been collected.")
            return await self._snapshots.replace_layers(snapshot, layers, session)

        return await in_transaction(self._client, act)

    async def _current(self, name: str) -> Snapshot | None:
        price_list = await self._price_lists.get(name)
        if price_list.current_version is None:
            return None
        return await self._snapshots.get(name, price_list.current_version)


def layers_to_fold(layers: Sequence[Layer]) -> FoldInput:
    """Return the newest layers to fold into one: at least two."""
    newer = layers[0].count + layers[1].count
    end = 2
    while end < min(len(layers), MAX_FOLDED_LAYERS) and layers[end].count <= MAX_GROWTH * newer:
        newer += layers[end].count
        end += 1
    return FoldInput(layers[:end], whole=end == len(layers))


def replaced(layers: Sequence[Layer], source: FoldInput, folded: Layer) -> list[Layer] | None:
    """Return layers with the folded one in place of `source`; None if that is not in them as it was folded."""
    length = len(source.layers)
    for start in range(len(layers) - length + 1):
        end = start + length
        if layers[start:end] == source.layers and (end == len(layers) or not source.whole):
            return [*layers[:start], folded, *layers[end:]]
    return None
