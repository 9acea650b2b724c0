"""Leavings: what batches that came to nothing left behind, found and collected. Idempotent, and safe in parallel."""

import datetime
import logging

from bson.objectid import ObjectId

from storage.batches import Batches, Refusal
from storage.finish import BARREN
from storage.layers import Layers
from storage.parts import Parts
from storage.publish import Publisher
from storage.snapshots import Snapshots
from storage.states import BatchState

log = logging.getLogger("pricebook.leavings")

# An open batch that nobody touches for so long is aborted.
IDLE_SECONDS = 3600.0

# A layer that no batch wrote was left by a compaction that was broken off; none takes so long.
ORPHAN_SECONDS = 3600.0

# An idempotency key can be used again so long after its batch finished.
KEY_DAYS = 30


class Leavings:
    """Collects what nobody needs any more."""

    def __init__(
        self, batches: Batches, parts: Parts, layers: Layers, snapshots: Snapshots, publisher: Publisher
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._layers = layers
        self._snapshots = snapshots
        self._publisher = publisher

    async def collect(self) -> None:
        """Abort what was abandoned, drop layers of batches that came to nothing, and let old keys go."""
        await self._abort_idle()
        await self._drop_barren_layers()
        await self._batches.forget_keys(KEY_DAYS)

    async def _abort_idle(self) -> None:
        for idle in await self._batches.idle(IDLE_SECONDS):
            leased = await self._batches.lease(idle.id)
            if leased:
                await self._layers.freeze(idle.layer)
                refusal = Refusal("IDLE", f"Nobody touched the batch for {IDLE_SECONDS / 60:.0f} minutes.")
                await self._publisher.abandon(leased, BatchState.ABORTED, refusal, by="pricebook")
                log.info("Batch %s was idle and is aborted.", idle.id)

    async def _drop_barren_layers(self) -> None:
        """Drop layers whose batch came to nothing, unless a manifest names them after all."""
        layers = await self._layers.all()
        for layer, batch in zip(layers, await self._batches.get_many(layers), strict=True):
            barren = batch.state in BARREN if batch else _age(layer) > ORPHAN_SECONDS
            if barren and not await self._snapshots.names(layer):
                await self._layers.drop(layer)
                await self._parts.drop(layer)
                log.info("Layer %s is dropped: %s.", layer, batch.state if batch else "no batch wrote it")


def _age(layer: str) -> float:
    """Return how many seconds ago a layer was begun: its id tells."""
    return (datetime.datetime.now(datetime.UTC) - ObjectId(layer).generation_time).total_seconds()
