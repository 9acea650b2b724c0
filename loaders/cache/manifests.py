"""Manifests in memory, and when they have to be read again."""

import asyncio
from collections.abc import Sequence

from loaders.cache.cached_version import CachedVersion
from storage import Snapshot, SnapshotExpired, SnapshotState, Store

# The layers of a manifest that was read longer ago than this, in seconds, may have been folded into others and be gone:
# it is read again before they are. Layers that no manifest names any more must be kept for longer.
MANIFEST_SECONDS = 60.0


async def layers_of(store: Store, records: CachedVersion) -> Sequence[str]:
    """Return the layers from which a version can be read now. Raises `SnapshotExpired`."""
    return (await manifest_of(store, records)).layer_ids


async def manifest_of(store: Store, records: CachedVersion) -> Snapshot:
    """Return a version's manifest, with layers from which it can be read now. Raises `SnapshotExpired`."""
    now, snapshot = asyncio.get_running_loop().time(), records.snapshot
    if now - records.read_at > MANIFEST_SECONDS:
        [again] = await store.snapshots.get_many([(snapshot.price_list, snapshot.version)])
        if again is None or again.state is SnapshotState.RETIRED:
            raise SnapshotExpired(snapshot.price_list, snapshot.version)
        snapshot = records.snapshot = again
        records.read_at = now
    return snapshot
