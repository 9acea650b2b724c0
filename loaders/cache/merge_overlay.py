"""A merge laid over the records of its base: the new version takes them over, the base keeps what was changed."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from loaders.cache.cached_version import MISSING, CachedVersion, Found, Record
from loaders.cache.memory_size import SORTED_PLACE, weigh
from loaders.cache.version_cache import VersionCache


class MergeOverlay:
    """Turns the records of `base` into those of its successor, a slice at a time.

    At each step what is known of the base is the same: the records that were changed are its own, and it reads the
    others through the successor. So no record is copied, and none is in memory twice. As a context manager it undoes
    what was not finished.
    """

    def __init__(self, versions: VersionCache, base: CachedVersion, records: CachedVersion) -> None:
        self._versions = versions
        self._base = base
        self._records = records
        self._whole = base.skus is not None
        self._changed: set[str] = set()
        self._added: list[str] = []
        self._removed: set[str] = set()
        self._weight = 0
        self._finished = False

    def __enter__(self) -> Self:
        base, records = self._base, self._records
        sorted_places = SORTED_PLACE * len(base.skus or ())
        records.young, records.old, records.bytes = base.young, base.old, base.bytes - sorted_places
        base.young, base.old, base.bytes = {}, {}, sorted_places
        base.newer, base.changed = records, self._changed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self._undo()

    def say(self, changes: Iterable[tuple[str, Record]]) -> bool:
        """Lay changes over the base, in sku order; False where they do not fit, or the base was dropped meanwhile."""
        if self._base.newer is not self._records:
            return False
        before = self._base.bytes + self._records.bytes
        for sku, record in changes:
            known = self._records.get(sku)
            was = None if known is MISSING and self._whole else known
            if was is MISSING or was != record:
                self._change(sku, known, was, record)
        grown = self._base.bytes + self._records.bytes - before
        self._weight += grown
        self._versions.bytes += grown
        return self._versions.make_room()

    def _change(self, sku: str, known: Found, was: Found, record: Record) -> None:
        base, records = self._base, self._records
        self._changed.add(sku)
        base.bytes += weigh(sku, None if was is MISSING else was)
        if known is not MISSING:
            records.bytes -= weigh(sku, known)
            del records.young[sku]
        if was is not MISSING:
            base.young[sku] = was
            if record is not None or not self._whole:
                records.young[sku] = record
                records.bytes += weigh(sku, record)
        if was is None and record is not None:
            self._added.append(sku)
        elif record is None:
            self._removed.add(sku)

    def finish(self) -> bool:
        """Let the cache have the new version; False where the base was dropped meanwhile."""
        base, records = self._base, self._records
        if base.newer is not records:
            return False
        self._finished = True
        self._versions.put(records)
        if base.skus is not None:
            kept = [sku for sku in base.skus if sku not in self._removed] if self._removed else base.skus
            # Two sorted runs, which is what sorting is quickest at.
            self._versions.complete(records, sorted([*kept, *self._added]) if self._added else kept)
        return True

    def _undo(self) -> None:
        base, records = self._base, self._records
        if base.newer is not records:
            self._versions.bytes -= records.bytes
            records.forget()
            return
        for sku in self._changed:
            records.young.pop(sku, None)
        records.young.update((sku, was) for sku, was in base.young.items() if was is not None or not self._whole)
        base.bytes += records.bytes - self._weight
        self._versions.bytes -= self._weight
        base.young, base.old, base.newer, base.changed = records.young, records.old, None, frozenset()
        records.forget()
