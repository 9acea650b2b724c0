"""Garbage collection: idle batches and releases, unneeded layers and staged runs, old idempotency keys, deleted lists.

A layer becomes an orphan when a manifest stops naming it: its version was withdrawn or its layers released, or a
compaction has replaced the layer. The transaction that does so notes the layer (`storage.catalog.orphans`). Layers
without a note, left by a process that was killed, are found by listing all layers. That takes a while, so it is done
when a process begins to collect, and then once an hour.

A note is only a hint. Before a layer is dropped, it must have been an orphan for longer than a reader can hold an
older manifest; no compaction may hold its lock, its batch may not need it, and no manifest may name it. The manifests
are asked last: what a batch needs is named by a manifest when the batch no longer needs it. A layer that passes is
never named again: a manifest takes its layers from its own batch, from the current version, or from a compaction that
holds the lock. Layers of a batch that ended without a version were never read, and are dropped at once.

Each pass is bounded, idempotent, and safe in parallel; what it cannot do with one document stops nothing else. Deleted
lists are purged last, because a large list takes longest.
"""

import asyncio
import datetime
import logging
from collections.abc import Collection, Mapping

from storage.batches.batch import Batch, Refusal
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.metrics import StorageMetrics
from storage.batches.parts import PartRepository
from storage.batches.repository import BatchRepository
from storage.batches.staging import StagingRepository
from storage.batches.states import DISCARDED_STATES, IN_PROGRESS, UNFINISHED
from storage.catalog.orphans import OrphanRepository
from storage.catalog.snapshots import SnapshotRepository
from storage.errors import PriceListNotFound
from storage.layers.writer import LayerWriter
from storage.maintenance.compaction import LAYER_LOCKS
from storage.maintenance.deletion import PriceListDeleter
from storage.maintenance.periodic import log_failure
from storage.maintenance.release_runs import RELEASE_LOCKS
from storage.mongodb.locks import Locks
from storage.releases.editor import ReleaseEditor
from storage.releases.unpublished import UnpublishedReleases

log = logging.getLogger("pricebook.garbage_collection")

IDLE_SECONDS = 3600.0
"""Time without use after which an open batch is aborted."""

ORPHAN_SECONDS = 3600.0
"""How long a layer that no manifest names is kept: a reader with an older manifest may still read it."""

MAX_DROPS_PER_RUN = 200
"""Number of noted layers that are read at once, and of staging collections that one run drops at most."""

DROPS_AT_ONCE = 8
"""Number of layers that are dropped at once: each takes several round trips."""

MAX_TASK_SECONDS = 30.0
"""Time after which one run drops no further layers, and purges no further lists: the interval of the runs."""

LISTING_INTERVAL_SECONDS = 3600.0
"""Time between two listings of all layers."""

MAX_FOUND_PER_LISTING = 1000
"""Number of orphans that one listing notes at most. If it finds more, the next run lists again."""

RELEASE_IDLE_DAYS = 30
"""Days without a change after which an open release is discarded."""


