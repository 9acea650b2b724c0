"""The check for orphans: unneeded layers and staged rows that were not collected in time."""

import datetime
from collections.abc import AsyncGenerator

from bson.errors import InvalidId
from bson.objectid import ObjectId

from storage.batches.batch import Batch
from storage.batches.repository import BatchRepository
from storage.batches.staging import StagingRepository
from storage.batches.states import UNFINISHED
from storage.catalog.orphans import OrphanRepository
from storage.catalog.snapshots import SnapshotRepository
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.unreadable import try_read
from storage.layers.writer import LayerWriter
from storage.maintenance.compaction import LAYER_LOCKS
from storage.maintenance.garbage_collection import ORPHAN_SECONDS, batch_of, may_need
from storage.mongodb.locks import Locks


class OrphanCheck:
    """Checks whether layers and staged rows are orphans."""

    def __init__(
        self,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        staging: StagingRepository,
        layer_writer: LayerWriter,
        orphans: OrphanRepository,
        locks: Locks,
    ) -> None:
        self._snapshots = snapshots
        self._batches = batches
        self._staging = staging
        self._layer_writer = layer_writer
        self._orphans = orphans
        self._locks = locks

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """Yield a finding for each orphan."""
        layers = await self._layer_writer.all()
        named = await self._snapshots.named_layers()  # after the layers: most that became a version are named now
        for layer in sorted(set(layers) - named):
            for finding in await self._check_layer(layer):
                yield finding
        for batch_id in sorted(await self._staging.batches()):
            for finding in await self._check_staging(batch_id):
                yield finding

    async def _check_layer(self, layer: str) -> list[Finding]:
        batch_id = batch_of(layer)
        if _is_recent(_created_at(batch_id), 2 * ORPHAN_SECONDS):
            return []
        batch, problem = await try_read(self._batches.find(batch_id), None, None, "the batch")
        if problem or (batch and (may_need(batch, layer) or _is_recent(batch.finished_at, 2 * ORPHAN_SECONDS))):
            return []
        if _is_recent(await self._orphans.since(layer), 2 * ORPHAN_SECONDS):
            return []  # recorded, and due to be dropped
        if f"{LAYER_LOCKS}{layer}" in await self._locks.names(LAYER_LOCKS):
            return []  # a compaction writes it
        # Last, because the layer may have become a version since.
        if await self._snapshots.is_named(layer) or await self._layer_writer.is_sealed(layer) is None:
            return []
        message = f"No version names layer.{layer}, {_origin(batch)}."
        return [Finding(FindingCode.LAYER_ORPHANED, message, batch.price_list if batch else None, None, layer)]

    async def _check_staging(self, batch_id: str) -> list[Finding]:
        batch, problem = await try_read(self._batches.find(batch_id), None, None, "the batch")
        if problem or (batch and batch.state in UNFINISHED):
            return []
        if _is_recent(batch.finished_at if batch else _created_at(batch_id)):
            return []
        if batch_id not in await self._staging.batches():
            return []
        message = (
            f"The collection staging.{batch_id} was left behind: its batch is {batch.state if batch else 'unknown'}."
        )
        return [Finding(FindingCode.STAGING_ORPHANED, message, batch.price_list if batch else None)]


def _created_at(identifier: str) -> datetime.datetime | None:
    """Return the creation time in an id; None if the id is not one of Pricebook's."""
    try:
        return ObjectId(identifier).generation_time
    except InvalidId:
        return None


def _is_recent(time: datetime.datetime | None, seconds: float | None = None) -> bool:
    limit = ORPHAN_SECONDS if seconds is None else seconds
    return time is not None and (datetime.datetime.now(datetime.UTC) - time).total_seconds() < limit


def _origin(batch: Batch | None) -> str:
    return f"which batch {batch.id} ({batch.state}) wrote" if batch else "and no batch wrote it"
