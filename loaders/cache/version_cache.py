"""The versions that a process serves: their manifests, and where the block cache has their layers."""

import asyncio
from collections.abc import Sequence

from storage import BlockCache, CachedLayer, Snapshot

MAX_OLD_VERSIONS = 3
"""Number of versions of a list to keep besides the current one, for requests that still read them."""


class CachedVersion:
    """The manifest of a version, and what this process knows about its reads."""

    __slots__ = ("idle_versions", "loading", "retry_at", "snapshot", "stack", "was_read")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.stack: Sequence[CachedLayer] | None = None
        """The layers in the block cache, newest first, as the last read found them; None before."""
        self.was_read = False
        """Whether a request read a price."""
        self.idle_versions = 0
        """Number of consecutive versions before this one that no request read."""
        self.loading: asyncio.Task[None] | None = None
        """The task that is loading all blocks, if any."""
        self.retry_at = 0.0
        """When all blocks may be loaded again, by the event loop's clock."""


class VersionCache:
    """The cached versions of all lists: the current one of each list that is read, and some before it.

    A layer that none of them names any more is dropped from the block cache.
    """

    def __init__(self, blocks: BlockCache) -> None:
        self._blocks = blocks
        self._lists: dict[str, dict[int, CachedVersion]] = {}
        self._current: dict[str, int] = {}

    def find(self, price_list: str, version: int) -> CachedVersion | None:
        """Return a cached version, or None."""
        versions = self._lists.get(price_list)
        return None if versions is None else versions.get(version)

    def get_or_add(self, snapshot: Snapshot) -> CachedVersion:
        """Return a cached version; if there is none, add one."""
        found = self.find(snapshot.price_list, snapshot.version)
        if found is None:
            found = CachedVersion(snapshot)
            self._lists.setdefault(snapshot.price_list, {})[snapshot.version] = found
            self._drop_old_versions(snapshot.price_list)
        return found

    def current(self, price_list: str) -> CachedVersion | None:
        """Return the cached current version of a list, or None."""
        version = self._current.get(price_list)
        return None if version is None else self.find(price_list, version)

    def is_current(self, cached: CachedVersion) -> bool:
        """Whether a version is the current one of its list."""
        return self.current(cached.snapshot.price_list) is cached

    def update_manifest(self, snapshot: Snapshot) -> None:
        """Replace the manifest of a cached version by one that was just read; add a current version that is missing."""
        found = self.find(snapshot.price_list, snapshot.version)
        if found is not None:
            before, found.snapshot = found.snapshot, snapshot
            if before.layers != snapshot.layers:
                found.stack = None
                found.retry_at = 0.0
                self._drop_layers(before)
        elif self._current.get(snapshot.price_list) == snapshot.version:
            self.get_or_add(snapshot)

    def set_current(self, price_list: str, version: int | None) -> None:
        """Set the current version of a list."""
        if version is None:
            self._current.pop(price_list, None)
        else:
            self._current[price_list] = version
        self._drop_old_versions(price_list)

    def drop(self, price_list: str) -> None:
        """Drop all versions of a list that was deleted."""
        self._current.pop(price_list, None)
        for each in self._lists.pop(price_list, {}).values():
            if each.loading:
                each.loading.cancel()
            self._drop_layers(each.snapshot)

    def _drop_old_versions(self, price_list: str) -> None:
        """Drop the versions that were added first, except the current one and `MAX_OLD_VERSIONS`."""
        versions = self._lists.get(price_list, {})
        old = [each for each in versions.values() if not self.is_current(each)]
        for each in old[: max(0, len(old) - MAX_OLD_VERSIONS)]:
            del versions[each.snapshot.version]
            if each.loading:
                each.loading.cancel()
            self._drop_layers(each.snapshot)

    def drop_unnamed_layer(self, price_list: str, layer: str) -> None:
        """Drop a layer that was preloaded, unless a cached version of its list names it."""
        if not any(layer in each.snapshot.layer_ids for each in self._lists.get(price_list, {}).values()):
            self._blocks.drop(layer)

    def _drop_layers(self, snapshot: Snapshot) -> None:
        """Drop the layers of a version that no other cached version names. Only versions of one list share layers."""
        others = self._lists.get(snapshot.price_list, {}).values()
        for layer in set(snapshot.layer_ids).difference(*(other.snapshot.layer_ids for other in others)):
            self._blocks.drop(layer)