class GarbageCollector:
    """Aborts idle batches, drops what is left behind, discards idle releases, purges deleted lists."""

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
        deleter: PriceListDeleter,
        release_editor: ReleaseEditor,
        unpublished: UnpublishedReleases,
        metrics: StorageMetrics,
        release_idle_days: int = RELEASE_IDLE_DAYS,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._staging = staging
        self._layer_writer = layer_writer
        self._snapshots = snapshots
        self._orphans = orphans
        self._locks = locks
        self._lifecycle = lifecycle
        self._deleter = deleter
        self._release_editor = release_editor
        self._unpublished = unpublished
        self._release_idle_days = release_idle_days
        self._metrics = metrics
        self._orphan_seconds = ORPHAN_SECONDS
        self._next_listing = 0.0

    async def collect(self) -> None:
        """Run each task once: what fails is logged, and left to the next run."""
        now = asyncio.get_running_loop().time()
        for act in (
            self._abort_idle,
            *([self.find_orphans] if now >= self._next_listing else []),
            self._drop_orphans,
            self._drop_staging,
            self._tidy_releases,
            self._purge_deleted,
        ):
            try:
                await act()
            except Exception as error:  # continue with the other tasks
                log_failure(log, "A task of garbage collection failed and will be retried", error)

    async def _abort_idle(self) -> None:
        for batch_id in await self._batches.idle(IDLE_SECONDS):
            try:
                await self._abort(batch_id)
            except Exception as error:  # continue with the other batches
                log_failure(log, f"Could not abort idle batch {batch_id} yet", error)

    async def _abort(self, batch_id: str) -> None:
        leased = await self._batches.lease(batch_id, idle=IDLE_SECONDS)
        if leased:
            refusal = Refusal("IDLE", f"The batch was idle for {IDLE_SECONDS / 60:.0f} minutes.")
            try:
                await self._lifecycle.abort(leased, refusal, by="pricebook")
                log.info("Aborted idle batch %s.", batch_id)
            except PriceListNotFound:
                log.info("Removed idle batch %s: its price list was deleted.", batch_id)
            if not leased.chunked:  # whose attempts wrote a layer before the batch was sealed
                await self._orphans.note([f"{batch_id}-{token}" for token in range(1, leased.token)], unread=True)

    async def find_orphans(self) -> None:
        """Note the orphans among all layers that are not noted."""
        layers = await self._layer_writer.all()
        # A compaction whose lock is removed here cannot name its layer any more.
        await self._locks.remove_expired_with_prefix(LAYER_LOCKS)
        locked = await self._locks.names(LAYER_LOCKS)
        named = await self._snapshots.named_layers()  # after the layers: most that became a version are named now
        unnamed = [layer for layer in layers if layer not in named and f"{LAYER_LOCKS}{layer}" not in locked]
        noted = await self._orphans.noted(unnamed)
        found = [layer for layer in unnamed if layer not in noted]
        for layer in found[:MAX_FOUND_PER_LISTING]:
            try:
                await self._note(layer)
            except Exception as error:  # continue with the other layers
                log_failure(log, f"Could not check the batch of layer {layer} yet", error)
        self._metrics.count_layers(len(layers))
        if len(found) <= MAX_FOUND_PER_LISTING:
            self._next_listing = asyncio.get_running_loop().time() + LISTING_INTERVAL_SECONDS

    async def _note(self, layer: str) -> None:
        batch = await self._batches.find(batch_of(layer))
        if batch is None or not may_need(batch, layer):
            await self._orphans.note([layer], unread=batch is not None and was_discarded(batch))

    async def _drop_orphans(self) -> None:
        """Drop orphans until none is left, or the next run is due."""
        clock = asyncio.get_running_loop().time
        end = clock() + MAX_TASK_SECONDS
        layers = await self._orphans.older_than(self._orphan_seconds, MAX_DROPS_PER_RUN)
        while layers:
            await self._drop_noted(layers)
            if len(layers) < MAX_DROPS_PER_RUN or clock() >= end:
                return
            layers = await self._orphans.older_than(self._orphan_seconds, MAX_DROPS_PER_RUN)

    async def _drop_noted(self, layers: Mapping[str, datetime.datetime]) -> None:
        # A compaction whose lock is removed here cannot name its layer any more.
        await self._locks.remove_expired_with_prefix(LAYER_LOCKS)
        locked = await self._locks.names(LAYER_LOCKS)
        noted = list(layers.items())
        for start in range(0, len(noted), DROPS_AT_ONCE):
            some = noted[start : start + DROPS_AT_ONCE]
            await asyncio.gather(*(self._try_drop(layer, since, locked) for layer, since in some))

    async def _try_drop(self, layer: str, since: datetime.datetime, locked: Collection[str]) -> None:
        try:
            await self._drop_orphan(layer, locked)
            await self._orphans.forget(layer, since)
        except Exception as error:  # continue with the other layers
            log_failure(log, f"Could not drop layer {layer} yet", error)
            await self._orphans.note([layer])  # after the others

    async def _drop_orphan(self, layer: str, locked: Collection[str]) -> None:
        """Drop a layer, unless something needs it. In any case its note is deleted: it is noted again in time."""
        batch = await self._batches.find(batch_of(layer))
        is_needed = f"{LAYER_LOCKS}{layer}" in locked or (batch is not None and may_need(batch, layer))
        if not is_needed and not await self._snapshots.is_named(layer):
            await self._layer_writer.drop(layer)
            self._metrics.layers_dropped += 1
            log.info("Dropped layer %s, which no version names.", layer)

    async def _drop_staging(self) -> None:
        """Drop the staged runs of batches that are not in progress, and the records of parts of those that failed."""
        staged = await self._staging.batches()
        used = await self._batches.which_are_in_progress(staged) if staged else set()
        for batch_id in [each for each in staged if each not in used][:MAX_DROPS_PER_RUN]:
            try:
                await self._drop_staged(batch_id)
            except Exception as error:  # continue with the other batches
                log_failure(log, f"Could not drop the staged rows of batch {batch_id} yet", error)

    async def _drop_staged(self, batch_id: str) -> None:
        batch = await self._batches.find(batch_id)
        if batch is None or batch.state in DISCARDED_STATES:
            await self._parts.drop(batch_id)
        if batch is None or batch.state not in IN_PROGRESS:
            await self._staging.drop(batch_id)
            log.info("Dropped the staged rows of batch %s.", batch_id)

    async def _tidy_releases(self) -> None:
        await self._unpublished.open_empty()
        await self._release_editor.discard_idle(self._release_idle_days)
        await self._locks.remove_expired_with_prefix(RELEASE_LOCKS)

    async def _purge_deleted(self) -> None:
        await self._deleter.purge_all(MAX_TASK_SECONDS)


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


def was_discarded(batch: Batch) -> bool:
    """Whether a batch ended without a version, so that its layers were never read."""
    return batch.state in DISCARDED_STATES and batch.version is None
