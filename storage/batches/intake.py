"""Taking in the rows of a request, a file or a part: collected in runs, which are staged when they are full."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from storage.batches.item_errors import MAX_ITEM_ERRORS, in_steps, keep_first
from storage.batches.runs import Run, SortedRows, with_lines
from storage.batches.staging import PART_BITS, StagedRun, StagingRepository
from storage.fair_yield import yield_to_loop
from storage.prices.item_error import ItemError
from storage.prices.row_decoder import RefusedRow, Slice


class Intake:
    """The rows of a request, file or part, and the errors of those that are refused.

    `run` has the rows that are not staged. `accepted` counts all valid rows. `errors` are the first errors,
    `error_count` is the number of all invalid rows, each of which has one error or several.
    """

    def __init__(self, staging: StagingRepository, batch: str, part: int = 0) -> None:
        self._staging = staging
        self._batch = batch
        self._first_position = part << PART_BITS
        self._writing: asyncio.Task[StagedRun] | None = None
        self._runs: list[StagedRun] = []
        self.run = Run()
        self.accepted = 0
        self.errors: list[ItemError] = []
        self.error_count = 0

    @property
    def received(self) -> int:
        """Number of rows received, accepted and refused."""
        return self.accepted + self.error_count

    @property
    def has_staged_runs(self) -> bool:
        """Whether the rows did not fit one run, so that `finish` must stage the rest of them."""
        return bool(self._runs) or self._writing is not None

    async def take(self, slices: AsyncIterator[Slice], line_of: Callable[[int], int | None]) -> None:
        """Collect rows as they arrive, and stage each full run. `line_of` returns the line of a row in its file.

        Raises `FileRefused`, `Interrupted`, `Unavailable`.
        """
        try:
            async for rows in slices:
                await self._refuse(rows.refused)
                repeated = [with_lines(error, line_of) for error in self.run.add(rows)]
                await self.refuse(repeated, len(repeated))
                self.accepted += len(rows.skus) - len(repeated)
                if self.run.is_full:
                    await self._stage()
                await yield_to_loop()
        except BaseException:
            if self._writing:
                self._writing.cancel()
                await asyncio.wait([self._writing])
            raise

    async def finish(self) -> list[StagedRun]:
        """Stage the rest, and return all runs. Raises `Unavailable`."""
        if len(self.run):
            await self._stage()
        await self._join()
        return self._runs

    async def discard(self) -> None:
        """Drop what was staged, of a batch that came in one request and failed."""
        if self.has_staged_runs:
            await self._staging.drop(self._batch)

    async def refuse(self, errors: Sequence[ItemError], count: int) -> None:
        """Count invalid rows, and keep the first errors; `errors` has those of the first rows."""
        self.error_count += count
        async for some in in_steps(errors):
            keep_first(self.errors, some)

    async def _refuse(self, rows: Sequence[RefusedRow]) -> None:
        """Count invalid rows, and work out the errors of the first ones only."""
        self.error_count += len(rows)
        for row in rows:
            if len(self.errors) >= MAX_ITEM_ERRORS:
                break
            keep_first(self.errors, row.errors())
            await yield_to_loop()

    async def _stage(self) -> None:
        """Write the run while the next one is collected. At most two are in memory."""
        await self._join()
        run, self.run = self.run, Run()
        self._writing = asyncio.create_task(self._staging.write(self._batch, self._positioned(run)))

    async def _join(self) -> None:
        if self._writing:
            self._runs.append(await self._writing)
            self._writing = None

    async def _positioned(self, run: Run) -> AsyncGenerator[SortedRows, None]:
        async for skus, rows, positions in rows_of(run):
            yield SortedRows(skus, rows, [self._first_position + index for index in positions])


async def rows_of(run: Run) -> AsyncGenerator[SortedRows, None]:
    """Yield the rows of a run in sku order, and let other tasks run in between."""
    for rows in run.in_sku_order():
        yield rows
        await yield_to_loop()
