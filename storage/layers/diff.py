"""Differences between two versions of a list, in sku order.

Only skus in the layers above the oldest ones that both versions share can differ: the cost follows the merges since,
not the size of the list. Versions that share no layer are read side by side, without the blocks that are equal in both.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from storage.catalog.gates import DiffSummary
from storage.catalog.snapshots import Layer, Snapshot
from storage.errors import ScanLimit
from storage.fair_yield import yield_to_loop
from storage.layers.amount_changes import AmountChanges
from storage.layers.cached_layer import CachedLayer
from storage.layers.changes import Change, Changes, visible_row
from storage.layers.directory import PAGE_BLOCKS, Directory
from storage.layers.merge import NO_ROWS, Rows, Segment, Segments, merged
from storage.layers.price_diff import DiffStatistics, PriceDiff, price_diffs
from storage.layers.reader import LayerReader
from storage.layers.row_allowance import MAX_SCAN, RowAllowance
from storage.prices.sku_range import ALL_SKUS, SkuRange, sku_range_of_prefix

MAX_CONCURRENT_DIFFS = 4
"""Comparisons that run at once in a process; others wait."""

RUNS_PER_LOOKUP = 16
"""Runs of rows, of a block each at most, that are looked up at once in the layers below: some 1,200 rows."""

CHANGES_PER_STEP = 100
"""Changes to measure before other tasks may run: a millisecond."""


class VersionDiffer:
    """Compares versions."""

    def __init__(self, layer_reader: LayerReader, max_rows: int = MAX_SCAN) -> None:
        self._layer_reader = layer_reader
        self._max_rows = max_rows
        self.slots = asyncio.Semaphore(MAX_CONCURRENT_DIFFS)
        """Limits the comparisons that requests start; those of batches do not wait."""

    async def page(
        self, before: Snapshot, after: Snapshot, limit: int, *, above: str | None = None, sku_prefix: str = ""
    ) -> list[PriceDiff]:
        """Return up to `limit` differences in sku order, of skus with a prefix that are greater than `above`.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        found: list[Change] = []
        sku_range = sku_range_of_prefix(sku_prefix).between(above, None)
        async with self.slots, aclosing(self.changes(before.layers, after.layers, sku_range)) as changes:
            async for run in changes:
                found += run
                if len(found) >= limit:
                    break
        return price_diffs(found[:limit], before, after)

    async def statistics(
        self, before: Snapshot, after: Snapshot, largest: int, *, sku_prefix: str = ""
    ) -> DiffStatistics:
        """Count and measure the differences of skus with a prefix, and return up to `largest` changes of amounts.

        Raises `ScanLimit`, `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        refusal = ScanLimit(
            "The statistics of all differences, and their number with a `skuPrefix`, would compare more than "
            f"{self._max_rows} rows of the versions {before.version} and {after.version} of {after.price_list!r}, the "
            "limit of a request. Narrow them with a longer `skuPrefix`, or page through the differences."
        )
        found, differences, spend = AmountChanges(largest), 0, RowAllowance(self._max_rows, refusal).spend
        reading = self.changes(before.layers, after.layers, sku_range_of_prefix(sku_prefix), spend)
        async with self.slots, aclosing(reading) as changes:
            async for run in changes:
                differences += len(run)
                for number, change in enumerate(run, 1):
                    found.add(change)
                    if not number % CHANGES_PER_STEP:
                        await yield_to_loop()
        return DiffStatistics(differences, price_diffs(found.largest(), before, after), found.distribution())

    async def summary(self, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Count the differences. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        async with self.slots:
            changes = await self.count(before.layers, after.layers)
        unchanged = after.size - changes.added - changes.changed
        return DiffSummary(changes.added, changes.removed, changes.changed, unchanged)

    async def count(self, before: Sequence[Layer], after: Sequence[Layer]) -> Changes:
        """Count what a stack of layers changes in another. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        total = Changes()
        async with aclosing(self.changes(before, after)) as changes:
            async for run in changes:
                for change in run:
                    total.add(change)
        return total

    async def changes(
        self,
        before: Sequence[Layer],
        after: Sequence[Layer],
        sku_range: SkuRange = ALL_SKUS,
        spend: Callable[[int], None] = lambda _: None,
    ) -> AsyncGenerator[list[Change], None]:
        """Yield runs of differences within a range, in sku order. Raises `LayerGone`, `Corrupt`, `UnknownFormat`.

        `spend` is called with the number of rows before they are compared.
        """
        shared = _count_shared(before, after)
        below = before[len(before) - shared :]
        stacks = [await self._layer_reader.layers(layers[: len(layers) - shared]) for layers in (before, after)]
        async with aclosing(self._side_by_side(stacks, sku_range)) as pairs:
            async for old, new in pairs:
                spend(len(old.skus) + len(new.skus))
                changes = await self._compare(old, new, below)
                if changes:
                    yield changes
                await yield_to_loop()

    async def _compare(self, old: Rows, new: Rows, below: Sequence[Layer]) -> list[Change]:
        """Return the differences of the rows of two stacks, which both lie on the layers `below`."""
        before, after = dict(zip(*old, strict=True)), dict(zip(*new, strict=True))
        different = [sku for sku in {**before, **after} if before.get(sku) != after.get(sku)]
        incomplete = [sku for sku in different if sku not in before or sku not in after]
        hidden = await self._layer_reader.find_rows(below, incomplete) if below and incomplete else {}
        changes = []
        for sku in sorted(different):
            one, other = (visible_row(side.get(sku) or hidden.get(sku)) for side in (before, after))
            if one != other:
                changes.append(Change(sku, one, other))
        return changes

    async def _side_by_side(
        self, stacks: Sequence[Sequence[CachedLayer]], sku_range: SkuRange
    ) -> AsyncGenerator[tuple[Rows, Rows], None]:
        """Yield the rows of two stacks, with tombstones, for one stretch of skus after the other.

        Stretches that are equal in both may be left out.
        """
        if not all(stacks):
            async for pair in self._one_side(stacks, sku_range):
                yield pair
            return
        equal = await _common_hashes([stack[-1].directory for stack in stacks], sku_range)
        left, right = (_Side(self._layer_reader, stack, sku_range, equal) for stack in stacks)
        try:
            while not (left.is_finished and right.is_finished):
                if left.is_empty and right.is_empty and await _skip_equal(left, right):
                    continue
                await (left if left.is_behind(right) else right).load()
                end = left.end if left.is_behind(right) else right.end
                rows = left.take(end), right.take(end)
                if rows != (NO_ROWS, NO_ROWS):
                    yield rows
        finally:
            await left.close()
            await right.close()

    async def _one_side(
        self, stacks: Sequence[Sequence[CachedLayer]], sku_range: SkuRange
    ) -> AsyncGenerator[tuple[Rows, Rows], None]:
        before, after = stacks
        if before or after:
            async with aclosing(_joined(merged(self._layer_reader, before or after, sku_range))) as runs:
                async for rows in runs:
                    yield (rows, NO_ROWS) if before else (NO_ROWS, rows)


