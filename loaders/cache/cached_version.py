"""The cached records of one version. A version is immutable, so records are only added and evicted."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from enum import Enum, auto
from itertools import islice
from typing import Final, Literal, cast

from loaders.cache.memory_size import SORTED_ENTRY_BYTES, weigh
from storage import Price, Snapshot


class Missing(Enum):
    """The result for a sku that is not cached; a sku that the version does not have is None."""

    MISSING = auto()


MISSING: Final = Missing.MISSING

Record = Price | None
"""The price of a sku, or None if the version does not have that sku."""

Found = Record | Literal[Missing.MISSING]
"""The result of a look-up in the cache."""


class CachedVersion:
    """The manifest of a version, and some of its records or, of a small list, all of them.

    Records are kept in two generations: reads move records to the young one, evictions take them from the old one,
    and once the old one is empty the young one becomes old. So a hit costs one look-up and no bookkeeping. The
    records that entered the old generation last are evicted first: the most popular ones were the first to be read
    again, and so have the longest time to be read once more.

    After a merge, the base keeps only the records that the merge `changed`, and reads the others through the `newer`
    version.
    """

    __slots__ = (
        "bytes",
        "changed",
        "idle_versions",
        "is_next",
        "loading",
        "newer",
        "old",
        "read_at",
        "retry_at",
        "skus",
        "snapshot",
        "was_read",
        "young",
    )

    def __init__(self, snapshot: Snapshot, read_at: float) -> None:
        """`read_at` is when the manifest was read, by the event loop's clock."""
        self.snapshot = snapshot
        self.read_at = read_at
        self.young: dict[str, Record] = {}
        self.old: dict[str, Record] = {}
        self.skus: Sequence[str] | None = None
        """All skus of the version, sorted, once all records are cached."""
        self.newer: CachedVersion | None = None
        self.changed: Container[str] = frozenset()
        self.bytes = 0
        self.was_read = False
        """Whether a request read a record."""
        self.idle_versions = 0
        """Number of consecutive versions before this one that no request read."""
        self.retry_at = 0.0
        """When the next attempt to load all records may start, by the event loop's clock."""
        self.loading: asyncio.Task[None] | None = None
        """The task that is loading all records, if any."""
        self.is_next = False
        """Whether the process is about to switch to this version."""

    @property
    def is_whole(self) -> bool:
        """Whether this object holds all records of the version."""
        return self.skus is not None and self.newer is None

    @property
    def is_evictable(self) -> bool:
        """Whether single records may be evicted. Not if all are cached or loading, or `newer` holds most of them."""
        return self.skus is None and self.newer is None and self.loading is None

    def get(self, sku: str) -> Found:
        """Return the record of a sku, or MISSING if it is not cached."""
        found = self.young.get(sku, MISSING)
        return self._get_elsewhere(sku) if found is MISSING else found

    def _get_elsewhere(self, sku: str) -> Found:
        if self.newer is not None:
            return MISSING if sku in self.changed else self.newer.get(sku)
        if self.skus is not None:
            return None
        found = self.old.pop(sku, MISSING)
        if found is not MISSING:
            self.young[sku] = found
        return found

    def page(self, limit: int, after: str | None, before: str | None, *, backward: bool) -> list[Price] | None:
        """Return up to `limit` prices in sku order, as `LayerReader.page` does, or None unless all are cached."""
        if self.skus is None:
            return None
        start = 0 if after is None else bisect_right(self.skus, after)
        end = len(self.skus) if before is None else bisect_left(self.skus, before)
        if backward:
            start = max(start, end - limit)
        else:
            end = min(end, start + limit)
        skus = self.skus[start : max(start, end)]
        if self.newer is None:
            return cast("list[Price]", list(map(self.young.__getitem__, skus)))
        prices = [price for sku in skus if isinstance(price := self.get(sku), Price)]
        return prices if len(prices) == len(skus) else None

    def hot_skus(self, limit: int) -> list[str]:
        """Return the skus that were read, the latest first."""
        generations = [self.young, self.old] if self.newer is None else [self.young, self.newer.young, self.newer.old]
        return list(islice((sku for generation in generations for sku in reversed(generation)), limit))

    def add(self, sku: str, record: Record) -> int:
        """Cache a record. Returns the bytes added: 0 if it was already cached."""
        owner = self._owner(sku)
        if owner.skus is not None or sku in owner.young or sku in owner.old:
            return 0
        owner.young[sku] = record
        weight = weigh(sku, record)
        owner.bytes += weight
        return weight

    def discard(self, sku: str) -> int:
        """Remove a record that was just added. Returns the bytes freed."""
        owner = self._owner(sku)
        found = owner.young.pop(sku, MISSING)
        if found is MISSING:
            return 0
        weight = weigh(sku, found)
        owner.bytes -= weight
        return weight

    def _owner(self, sku: str) -> "CachedVersion":
        """Return the version that holds this version's record of a sku."""
        owner = self
        while owner.newer is not None and sku not in owner.changed:
            owner = owner.newer
        return owner

    def evict(self, target_bytes: int) -> tuple[int, int]:
        """Evict about `target_bytes` of the least recently read records. Returns the records and bytes evicted."""
        count = freed = 0
        while freed < target_bytes and (self.old or self.young):
            if not self.old:
                self.old, self.young = self.young, {}
            freed += weigh(*self.old.popitem())
            count += 1
        self.bytes -= freed
        return count, freed

    def complete(self, skus: Sequence[str]) -> bool:
        """Mark the version as whole, with `skus` as all its skus. Returns False if some were evicted since."""
        self.young.update(self.old)
        self.old = {}
        if not all(map(self.young.__contains__, skus)):
            return False
        self.skus = skus
        self.bytes += SORTED_ENTRY_BYTES * len(skus)
        return True

    def detach_newer(self) -> int:
        """Stop reading through `newer`, and keep only this object's records. Returns the bytes freed."""
        freed = SORTED_ENTRY_BYTES * len(self.skus or ())
        self.newer, self.changed, self.skus = None, frozenset(), None
        self.bytes -= freed
        return freed

    def clear(self) -> None:
        """Remove everything but the manifest."""
        self.young, self.old, self.skus, self.bytes = {}, {}, None, 0
        self.newer, self.changed = None, frozenset()
