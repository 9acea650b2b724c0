"""Rebasing a batch: when another version became current, it is compared with that, and its transaction tried again.

The layer of the batch stays as it is.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from storage.batches.batch import Batch
from storage.batches.comparison import BaseMoved, BatchComparer, Comparison
from storage.batches.turns import Turns
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import SnapshotRepository, current_snapshot

T = TypeVar("T")


class Rebaser:
    """Runs the transactions that publish batches, each until its batch is compared with the current version."""

    def __init__(
        self, price_lists: PriceListRepository, snapshots: SnapshotRepository, comparer: BatchComparer, turns: Turns
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._comparer = comparer
        self._turns = turns

    async def run(
        self,
        price_list: str,
        act: Callable[[Comparison | None], Awaitable[T]],
        batch: Batch | None = None,
        comparison: Comparison | None = None,
    ) -> T:
        """Run a transaction, again whenever its batch is not compared with the version that is current by then.

        A `batch` that is given is new, and waits for its turn. Without one the transaction decides which batch it
        is, and is tried once before it waits: with a `comparison` that is ready already, if there is one.
        """
        if batch is None:
            try:
                return await act(comparison)
            except BaseMoved as moved:  # the first comparison may take long: others need not wait for it
                batch, comparison = moved.batch, await self._comparer.compare(moved.batch, moved.base, comparison)
        async with self._turns.queue(price_list) as turn:
            while True:
                if await turn.wait():
                    base = await current_snapshot(self._price_lists, self._snapshots, price_list)
                    comparison = await self._comparer.compare(batch, base, comparison)
                try:
                    return await act(comparison)
                except BaseMoved as moved:
                    await turn.note_overtaken()
                    batch, comparison = moved.batch, await self._comparer.compare(moved.batch, moved.base, comparison)
