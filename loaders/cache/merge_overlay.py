"""Applies a merge to a cached base: the new version takes over its records, the base keeps the changed ones."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from loaders.cache.cached_version import MISSING, CachedVersion, Found, Record
from loaders.cache.memory_size import SORTED_ENTRY_BYTES, weigh
from loaders.cache.version_cache import VersionCache


class MergeOverlay:
    """Turns the cached records of `base` into those of its successor `newer`, one slice at a time.

    The base can be read at every step: it holds the changed records, and reads the others through the successor. So
    no record is copied, and none is in memory twice. Leaving the context manager before `finish` undoes the changes.
    """

    def __init__(self, versions: VersionCache, base: CachedVersion, newer: CachedVersion) -> None:
        self._versions = versions
        self._base = base
        self._newer = newer
        self._base_is_whole = base.skus is not None
        self._changed: set[str] = set()
        self._added: list[str] = []
        self._removed: set[str] = set()
        self._weight = 0
        self._finished = False

    def __enter__(self) -> Self:
        base, newer = self._base, self._newer
        skus_bytes = SORTED_ENTRY_BYTES * len(base.skus or ())
        newer.young, newer.old, newer.bytes = base.young, base.old, base.bytes - skus_bytes
        base.young, base.old, base.bytes = {}, {}, skus_bytes
        base.newer, base.changed = newer, self._changed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self._undo()

    def apply(self, changes: Iterable[tuple[str, Record]]) -> bool:
        """Apply changes, in sku order. Returns False if they do not fit, or the base was dropped."""
        if self._base.newer is not self._newer:
            return False
        before = self._base.bytes + self._newer.bytes
        for sku, record in changes:
            cached = self._newer.get(sku)
            old = None if cached is MISSING and self._base_is_whole else cached
            if old is MISSING or old != record:
                self._change(sku, cached, old, record)
        grown = self._base.bytes + self._newer.bytes - before
        self._weight += grown
        self._versions.bytes += grown
        return self._versions.make_room()

    def _change(self, sku: str, cached: Found, old: Found, record: Record) -> None:
        base, newer = self._base, self._newer
        self._changed.add(sku)
        base.bytes += weigh(sku, None if old is MISSING else old)
        if cached is not MISSING:
            newer.bytes -= weigh(sku, cached)
            del newer.young[sku]
        if old is not MISSING:
            base.young[sku] = old
            if record is not None or not self._base_is_whole:
                newer.young[sku] = record
                newer.bytes += weigh(sku, record)
        if old is None and record is not None:
            self._added.append(sku)
        elif record is None:
            self._removed.add(sku)

    def finish(self) -> bool:
        """Put the new version into the cache. Returns False if the base was dropped."""
        base, newer = self._base, self._newer
        if base.newer is not newer:
            return False
        self._finished = True
        self._versions.put(newer)
        if base.skus is not None:
            kept = [sku for sku in base.skus if sku not in self._removed] if self._removed else base.skus
            # Two sorted runs: the best case of Timsort.
            self._versions.complete(newer, sorted([*kept, *self._added]) if self._added else kept)
        return True

    def _undo(self) -> None:
        base, newer = self._base, self._newer
        if base.newer is not newer:
            self._versions.bytes -= newer.bytes
            newer.clear()
            return
        for sku in self._changed:
            newer.young.pop(sku, None)
        newer.young.update((sku, old) for sku, old in base.young.items() if old is not None or not self._base_is_whole)
        base.bytes += newer.bytes - self._weight
        self._versions.bytes -= self._weight
        base.young, base.old, base.newer, base.changed = newer.young, newer.old, None, frozenset()
        newer.clear()
