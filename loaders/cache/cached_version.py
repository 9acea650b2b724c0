"""The records of one version that are in memory. A version never changes, so they are only added and evicted."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from enum import Enum, auto
from itertools import islice
from typing import Final, Literal, cast

from loaders.cache.memory_size import SORTED_PLACE, weigh
from storage import Price, Snapshot


class Missing(Enum):
    """What is answered of a sku of which nothing is in memory; that a version does not have a sku is None."""

    MISSING = auto()


MISSING: Final = Missing.MISSING
Record = Price | None
Found = Record | Literal[Missing.MISSING]


class CachedVersion:
    """What is in memory of a version: its manifest, and some of its records or, of a small list, all of them.

    Records are kept in two generations: what is read moves to the young one, what is evicted is taken from the old
    one, and when that is empty the young one becomes old. A hit so costs one look-up and no bookkeeping. The latest
    of the old ones go first: what is asked for most was the first to be read again, and has the longest time for it.

    A version that was succeeded by a merge keeps only the records that the merge `changed`, and reads the others
    through the `newer` one.
    """

    __slots__ = (
        "bytes",
        "changed",
        "coming",
        "idle",
        "loading",
        "newer",
        "old",
        "read",
        "read_at",
        "retry_at",
        "skus",
        "snapshot",
        "young",
    )

    def __init__(self, snapshot: Snapshot, read_at: float) -> None:
        """`read_at` is when the manifest was read, by the clock of the event loop."""
        self.snapshot = snapshot
        self.read_at = read_at
        self.young: dict[str, Record] = {}
        self.old: dict[str, Record] = {}
        self.skus: Sequence[str] | None = None
        """All skus of the version, sorted, once it is whole."""
        self.newer: CachedVersion | None = None
        self.changed: Container[str] = frozenset()
        self.bytes = 0
        self.read = False
        """Whether somebody asked for a record."""
        self.idle = 0
        """How many versions in a row, up to this one's predecessor, nobody read."""
        self.retry_at = 0.0
        """Until then it is not tried to load all of it."""
        self.loading: asyncio.Task[None] | None = None
        """What loads all of it, while that goes on."""
        self.coming = False
        """Whether readers of the list are about to be given it."""

    @property
    def whole(self) -> bool:
        """Whether all its records are here."""
        return self.skus is not None and self.newer is None

    @property
    def pinned(self) -> bool:
        """Whether no single record may be evicted: all are here or on their way, or another version is read through."""
        return self.skus is not None or self.newer is not None or self.loading is not None

    def get(self, sku: str) -> Found:
        """Return the record of a sku: None where the version has none, MISSING where that is not known here."""
        found = self.young.get(sku, MISSING)
        return self._beyond(sku) if found is MISSING else found

    def _beyond(self, sku: str) -> Found:
        if self.newer is not None:
            return MISSING if sku in self.changed else self.newer.get(sku)
        if self.skus is not None:
            return None
        found = self.old.pop(sku, MISSING)
        if found is not MISSING:
            self.young[sku] = found
        return found

    def run(self, limit: int, after: str | None, before: str | None, *, backward: bool) -> list[Price] | None:
        """Return up to `limit` prices in sku order, as `LayerReader.page` does; None where not all of them are here."""
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

    def hot(self, most: int) -> list[str]:
        """Return skus that were read, the latest first."""
        generations = [self.young, self.old] if self.newer is None else [self.young, self.newer.young, self.newer.old]
        return list(islice((sku for generation in generations for sku in reversed(generation)), most))

    def add(self, sku: str, record: Record) -> int:
        """Keep a record, and return how many bytes it takes: none, where it is here already."""
        home = self._home(sku)
        if home.skus is not None or sku in home.young or sku in home.old:
            return 0
        home.young[sku] = record
        weight = weigh(sku, record)
        home.bytes += weight
        return weight

    def take_back(self, sku: str) -> int:
        """Let go of a record that was just added; return how many bytes that frees."""
        home = self._home(sku)
        found = home.young.pop(sku, MISSING)
        if found is MISSING:
            return 0
        weight = weigh(sku, found)
        home.bytes -= weight
        return weight

    def _home(self, sku: str) -> "CachedVersion":
        """Return the version whose record of a sku is that of this one."""
        home = self
        while home.newer is not None and sku not in home.changed:
            home = home.newer
        return home

    def evict(self, wanted: int) -> tuple[int, int]:
        """Let go of about so many bytes that were not read lately; return how many records and bytes those were."""
        count = freed = 0
        while freed < wanted and (self.old or self.young):
            if not self.old:
                self.old, self.young = self.young, {}
            freed += weigh(*self.old.popitem())
            count += 1
        self.bytes -= freed
        return count, freed

    def complete(self, skus: Sequence[str]) -> bool:
        """Note that all records are here, those of `skus`; False where some were evicted meanwhile."""
        self.young.update(self.old)
        self.old = {}
        if not all(map(self.young.__contains__, skus)):
            return False
        self.skus = skus
        self.bytes += SORTED_PLACE * len(skus)
        return True

    def lose_newer(self) -> int:
        """Know only what is here from now on; return how many bytes that frees."""
        freed = SORTED_PLACE * len(self.skus or ())
        self.newer, self.changed, self.skus = None, frozenset(), None
        self.bytes -= freed
        return freed

    def forget(self) -> None:
        """Let go of everything but the manifest."""
        self.young, self.old, self.skus, self.bytes = {}, {}, None, 0
        self.newer, self.changed = None, frozenset()
