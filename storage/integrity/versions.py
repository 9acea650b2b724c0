"""Checking a version: its layers, what its manifest says of them, its size, and the batch that made it."""

from storage.batches.repository import Batch, BatchRepository
from storage.batches.states import BatchState
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository, SnapshotState
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.layer_proofs import Proof, Proofs
from storage.integrity.unreadable import understood

# A batch in one of these has a layer that was never proved whole.
_UNSEALED = frozenset({BatchState.OPEN, BatchState.SEALING, BatchState.FAILED, BatchState.ABORTED})

_STATE_OF_BATCH = {
    SnapshotState.SEALED: BatchState.HELD,
    SnapshotState.PUBLISHED: BatchState.PUBLISHED,
    SnapshotState.RETIRED: BatchState.PUBLISHED,  # by retention; of one that was rejected nothing is looked at
}


class VersionCheck:
    """Checks versions, those too that retention took and that can be brought back. Of others the layers are gone."""

    def __init__(
        self, price_lists: PriceListRepository, snapshots: SnapshotRepository, batches: BatchRepository, proofs: Proofs
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._proofs = proofs

    async def findings(self, name: str, version: int) -> list[Finding]:
        """Return what is wrong with a version, as its manifest is now: it may be compacted or retired meanwhile."""
        seen, problem = await self._manifest(name, version)
        while seen and _has_layers(seen):
            found = await self._of(seen)
            now, problem = await self._manifest(name, version) if found else (seen, None)
            if now == seen:
                return found
            seen = now
        return [problem] if problem else []

    async def _manifest(self, name: str, version: int) -> tuple[Snapshot | None, Finding | None]:
        return await understood(self._snapshots.get(name, version), name, version, "the manifest")

    async def _of(self, seen: Snapshot) -> list[Finding]:
        proofs, size = await self._proofs.prove(seen.layer_ids)
        found = [
            finding
            for layer, proof in zip(seen.layers, proofs, strict=True)
            for finding in await self._of_layer(seen, layer, proof)
        ]
        if all(map(_is_sound, seen.layers, proofs)) and size != seen.size:
            message = f"The manifest says {seen.size} prices, its layers have {size}."
            found.append(Finding(FindingCode.VERSION_SIZE_WRONG, message, seen.price_list, seen.version))
        return found or await self._of_batch(seen)

    async def _of_layer(self, seen: Snapshot, layer: Layer, proof: Proof) -> list[Finding]:
        name, version = seen.price_list, seen.version
        if proof.stored is None:
            message = f"There is no layer.{layer.id}{await self._also(layer)}."
            return [Finding(FindingCode.LAYER_MISSING, message, name, version, layer.id)]
        found = []
        if proof.stored.count != layer.count:
            message = (
                f"layer.{layer.id} has {proof.stored.count} documents, {layer.count} were sealed"
                f"{await self._also(layer)}."
            )
            found.append(Finding(FindingCode.LAYER_COUNT_WRONG, message, name, version, layer.id))
        elif proof.stored.hex != layer.checksum:
            message = (
                f"layer.{layer.id} has checksum {proof.stored.hex[:16]}..., {layer.checksum[:16]}... was sealed: "
                f"a document was changed{await self._also(layer)}."
            )
            found.append(Finding(FindingCode.LAYER_CHANGED, message, name, version, layer.id))
        if not proof.sealed:
            message = f"The database takes writes to layer.{layer.id}{await self._also(layer)}."
            found.append(Finding(FindingCode.LAYER_NOT_SEALED, message, name, version, layer.id))
        return found

    async def _also(self, layer: Layer) -> str:
        naming = await self._snapshots.versions_of_layer(layer.id)
        versions = [version for _, version in naming]
        return f", which {len(versions)} versions share, {versions[0]} to {versions[-1]}" if len(versions) > 1 else ""

    async def _of_batch(self, seen: Snapshot) -> list[Finding]:
        name, version = seen.price_list, seen.version
        batch, problem = await understood(self._batches.find(seen.batch), name, version, "the batch")
        if problem:
            return [] if problem.code is FindingCode.FORMAT_UNKNOWN else [problem]  # formats are told by themselves
        if batch and batch.state in _UNSEALED:
            message = f"Its batch {batch.id} is {batch.state}: its layer was never sealed."
            current = await self._is_current(name, version)
            code = FindingCode.POINTER_TO_UNSEALED if current else FindingCode.VERSION_UNSEALED
            return [Finding(code, message, name, version)]
        wrong = f"There is no batch {seen.batch}." if batch is None else await self._disagreement(seen, batch)
        return [Finding(FindingCode.VERSION_BATCH_WRONG, wrong, name, version)] if wrong else []

    async def _is_current(self, name: str, version: int) -> bool:
        price_list, _ = await understood(self._price_lists.find(name), name, None, "the price list")
        return price_list is not None and price_list.current_version == version

    async def _disagreement(self, seen: Snapshot, batch: Batch) -> str | None:
        """Return where a manifest and the batch that it names contradict each other."""
        if (batch.price_list, batch.version) != (seen.price_list, seen.version):
            return f"Its batch {batch.id} made version {batch.version} of {batch.price_list!r}."
        if batch.state is not _STATE_OF_BATCH.get(seen.state):
            return f"It is {seen.state}, its batch {batch.id} is {batch.state}."
        if not seen.layers:
            return "It names no layer."
        newest = seen.layers[0]
        if newest.id != batch.layer:
            # What no batch wrote was written by a compaction.
            other, _ = await understood(self._batches.find(newest.id), None, None, "the batch")
            return f"Its newest layer is that of batch {other.id}, not of {batch.id}." if other else None
        if (newest.count, newest.checksum) != (batch.rows, batch.checksum):
            return f"Its batch {batch.id} sealed {batch.rows} rows with checksum {str(batch.checksum)[:16]}..."
        return None


def _has_layers(seen: Snapshot) -> bool:
    """Whether a version can be read, or be brought back."""
    return seen.state is not SnapshotState.RETIRED or (seen.retired_at is not None and bool(seen.layers))


def _is_sound(layer: Layer, proof: Proof) -> bool:
    return proof.stored is not None and (proof.stored.count, proof.stored.hex) == (layer.count, layer.checksum)
