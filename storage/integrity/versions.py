"""The check of a version: its layers against its manifest, its size, and its batch."""

from storage.batches.batch import Batch
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository, SnapshotState
from storage.errors import Corrupt, LayerGone
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.layers import LayerCheck, LayerResult
from storage.integrity.unreadable import try_read
from storage.maintenance.garbage_collection import batch_of

_UNSEALED = frozenset({BatchState.OPEN, BatchState.SEALING, BatchState.FAILED, BatchState.ABORTED})
"""States of a batch whose layer was never sealed."""

_BATCH_STATES = {
    SnapshotState.SEALED: BatchState.HELD,
    SnapshotState.PUBLISHED: BatchState.PUBLISHED,
    SnapshotState.RETIRED: BatchState.PUBLISHED,  # expired; withdrawn versions are not checked
}


class VersionCheck:
    """Checks the versions that can be read or restored; other versions lie apart and have no layers."""

    def __init__(
        self,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        layer_check: LayerCheck,
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._layer_check = layer_check

    async def findings(self, name: str, version: int) -> list[Finding]:
        """Return the findings for a version; the check is repeated if its manifest changes (compaction, expiration)."""
        seen, problem = await self._manifest(name, version)
        while seen and _is_readable(seen):
            found = await self._check(seen)
            now, problem = await self._manifest(name, version) if found else (seen, None)
            if now == seen:
                return found
            seen = now
        return [problem] if problem else []

    async def _manifest(self, name: str, version: int) -> tuple[Snapshot | None, Finding | None]:
        return await try_read(self._snapshots.get(name, version), name, version, "the manifest")

    async def _check(self, seen: Snapshot) -> list[Finding]:
        results = [await self._layer_check.check(layer) for layer in seen.layers]
        found = [
            finding
            for layer, result in zip(seen.layers, results, strict=True)
            for finding in await self._check_layer(seen, layer, result)
        ]
        if not any(result.problems for result in results):
            found += await self._check_size(seen)
        return found or await self._check_batch(seen)

    async def _check_size(self, seen: Snapshot) -> list[Finding]:
        try:
            size = await self._layer_check.size(seen.layers)
        except (LayerGone, Corrupt) as error:  # since the layers were proved
            return [Finding(FindingCode.LAYER_CHANGED, error.message, seen.price_list, seen.version)]
        if size == seen.size:
            return []
        message = f"The manifest has size {seen.size}, but its layers have {size} prices."
        return [Finding(FindingCode.VERSION_SIZE_WRONG, message, seen.price_list, seen.version)]

    async def _check_layer(self, seen: Snapshot, layer: Layer, result: LayerResult) -> list[Finding]:
        problems = list(result.problems)
        if not result.sealed:
            problems.append((FindingCode.LAYER_NOT_SEALED, "It is not sealed: MongoDB accepts writes to it."))
        name = await self._describe(layer) if problems else ""
        return [Finding(code, f"{name}: {text}", seen.price_list, seen.version, layer.id) for code, text in problems]

    async def _describe(self, layer: Layer) -> str:
        versions = [version for _, version in await self._snapshots.versions_of_layer(layer.id)]
        shared = f" (shared by {len(versions)} versions, {versions[0]} to {versions[-1]})" if len(versions) > 1 else ""
        return f"layer.{layer.id}{shared}"

    async def _check_batch(self, seen: Snapshot) -> list[Finding]:
        name, version = seen.price_list, seen.version
        batch, problem = await try_read(self._batches.find(seen.batch), name, version, "the batch")
        if problem:
            return [] if problem.code is FindingCode.FORMAT_UNKNOWN else [problem]  # counted by `IntegrityCheck`
        if batch and batch.state in _UNSEALED:
            message = f"Its batch {batch.id} is {batch.state}, so its layer was never sealed."
            current = await self._is_current(name, version)
            code = FindingCode.POINTER_TO_UNSEALED if current else FindingCode.VERSION_UNSEALED
            return [Finding(code, message, name, version)]
        wrong = f"Its batch {seen.batch} does not exist." if batch is None else await self._disagreement(seen, batch)
        return [Finding(FindingCode.VERSION_BATCH_WRONG, wrong, name, version)] if wrong else []

    async def _is_current(self, name: str, version: int) -> bool:
        price_list, _ = await try_read(self._price_lists.find(name), name, None, "the price list")
        return price_list is not None and price_list.current_version == version

    async def _disagreement(self, seen: Snapshot, batch: Batch) -> str | None:
        """Return the contradiction between a manifest and its batch, or None."""
        if (batch.price_list, batch.version) != (seen.price_list, seen.version):
            return f"Its batch {batch.id} created version {batch.version} of {batch.price_list!r}."
        if batch.state is not _BATCH_STATES.get(seen.state):
            return f"Its state is {seen.state}, but its batch {batch.id} is {batch.state}."
        if not seen.layers:
            return "It names no layer."
        newest = seen.layers[0]
        if batch.layer is None or newest.id != batch.layer.id:
            # A layer without a batch was written by a compaction.
            other, _ = await try_read(self._batches.find(batch_of(newest.id)), None, None, "the batch")
            return f"Its newest layer belongs to batch {other.id}, not to {batch.id}." if other else None
        if newest != batch.layer:
            sealed = batch.layer
            return f"Its batch {batch.id} sealed {sealed.count} rows with checksum {sealed.checksum[:16]}..."
        return None


def _is_readable(seen: Snapshot) -> bool:
    """Whether a version can be read or restored."""
    return seen.state is not SnapshotState.RETIRED or (seen.retired_at is not None and bool(seen.layers))
