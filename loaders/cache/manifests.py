"""Manifests of cached versions, and when they have to be read again."""

import asyncio
from collections.abc import Sequence

from loaders.cache.cached_version import CachedVersion
from storage import Snapshot, SnapshotExpired, SnapshotState, Store

MAX_MANIFEST_AGE_SECONDS = 60.0
"""Age from which a manifest is read again before its layers are: compaction may have replaced them since.

Garbage collection must keep unreferenced layers for longer than this.
"""


async def layers_of(store: Store, cached: CachedVersion) -> Sequence[str]:
    """Return the layers of a version, newest first. Raises `SnapshotExpired`."""
    return (await manifest_of(store, cached)).layer_ids


async def manifest_of(store: Store, cached: CachedVersion) -> Snapshot:
    """Return the manifest of a version, whose layers still exist. Raises `SnapshotExpired`."""
    now, snapshot = asyncio.get_running_loop().time(), cached.snapshot
    if now - cached.read_at > MAX_MANIFEST_AGE_SECONDS:
        [found] = await store.snapshots.get_many([(snapshot.price_list, snapshot.version)])
        if found is None or found.state is SnapshotState.RETIRED:
            raise SnapshotExpired(snapshot.price_list, snapshot.version)
        snapshot = cached.snapshot = found
        cached.read_at = now
    return snapshot
