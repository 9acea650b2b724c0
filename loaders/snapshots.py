"""Manifests by (list, version)."""

from collections.abc import Sequence

from loaders.loading import Loader
from loaders.reads import Reads, is_in_danger
from loaders.versions import Versions
from storage import Snapshot, Store

SnapshotKey = tuple[str, int]


class SnapshotLoader(Loader[SnapshotKey, Snapshot | None]):
    """Loads the manifests that a request asks for in one round trip; None where there is no such version."""

    def __init__(self, store: Store, versions: Versions, reads: Reads) -> None:
        super().__init__(self._load)
        self._store = store
        self._versions = versions
        self._reads = reads

    async def _load(self, keys: Sequence[SnapshotKey]) -> list[Snapshot | None]:
        found = await self._store.snapshots.get_many(keys)
        in_danger = []
        for snapshot in found:
            if snapshot is not None:
                self._versions.note(snapshot)
                self._reads.note(snapshot.price_list, snapshot.version)
                if is_in_danger(snapshot):
                    in_danger.append((snapshot.price_list, snapshot.version))
        if in_danger:
            await self._store.snapshots.note_reads(in_danger)
        return list(found)
