"""The version cache of a process: records of versions, shared by all requests, bounded by bytes."""

import asyncio
from collections.abc import Iterable, Sequence

from loaders.cache.cached_version import CachedVersion, Record
from storage import Snapshot

DEFAULT_CACHE_BYTES = 256 << 20
"""Default budget of the version cache."""

WHOLE_LIST_DIVISOR = 3
"""A list is cached whole if it takes at most a third of the budget, and all such lists together at most two thirds.

So there is always room for the next version of one of them.
"""

MAX_OLD_VERSIONS = 3
"""Number of versions of a list to keep besides the current one, for requests that still read them."""

EVICTION_BATCH_BYTES = 256 << 10
"""Minimum to evict at a time."""


class VersionCache:
    """The cached versions of all lists.

    Versions that are not current are evicted first, then the least recently read records. Lists that are cached whole
    are evicted only in favour of each other. `bytes` never exceeds `budget`; with a budget of 0 only manifests are
    cached.
    """

    def __init__(self, budget: int = DEFAULT_CACHE_BYTES) -> None:
        self.budget = budget
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._lists: dict[str, dict[int, CachedVersion]] = {}
        self._current: dict[str, int] = {}

    @property
    def whole_limit(self) -> int:
        """Maximum bytes of a list that is cached whole."""
        return self.budget // WHOLE_LIST_DIVISOR

    def find(self, price_list: str, version: int) -> CachedVersion | None:
        """Return a cached version, or None."""
        versions = self._lists.get(price_list)
        return None if versions is None else versions.get(version)

    def get_or_add(self, snapshot: Snapshot) -> CachedVersion:
        """Return a cached version; if there is none, add one without records, for a manifest that was just read."""
        found = self.find(snapshot.price_list, snapshot.version)
        if found is None:
            found = CachedVersion(snapshot, asyncio.get_running_loop().time())
            self.put(found)
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
            found.snapshot = snapshot
            found.read_at = asyncio.get_running_loop().time()
        elif self._current.get(snapshot.price_list) == snapshot.version:
            self.get_or_add(snapshot)

    def set_current(self, price_list: str, version: int | None) -> None:
        """Set the current version of a list."""
        if version is None:
            self._current.pop(price_list, None)
        else:
            self._current[price_list] = version
        for each in self._lists.get(price_list, {}).values():
            each.is_next = False
        self._drop_old_versions(price_list)

    def put(self, cached: CachedVersion) -> None:
        """Put a version into the cache, in place of an earlier entry for it."""
        before = self.find(cached.snapshot.price_list, cached.snapshot.version)
        if before is not None:
            self.drop(before)
        self._lists.setdefault(cached.snapshot.price_list, {})[cached.snapshot.version] = cached
        self._drop_old_versions(cached.snapshot.price_list)

    def drop(self, cached: CachedVersion) -> None:
        """Drop a version. Versions that read through it keep only their own records."""
        versions = self._lists[cached.snapshot.price_list]
        if cached.loading:
            cached.loading.cancel()
        for other in versions.values():
            if other.newer is cached:
                self.bytes -= other.detach_newer()
        if versions.get(cached.snapshot.version) is cached:
            del versions[cached.snapshot.version]
        self.bytes -= cached.bytes
        self.evictions += len(cached.young) + len(cached.old)
        cached.clear()

    def add(self, cached: CachedVersion, found: Iterable[tuple[str, Record]]) -> bool:
        """Add records of a version. Returns False if it was dropped, or there is no room for them."""
        if not self.budget or self.find(cached.snapshot.price_list, cached.snapshot.version) is not cached:
            return False
        added = []
        for sku, record in found:
            if weight := cached.add(sku, record):
                self.bytes += weight
                added.append(sku)
        if self.make_room():
            return True
        for sku in added:
            self.bytes -= cached.discard(sku)
        return False

    def make_room(self) -> bool:
        """Evict until everything fits into the budget. Returns False if that is impossible."""
        while self.bytes > self.budget:
            victim = self._victim()
            if victim is None:
                return False
            if self.is_current(victim):
                count, freed = victim.evict(max(self.bytes - self.budget, min(EVICTION_BATCH_BYTES, self.budget // 16)))
                self.evictions += count
                self.bytes -= freed
            else:
                self.drop(victim)
        return True

    def complete(self, cached: CachedVersion, skus: Sequence[str]) -> bool:
        """Mark a version as whole. Returns False if records were evicted since, or it is too large."""
        before = cached.bytes
        is_whole = cached.complete(skus)
        self.bytes += cached.bytes - before
        if is_whole and not (self.fits_whole(cached, cached.bytes) and self.make_room()):
            self.bytes -= cached.detach_newer()
            return False
        return is_whole

    def fits_whole(self, cached: CachedVersion, weight: int) -> bool:
        """Whether a version of `weight` bytes may be cached whole, in addition to those that are."""
        if not (cached.is_next or self.is_current(cached)):
            return False
        other_bytes = sum(other.bytes for other in self._whole_versions() if other is not cached)
        return weight <= self.whole_limit and other_bytes + weight <= 2 * self.whole_limit

    def make_room_for_whole(self, cached: CachedVersion, weight: int) -> bool:
        """Drop whole lists that no request read since the last call until `fits_whole`, which is returned."""
        if weight > self.whole_limit:
            return False
        for other in self._whole_versions():
            if self.fits_whole(cached, weight):
                return True
            if other is not cached and not other.was_read:
                self.drop(other)
            other.was_read = False
        return self.fits_whole(cached, weight)

    def _victim(self) -> CachedVersion | None:
        """Return the version to evict from: one that is not current, else the largest that is evictable."""
        candidates = [each for versions in self._lists.values() for each in versions.values() if not each.is_next]
        old = next((each for each in candidates if each.bytes and not self.is_current(each)), None)
        if old is not None:
            return old
        evictable = [each for each in candidates if each.is_evictable and (each.young or each.old)]
        return max(evictable, key=lambda each: each.bytes, default=None)

    def _whole_versions(self) -> list[CachedVersion]:
        currents = (self.current(name) for name in self._current)
        return [each for each in currents if each is not None and each.is_whole]

    def _drop_old_versions(self, price_list: str) -> None:
        versions = self._lists.get(price_list, {})
        old = [each for each in versions.values() if not self.is_current(each)]
        for each in old[: max(0, len(old) - MAX_OLD_VERSIONS)]:
            self.drop(each)
