"""Removing batches whose list was deleted, with all that they have stored."""

from collections.abc import Sequence

from storage.batches.batch import Batch, Refusal
from storage.batches.item_errors import ItemErrorRepository
from storage.batches.parts import PartRepository
from storage.batches.repository import BatchRepository
from storage.batches.staging import StagingRepository
from storage.batches.states import IN_PROGRESS
from storage.catalog.orphans import OrphanRepository
from storage.errors import PriceListNotFound

LIST_DELETED = Refusal(PriceListNotFound.code, "The price list of the batch was deleted.")
"""Why a batch ends that is in progress when its list is deleted."""


class BatchRemoval:
    """Removes batches, so that it can be repeated: their records last, because garbage collection needs them.

    They are closed first: a process that stores a part or a layer at the same time finds that out afterwards, and drops
    what it stored.
    """

    def __init__(
        self,
        batches: BatchRepository,
        parts: PartRepository,
        item_errors: ItemErrorRepository,
        staging: StagingRepository,
        orphans: OrphanRepository,
    ) -> None:
        self._batches = batches
        self._parts = parts
        self._item_errors = item_errors
        self._staging = staging
        self._orphans = orphans

    async def remove(self, batches: Sequence[Batch]) -> None:
        """Remove batches, whatever their state.

        Of a batch in progress, its layer and the one that a process may write are noted as orphans; other layers are
        noted with their manifests.
        """
        ids = [batch.id for batch in batches]
        await self._batches.close(ids, LIST_DELETED)
        staged = set(await self._staging.batches())
        for batch in batches:
            if batch.chunked:
                await self._parts.drop(batch.id)
            if batch.chunked or batch.error_count:
                await self._item_errors.keep_only(batch.id, None)
            if batch.id in staged:
                await self._staging.drop(batch.id)
        await self._orphans.note(sorted({layer for batch in batches for layer in _unnamed_layers(batch)}))
        await self._batches.remove(ids)


def _unnamed_layers(batch: Batch) -> list[str]:
    """Return the layers of a batch that no manifest names. After a takeover, its layer is that of an earlier token."""
    if batch.state not in IN_PROGRESS:
        return []
    return [f"{batch.id}-{batch.token}", *([batch.layer.id] if batch.layer else [])]
