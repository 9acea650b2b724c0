"""Garbage collection: idle batches, unneeded layers and staged runs, and old idempotency keys.

It is idempotent, and safe in parallel.
"""

import logging

from pymongo.errors import PyMongoError

from storage.batches.lifecycle import BatchLifecycle
from storage.batches.metrics import StorageMetrics
from storage.batches.parts import PartRepository
from storage.batches.repository import Batch, BatchRepository, Refusal
from storage.batches.staging import StagingRepository
from storage.batches.states import DISCARDED_STATES, IN_PROGRESS, UNFINISHED
from storage.catalog.snapshots import SnapshotRepository
from storage.errors import Broken, Refused
from storage.layers.writer import LayerWriter
from storage.maintenance.compaction import LAYER_LOCKS
from storage.maintenance.orphans import OrphanRepository
from storage.mongodb.locks import Locks

log = logging.getLogger("pricebook.garbage_collection")

IDLE_SECONDS = 3600.0
"""Time without use after which an open batch is aborted."""

ORPHAN_SECONDS = 3600.0
"""How long a layer that no manifest names is kept: a reader with an older manifest may still read it."""

MAX_DROPS_PER_RUN = 200
"""Number of layers that one run drops at most."""

KEY_DAYS = 30
"""Days after the end of a batch until its idempotency key can be used again."""


class GarbageCollector:
    """Aborts idle batches, drops what batches and compactions left behind, and frees old idempotency keys."""

    def __init__(
        self,
        batches: BatchRepository,
        parts: PartRepository,
        staging: StagingRepository,
        layer_writer: LayerWriter,
        snapshots: SnapshotRepository,
        orphans: OrphanRepository,
        locks: Locks,
        lifecycle: BatchLifecycle,
        metrics: StorageMetrics,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._staging = staging
        self._layer_writer = layer_writer
        self._snapshots = snapshots
        self._orphans = orphans
        self._locks = locks
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._orphan_seconds = ORPHAN_SECONDS

    async def collect(self) -> None:
        """Abort idle batches, drop unreferenced layers and staged runs, and free old idempotency keys."""
        await self._abort_idle()
        await self._drop_layers()
        await self._drop_staging()
        await self._batches.forget_keys(KEY_DAYS)

    async def _abort_idle(self) -> None:
        for batch in await self._batches.idle(IDLE_SECONDS):
            try:
                await self._abort(batch)
            except (Broken, Refused, PyMongoError) as error:  # continue with the other batches
                log.warning("Could not abort idle batch %s yet: %s: %s", batch.id, type(error).__name__, error)

    async def _abort(self, batch: Batch) -> None:
        leased = await self._batches.lease(batch.id, idle=IDLE_SECONDS)
        if leased:
            refusal = Refusal("IDLE", f"The batch was idle for {IDLE_SECONDS / 60:.0f} minutes.")
            await self._lifecycle.abort(leased, refusal, by="pricebook")
            log.info("Aborted idle batch %s.", batch.id)

    async def _drop_layers(self) -> None:
        """Drop the layers that no manifest names: those of batches that never had a version at once.

        Others may be read still, or be named in a backup that is being made: they are dropped after `ORPHAN_SECONDS`.
        """
        layers = await self._layer_writer.all()
        # A compaction whose lock is removed here cannot name its layer any more.
        await self._locks.remove_expired(LAYER_LOCKS)
        locked = await self._locks.names(LAYER_LOCKS)
        named = await self._snapshots.named_layers()  # after the layers: a layer that became a version is named now
        unnamed = [layer for layer in layers if layer not in named and f"{LAYER_LOCKS}{layer}" not in locked]
        batches = await self._batches.get_many([batch_of(layer) for layer in unnamed])
        discarded, orphans = list[str](), list[str]()
        for layer, batch in zip(unnamed, batches, strict=True):
            if isinstance(batch, Broken):
                continue  # left alone: a later release may need the layer
            if batch is not None and batch.state in DISCARDED_STATES and batch.version is None:
                discarded.append(layer)
            elif batch is None or not may_need(batch, layer):
                orphans.append(layer)
        await self._orphans.note(orphans)
        old_orphans = await self._orphans.older_than(self._orphan_seconds, MAX_DROPS_PER_RUN)
        for layer in [*discarded, *old_orphans][:MAX_DROPS_PER_RUN]:
            await self._layer_writer.drop(layer)
            self._metrics.layers_dropped += 1
            log.info("Dropped layer %s, which no version names.", layer)

    async def _drop_staging(self) -> None:
        """Drop the staged runs of batches that are not in progress, and the records of parts of those that failed."""
        staged = await self._staging.batches()
        for batch_id, batch in zip(staged, await self._batches.get_many(staged), strict=True):
            if isinstance(batch, Broken):
                continue
            if batch is None or batch.state not in IN_PROGRESS:
                if batch is None or batch.state in DISCARDED_STATES:
                    await self._parts.drop(batch_id)
                await self._staging.drop(batch_id)
                log.info("Dropped the staged rows of batch %s.", batch_id)


def batch_of(layer: str) -> str:
    """Return the id of the batch that wrote a layer, if one did: each attempt adds the token of its lease."""
    return layer.partition("-")[0]


def may_need(batch: Batch, layer: str) -> bool:
    """Whether a batch may need a layer that it wrote and that no manifest names.

    Of the attempts at a batch in progress, only that of the present lease can still finish.
    """
    if batch.layer is not None:
        return batch.state in UNFINISHED and batch.layer.id == layer
    return batch.state in IN_PROGRESS and layer.endswith(f"-{batch.token}")