class _Side:
    """The segments of one of two stacks, and the rows of those that were loaded and not yet taken."""

    def __init__(
        self, reader: LayerReader, stack: Sequence[CachedLayer], sku_range: SkuRange, equal: set[bytes]
    ) -> None:
        self._directory = stack[-1].directory
        self._segments = Segments(reader, stack, sku_range, lambda index: self._directory.hash(index) not in equal)
        self._stream = aiter(self._segments)
        self._next: Segment | None = None
        self._rows = NO_ROWS
        self.end: str | None = ""
        """All rows before this sku were loaded; None: all rows were."""

    @property
    def is_finished(self) -> bool:
        return self.end is None and self.is_empty

    @property
    def is_empty(self) -> bool:
        return not self._rows.skus

    def is_behind(self, other: "_Side") -> bool:
        """Whether fewer rows were loaded than of the other side."""
        return self.end is not None and (other.end is None or self.end <= other.end)

    async def peek(self) -> Segment | None:
        """Return the next segment without loading it; None after the last."""
        if self._next is None:
            self._next = await anext(self._stream, None)
        return self._next

    async def hash_of_next(self) -> bytes | None:
        """Return the hash of the next segment if it is a block as it was stored."""
        segment = await self.peek()
        return None if segment is None or segment.block is None else self._directory.hash(segment.block)

    def skip(self) -> None:
        """Pass over the segment that was peeked at."""
        if self._next is not None:
            self.end, self._next = self._next.end, None

    async def load(self) -> None:
        """Load the next segment."""
        segment = await self.peek()
        if segment is None:
            self.end = None
            return
        rows = segment.rows if segment.block is None else await self._segments.read(segment.block)
        self._rows = Rows(self._rows.skus + rows.skus, self._rows.rows + rows.rows)
        self.skip()

    def take(self, end: str | None) -> Rows:
        """Take the loaded rows before a sku; None takes all."""
        taken, self._rows = self._rows.cut(end)
        return taken

    async def close(self) -> None:
        await self._stream.aclose()


async def _joined(runs: AsyncGenerator[Rows, None]) -> AsyncGenerator[Rows, None]:
    """Join up to `RUNS_PER_LOOKUP` runs of rows."""
    joined, count = Rows([], []), 0
    async with aclosing(runs):
        async for skus, rows in runs:
            joined.skus.extend(skus)
            joined.rows.extend(rows)
            count += 1
            if count == RUNS_PER_LOOKUP:
                yield joined
                joined, count = Rows([], []), 0
    if joined.skus:
        yield joined


async def _skip_equal(left: _Side, right: _Side) -> bool:
    """Pass over the next segment of both sides if it is the same block."""
    expected = await left.hash_of_next()
    if expected is None or expected != await right.hash_of_next():
        return False
    left.skip()
    right.skip()
    return True


async def _common_hashes(directories: Sequence[Directory], sku_range: SkuRange) -> set[bytes]:
    """Return the hashes of the blocks within a range that two layers have in common."""
    hashes = [set[bytes](), set[bytes]()]
    for found, directory in zip(hashes, directories, strict=True):
        indexes = directory.indexes(sku_range)
        for start in range(indexes.start, indexes.stop, PAGE_BLOCKS):
            found.update(map(directory.hash, range(start, min(start + PAGE_BLOCKS, indexes.stop))))
            await yield_to_loop()
    return hashes[0] & hashes[1]


def _count_shared(before: Sequence[Layer], after: Sequence[Layer]) -> int:
    """Return how many of the oldest layers both versions have."""
    shared = 0
    while shared < min(len(before), len(after)) and before[-1 - shared].id == after[-1 - shared].id:
        shared += 1
    return shared
