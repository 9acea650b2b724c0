"""The check for orphans: layers without a manifest or an active batch that were not collected in time."""

import datetime

from bson.errors import InvalidId
from bson.objectid import ObjectId

from storage.batches.repository import Batch, BatchRepository
from storage.batches.states import BatchState
from storage.catalog.snapshots import SnapshotRepository
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.unreadable import try_read
from storage.layers.writer import LayerWriter
from storage.maintenance.garbage_collection import ORPHAN_SECONDS
from storage.maintenance.orphans import OrphanRepository

_ACTIVE = frozenset({BatchState.OPEN, BatchState.SEALING, BatchState.HELD})


class OrphanCheck:
    """Checks whether layers are orphans."""

    def __init__(
        self,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        layer_writer: LayerWriter,
        orphans: OrphanRepository,
    ) -> None:
        self._orphans = orphans
        self._snapshots = snapshots
        self._batches = batches
        self._layer_writer = layer_writer

    async def findings(self, layer: str) -> list[Finding]:
        """Return a finding if a layer is an orphan."""
        if _is_recent(_created_at(layer)):
            return []
        batch, problem = await try_read(self._batches.find(layer), None, None, "the batch")
        if problem or (batch and (batch.state in _ACTIVE or _is_recent(batch.finished_at))):
            return []
        if _is_recent(await self._orphans.since(layer), 2 * ORPHAN_SECONDS):
            return []  # recorded, and due to be dropped
        # Last, because the layer may have become a version since.
        if await self._snapshots.versions_of_layer(layer) or await self._layer_writer.is_sealed(layer) is None:
            return []
        message = f"No version names layer.{layer}, {_origin(batch)}."
        return [Finding(FindingCode.LAYER_ORPHANED, message, batch.price_list if batch else None, None, layer)]


def _created_at(layer: str) -> datetime.datetime | None:
    """Return the creation time in a layer's id; None if the id is not one of Pricebook's."""
    try:
        return ObjectId(layer).generation_time
    except InvalidId:
        return None


def _is_recent(time: datetime.datetime | None, seconds: float | None = None) -> bool:
    limit = ORPHAN_SECONDS if seconds is None else seconds
    return time is not None and (datetime.datetime.now(datetime.UTC) - time).total_seconds() < limit


def _origin(batch: Batch | None) -> str:
    return f"which batch {batch.id} ({batch.state}) wrote" if batch else "and no batch wrote it"
