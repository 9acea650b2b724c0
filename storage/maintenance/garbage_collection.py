"""Leavings: what batches, compaction and retention left behind is collected. Idempotent, and safe in parallel."""

import logging

from pymongo.errors import PyMongoError

from storage.batches.lifecycle import BatchLifecycle
from storage.batches.metrics import StorageMetrics
from storage.batches.parts import PartRepository
from storage.batches.repository import Batch, BatchRepository, Refusal
from storage.batches.states import DISCARDED_STATES
from storage.catalog.snapshots import SnapshotRepository
from storage.errors import Broken, Refused
from storage.layers.writer import Layers
from storage.maintenance.orphans import Orphans

log = logging.getLogger("pricebook.garbage_collector")

# An open batch that nobody touches for so long is aborted.
IDLE_SECONDS = 3600.0

# A layer that no manifest names is kept for so long: a compaction may still be writing it, and readers go by manifests
# that they read a minute ago, and may take their time over it.
ORPHAN_SECONDS = 3600.0

# One run drops at most so many layers.
MAX_DROPS_PER_RUN = 200

# An idempotency key can be used again so long after its batch finished.
KEY_DAYS = 30


class GarbageCollector:
    """Collects what nobody needs any more."""

    def __init__(
        self,
        batches: BatchRepository,
        parts: PartRepository,
        layers: Layers,
        snapshots: SnapshotRepository,
        orphans: Orphans,
        lifecycle: BatchLifecycle,
        metrics: StorageMetrics,
        orphan_seconds: float = ORPHAN_SECONDS,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._layers = layers
        self._snapshots = snapshots
        self._orphans = orphans
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._orphan_seconds = orphan_seconds

    async def collect(self) -> None:
        """Abort what was abandoned, drop layers that nobody needs, and let old keys go."""
        await self._abort_idle()
        await self._drop_layers()
        await self._batches.forget_keys(KEY_DAYS)

    async def _abort_idle(self) -> None:
        for idle in await self._batches.idle(IDLE_SECONDS):
            try:
                await self._abort(idle)
            except (Broken, Refused, PyMongoError) as error:  # one batch keeps nothing else from being collected
                log.warning("Idle batch %s is not aborted yet: %s: %s", idle.id, type(error).__name__, error)

    async def _abort(self, idle: Batch) -> None:
        leased = await self._batches.lease(idle.id, idle=IDLE_SECONDS)
        if leased:
            refusal = Refusal("IDLE", f"Nobody touched the batch for {IDLE_SECONDS / 60:.0f} minutes.")
            await self._lifecycle.abort(leased, refusal, by="pricebook")
            log.info("Batch %s was idle and is aborted.", idle.id)

    async def _drop_layers(self) -> None:
        """Drop layers that no manifest names: at once where none ever did, else when nobody can be reading them."""
        layers = await self._layers.all()
        named = await self._snapshots.named_layers()  # asked last: what became a version since then is named now
        unnamed = [layer for layer in layers if layer not in named]
        barren, orphans = list[str](), list[str]()
        for layer, batch in zip(unnamed, await self._batches.get_many(unnamed), strict=True):
            if batch is None or batch.version is not None:
                orphans.append(layer)
            elif batch.state in DISCARDED_STATES:
                barren.append(layer)
        await self._orphans.note(orphans)
        for layer in [*barren, *await self._orphans.older_than(self._orphan_seconds, MAX_DROPS_PER_RUN)][
            :MAX_DROPS_PER_RUN
        ]:
            await self._layers.drop(layer)
            await self._parts.drop(layer)
            self._metrics.layers_dropped += 1
            log.info("Layer %s is dropped: no version names it.", layer)
