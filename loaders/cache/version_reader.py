"""Reads of versions whose layers compaction may replace during the read."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from loaders.cache.version_cache import VersionCache
from storage import Corrupt, Layer, LayerGone, Snapshot, SnapshotExpired, SnapshotState, Store, raise_if_unreadable

T = TypeVar("T")

MAX_READS = 5
"""Times that a read is tried. Each time after the first, its manifests named other layers than before."""


class VersionReader:
    """Reads layers by the manifests in memory, which it reads again if a layer is not there."""

    def __init__(self, store: Store, versions: VersionCache) -> None:
        self._snapshots = store.snapshots
        self._memory = store.memory_reader
        self._versions = versions

    async def read(self, snapshot: Snapshot, read: Callable[[Sequence[Layer]], Awaitable[T]]) -> T:
        """Return what `read` returns for the layers of a version.

        Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """
        return await self.read_many([snapshot], lambda manifests: read(manifests[0].layers))

    async def read_many(self, snapshots: Sequence[Snapshot], read: Callable[[Sequence[Snapshot]], Awaitable[T]]) -> T:
        """Return what `read` returns for the manifests of some versions.

        Raises `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """
        manifests = [self._versions.get_or_add(snapshot).snapshot for snapshot in snapshots]
        for _ in range(MAX_READS):
            try:
                result = await read(manifests)
            except LayerGone as error:
                gone, before = error, manifests
            else:
                self._note_layers(manifests)
                return result
            manifests = await self._read_again(before)
            if [each.layers for each in manifests] == [each.layers for each in before]:
                break
        raise missing_layer(gone, manifests[0].price_list, f"version {manifests[0].version}") from gone

    def _note_layers(self, manifests: Sequence[Snapshot]) -> None:
        """Note where the layers of versions are in memory, for the reads that do not await."""
        for manifest in manifests:
            cached = self._versions.find(manifest.price_list, manifest.version)
            if cached is not None and cached.snapshot.layers == manifest.layers:
                cached.stack = self._memory.stack(manifest.layers)

    async def _read_again(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        manifests = []
        found = await self._snapshots.get_many([(each.price_list, each.version) for each in snapshots])
        for snapshot, manifest in zip(snapshots, map(raise_if_unreadable, found), strict=True):
            if manifest is None or manifest.state is SnapshotState.RETIRED:
                raise SnapshotExpired(snapshot.price_list, snapshot.version)
            self._versions.update_manifest(manifest)
            manifests.append(manifest)
        return manifests


def missing_layer(gone: LayerGone, price_list: str, subject: str) -> Corrupt:
    """Return the error of a layer that does not exist although manifests that were just read name it.

    `subject` is what is read.
    """
    return Corrupt(
        f"Layer {gone.layer} of {price_list!r} does not exist, but is needed to read {subject}. "
        "Run `pricebook check`, and roll back to a version without this layer."
    )
