"""Checking for orphans: layers that no manifest names and no batch is at work on, and that nobody collected in time."""

import datetime

from bson.errors import InvalidId
from bson.objectid import ObjectId

from storage.batches.repository import Batch, BatchRepository
from storage.batches.states import BatchState
from storage.catalog.snapshots import SnapshotRepository
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.unreadable import understood
from storage.layers.writer import Layers
from storage.maintenance.garbage_collection import ORPHAN_SECONDS
from storage.maintenance.orphans import Orphans

_AT_WORK = frozenset({BatchState.OPEN, BatchState.SEALING, BatchState.HELD})


class OrphanCheck:
    """Checks layers that there are."""

    def __init__(
        self, snapshots: SnapshotRepository, batches: BatchRepository, layers: Layers, orphans: Orphans
    ) -> None:
        self._orphans = orphans
        self._snapshots = snapshots
        self._batches = batches
        self._layers = layers

    async def findings(self, layer: str) -> list[Finding]:
        """Return whether a layer is an orphan."""
        if _is_young(_begun(layer)):
            return []
        batch, problem = await understood(self._batches.find(layer), None, None, "the batch")
        if problem or (batch and (batch.state in _AT_WORK or _is_young(batch.finished_at))):
            return []
        if _is_young(await self._orphans.since(layer), 2 * ORPHAN_SECONDS):
            return []  # it is known, and is dropped when its time has come
        # Asked last: what became a version since then is named now.
        if await self._snapshots.versions_of_layer(layer) or await self._layers.is_sealed(layer) is None:
            return []
        message = f"No version names layer.{layer}, {_written_by(batch)}."
        return [Finding(FindingCode.LAYER_ORPHANED, message, batch.price_list if batch else None, None, layer)]


def _begun(layer: str) -> datetime.datetime | None:
    """Return when a layer was begun, as its id tells; None for one that Pricebook did not name."""
    try:
        return ObjectId(layer).generation_time
    except InvalidId:
        return None


def _is_young(at: datetime.datetime | None, seconds: float | None = None) -> bool:
    least = ORPHAN_SECONDS if seconds is None else seconds
    return at is not None and (datetime.datetime.now(datetime.UTC) - at).total_seconds() < least


def _written_by(batch: Batch | None) -> str:
    return f"which batch {batch.id} wrote; it is {batch.state}" if batch else "and no batch wrote it"
