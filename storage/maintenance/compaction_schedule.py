"""When lists are compacted: soon after their pointers move, several at once within bounds."""

import asyncio
import logging
from collections.abc import Sequence

from pymongo.errors import PyMongoError

from storage.catalog.snapshots import SnapshotRepository
from storage.errors import Corrupt
from storage.maintenance.compaction import MAX_LAYERS, Compactor, Fold
from storage.maintenance.delay_queue import DelayQueue
from storage.maintenance.periodic import log_failure
from storage.mongodb.deadlines import is_cancelled

log = logging.getLogger("pricebook.compaction")

DEBOUNCE_SECONDS = 0.1
"""Lists whose pointers move within this time are checked together."""

MAX_LISTS_PER_CHECK = 1000
"""Number of lists whose layers one query counts."""

MAX_FOLDS = 4
"""Number of folds at once. Each takes up to `FOLD_BYTES` of memory, and they share the CPU time of the process."""

LARGE_FOLD_ROWS = 200_000
"""Rows from which a fold is large: it takes more than a second."""

MAX_LARGE_FOLDS = 2
"""Number of large folds at once. The others must be small, so that new layers do not wait for large folds."""


class CompactionSchedule:
    """The lists that may have too many layers, and the folds that are under way."""

    def __init__(self, snapshots: SnapshotRepository, compactor: Compactor) -> None:
        self._snapshots = snapshots
        self._compactor = compactor
        self._queue = DelayQueue()
        self._versions: dict[str, int] = {}
        self._waiting: dict[str, None] = {}
        self._folds: dict[asyncio.Task[None], Fold] = {}

    def add(self, name: str, version: int) -> None:
        """Check a list soon: `version` has become current."""
        self._versions[name] = version
        self._queue.add(name, DEBOUNCE_SECONDS)

    async def run(self) -> None:
        """Compact the lists that are added, until cancelled."""
        try:
            while not is_cancelled():
                await self._check(await self._queue.take(MAX_LISTS_PER_CHECK))
        finally:
            for fold in self._folds:
                fold.cancel()
            await asyncio.gather(*self._folds, return_exceptions=True)

    async def _check(self, names: Sequence[str]) -> None:
        """Count the layers of lists, and start the folds that they need."""
        try:
            found = await self._snapshots.with_more_layers(MAX_LAYERS, [(name, self._versions[name]) for name in names])
        except PyMongoError as error:
            log_failure(log, "Could not count layers, and will retry", error)
            for name in names:
                self._queue.retry(name)
            return
        crowded = {name for name, _ in found}
        for name in names:  # those that wait longest first
            if name not in crowded:
                self._queue.forget_errors(name)
                continue
            try:
                await self._start_fold(name)
            except Exception as error:  # continue with the other lists
                self._fail(name, error)

    async def _start_fold(self, name: str) -> None:
        """Start the fold that a list needs, or let it wait for the end of another if there are too many."""
        fold = await self._compactor.next_fold(name) if len(self._folds) < MAX_FOLDS else None
        if len(self._folds) >= MAX_FOLDS or (fold and not self._has_room(fold)):
            self._waiting[name] = None
        elif fold:
            task = asyncio.create_task(self._fold(fold), name=f"fold layers of {name}")
            self._folds[task] = fold
            task.add_done_callback(self._folded)

    def _has_room(self, fold: Fold) -> bool:
        large = sum(other.rows >= LARGE_FOLD_ROWS for other in self._folds.values())
        return fold.rows < LARGE_FOLD_ROWS or large < MAX_LARGE_FOLDS

    def _folded(self, task: asyncio.Task[None]) -> None:
        """Check the lists that waited, in their order, and then the list of the fold that ended."""
        fold = self._folds.pop(task)
        for name in (*self._waiting, fold.snapshot.price_list):
            self._queue.add(name)
        self._waiting.clear()

    async def _fold(self, fold: Fold) -> None:
        name = fold.snapshot.price_list
        try:
            await self._compactor.fold(fold)
        except Corrupt as error:
            log.warning("Could not fold %d layers of %s: %s", len(fold.layers), name, error)
            self._compactor.leave_out(fold.layers[-1])
        except Exception as error:  # continue with the other lists
            self._fail(name, error)
        else:
            self._queue.forget_errors(name)

    def _fail(self, name: str, error: Exception) -> None:
        log_failure(log, f"Could not compact {name}", error)
        self._queue.retry(name)
