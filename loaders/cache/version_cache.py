"""The version cache of a process: the records of versions in memory, shared by all requests, bounded by bytes."""

import asyncio
from collections.abc import Iterable, Sequence

from loaders.cache.cached_version import CachedVersion, Record
from storage import Snapshot

DEFAULT_CACHE_BYTES = 256 << 20

# A list is kept whole if it takes at most this part of the budget, and all such lists together at most twice that:
# so there is always room for the next version of one of them beside the one that is read.
WHOLE_SHARE = 3

# So many versions of a list that are not current are kept, for walks and requests that are still on them.
MAX_OLD_VERSIONS = 3

# Evicting takes so much at a time, at the least.
EVICTION_BATCH_BYTES = 256 << 10


class VersionCache:
    """What is in memory of the versions of all lists.

    Memory is taken from versions that are not current first, then from what was not read lately; lists that are kept
    whole give way only to each other. `bytes` never exceeds `budget`; with a budget of 0 only manifests are kept.
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
        """How many bytes a list may take that is kept whole."""
        return self.budget // WHOLE_SHARE

    def find(self, price_list: str, version: int) -> CachedVersion | None:
        """Return what is in memory of a version, or None."""
        versions = self._lists.get(price_list)
        return None if versions is None else versions.get(version)

    def of(self, snapshot: Snapshot) -> CachedVersion:
        """Return what is in memory of a version, whose manifest was just read."""
        found = self.find(snapshot.price_list, snapshot.version)
        if found is None:
            found = CachedVersion(snapshot, asyncio.get_running_loop().time())
            self.put(found)
        return found

    def current(self, price_list: str) -> CachedVersion | None:
        """Return what is in memory of a list's current version, or None."""
        version = self._current.get(price_list)
        return None if version is None else self.find(price_list, version)

    def is_current(self, records: CachedVersion) -> bool:
        """Whether a version is the one that readers of its list are given."""
        return self.current(records.snapshot.price_list) is records

    def note(self, snapshot: Snapshot) -> None:
        """Take note of a manifest that was just read; that of a current version is kept."""
        found = self.find(snapshot.price_list, snapshot.version)
        if found is not None:
            found.snapshot = snapshot
            found.read_at = asyncio.get_running_loop().time()
        elif self._current.get(snapshot.price_list) == snapshot.version:
            self.of(snapshot)

    def turn(self, price_list: str, version: int | None) -> None:
        """Take note of which version readers of a list are given from now on."""
        if version is None:
            self._current.pop(price_list, None)
        else:
            self._current[price_list] = version
        for each in self._lists.get(price_list, {}).values():
            each.coming = False
        self._thin(price_list)

    def put(self, records: CachedVersion) -> None:
        """Take in a version; what was here of it before is dropped."""
        before = self.find(records.snapshot.price_list, records.snapshot.version)
        if before is not None:
            self.drop(before)
        self._lists.setdefault(records.snapshot.price_list, {})[records.snapshot.version] = records
        self._thin(records.snapshot.price_list)

    def drop(self, records: CachedVersion) -> None:
        """Let go of a version. One that read through it knows only its own records from now on."""
        versions = self._lists[records.snapshot.price_list]
        if records.loading:
            records.loading.cancel()
        for other in versions.values():
            if other.newer is records:
                self.bytes -= other.lose_newer()
        if versions.get(records.snapshot.version) is records:
            del versions[records.snapshot.version]
        self.bytes -= records.bytes
        self.evictions += len(records.young) + len(records.old)
        records.forget()

    def add(self, records: CachedVersion, found: Iterable[tuple[str, Record]]) -> bool:
        """Keep records of a version; False where it was dropped meanwhile, or there is no room for them."""
        if not self.budget or self.find(records.snapshot.price_list, records.snapshot.version) is not records:
            return False
        added = []
        for sku, record in found:
            if weight := records.add(sku, record):
                self.bytes += weight
                added.append(sku)
        if self.make_room():
            return True
        for sku in added:
            self.bytes -= records.take_back(sku)
        return False

    def make_room(self) -> bool:
        """Evict until everything fits into the budget; False where it cannot."""
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

    def complete(self, records: CachedVersion, skus: Sequence[str]) -> bool:
        """Note that all records of a version are here; False where some were evicted meanwhile, or it is too large."""
        before = records.bytes
        whole = records.complete(skus)
        self.bytes += records.bytes - before
        if whole and not (self.fits_whole(records, records.bytes) and self.make_room()):
            self.bytes -= records.lose_newer()
            return False
        return whole

    def fits_whole(self, records: CachedVersion, weight: int) -> bool:
        """Whether a list of that weight may be kept whole, beside those that are, and has readers."""
        if not (records.coming or self.is_current(records)):
            return False
        others = sum(other.bytes for other in self._wholes() if other is not records)
        return weight <= self.whole_limit and others + weight <= 2 * self.whole_limit

    def make_way(self, records: CachedVersion, weight: int) -> bool:
        """Tell `fits_whole`; lists that nobody read since the last time give way."""
        if weight > self.whole_limit:
            return False
        for other in self._wholes():
            if self.fits_whole(records, weight):
                return True
            if other is not records and not other.read:
                self.drop(other)
            other.read = False
        return self.fits_whole(records, weight)

    def _victim(self) -> CachedVersion | None:
        """Return the version to take memory from: one that is not current, or of those not whole the largest."""
        everything = [each for versions in self._lists.values() for each in versions.values() if not each.coming]
        other = next((each for each in everything if each.bytes and not self.is_current(each)), None)
        if other is not None:
            return other
        evictable = [each for each in everything if not each.pinned and (each.young or each.old)]
        return max(evictable, key=lambda each: each.bytes, default=None)

    def _wholes(self) -> list[CachedVersion]:
        currents = (self.current(name) for name in self._current)
        return [each for each in currents if each is not None and each.whole]

    def _thin(self, price_list: str) -> None:
        versions = self._lists.get(price_list, {})
        others = [each for each in versions.values() if not self.is_current(each)]
        for each in others[: max(0, len(others) - MAX_OLD_VERSIONS)]:
            self.drop(each)
