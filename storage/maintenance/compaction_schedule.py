"""When lists are compacted: soon after their pointers move, several at once within bounds."""

import asyncio
import logging
from collections.abc import Sequence

from pymongo.errors import PyMongoError

from storage.catalog.snapshots import SnapshotRepository
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
        self._waiting: set[str] = set()
        self._folds: dict[asyncio.Task[None], int] = {}

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
            crowded = await self._snapshots.with_more_layers(
                MAX_LAYERS, [(name, self._versions[name]) for name in names]
            )
        except PyMongoError as error:
            log_failure(log, "Could not count layers, and will retry", error)
            for name in names:
                self._queue.retry(name)
            return
        for name, _ in crowded:
            try:
                await self._start_fold(name)
            except Exception as error:  # continue with the other lists
                self._fail(name, error)

    async def _start_fold(self, name: str) -> None:
        """Start the fold that a list needs, or let it wait for the end of another if there are too many."""
        fold = await self._compactor.next_fold(name)
        if fold is None:
            return
        if not self._has_room(fold.rows):
            self._waiting.add(name)
            return
        task = asyncio.create_task(self._fold(fold), name=f"fold layers of {name}")
        self._folds[task] = fold.rows
        task.add_done_callback(self._folded)

    def _has_room(self, rows: int) -> bool:
        large = sum(other >= LARGE_FOLD_ROWS for other in self._folds.values())
        return len(self._folds) < MAX_FOLDS and (rows < LARGE_FOLD_ROWS or large < MAX_LARGE_FOLDS)

    def _folded(self, task: asyncio.Task[None]) -> None:
        del self._folds[task]
        for name in self._waiting:
            self._queue.add(name)
        self._waiting.clear()

    async def _fold(self, fold: Fold) -> None:
        name = fold.snapshot.price_list
        try:
            await self._compactor.fold(fold)
        except Exception as error:  # continue with the other lists
            self._fail(name, error)
        else:
            self._queue.forget_errors(name)
            self._queue.add(name)  # there may be more to fold

    def _fail(self, name: str, error: Exception) -> None:
        log_failure(log, f"Could not compact {name}", error)
        self._queue.retry(name)
