"""Sealing: the rows of a batch become its layer, which is frozen and proved.

A batch of one run is written as its layer before it is sealed. Staged runs are merged into it, by whichever process
seals the batch, from the start again after a takeover. Each attempt has a layer of its own: its id ends with the token
of the lease. The same rows give the same blocks, so all attempts give the same checksum.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from storage.batches.batch import Batch
from storage.batches.intake import rows_of
from storage.batches.item_errors import in_steps, keep_first, may_keep
from storage.batches.parts import PartRepository
from storage.batches.runs import Run, SortedRows, repeated_sku, with_lines
from storage.batches.staging import PART_BITS, MergedRows, RepeatedSku, StagedRun, StagingRepository
from storage.catalog.snapshots import Layer
from storage.errors import Corrupt
from storage.fair_yield import yield_to_loop
from storage.layers.block import Block
from storage.layers.cutting import BlockCutter
from storage.layers.proof import LayerProver
from storage.layers.writer import LayerWriter
from storage.prices.item_error import ItemError

CUT_AT_ONCE = 2048
"""Rows to cut into blocks before other tasks may run: some two milliseconds."""

CUT_BYTES = 256 << 10
"""The same in bytes, for long rows."""


class RepeatedSkus(Exception):
    """Skus of a batch were sent twice: the first errors, and the count of all."""

    def __init__(self, errors: Sequence[ItemError], count: int) -> None:
        super().__init__(count)
        self.errors = errors
        self.count = count

    async def errors_with_lines(self, line_of: Callable[[int], int | None]) -> list[ItemError]:
        """Return the errors with the lines of both items, if they are known."""
        return [with_lines(error, line_of) async for errors in in_steps(self.errors) for error in errors]


class BatchSealer:
    """Writes, freezes and proves the layers of batches."""

    def __init__(
        self, parts: PartRepository, staging: StagingRepository, layer_writer: LayerWriter, prover: LayerProver
    ) -> None:
        self._parts = parts
        self._staging = staging
        self._layer_writer = layer_writer
        self._prover = prover

    async def write(self, batch: Batch, run: Run) -> Layer:
        """Write a run as the layer of a batch. Raises `LayerSealed`, `Corrupt`, `Unavailable`."""
        return await self._write(batch, rows_of(run))

    async def find_repeated(self, batch: Batch, runs: Sequence[StagedRun]) -> RepeatedSkus | None:
        """Return the skus that are in two staged runs of a batch, which is refused in any case; None without any.

        Raises `Corrupt`, `UnknownFormat`.
        """
        merge = _Merge(self._staging.merge(batch.id, runs), offsets={})
        async for _ in merge.rows():
            pass
        return merge.repeated

    async def seal(self, batch: Batch) -> Layer:
        """Return the layer of a batch in SEALING, frozen and proved.

        Raises `RepeatedSkus`, `LayerGone`, `LayerSealed`, `UnknownFormat`, `Unavailable`, and `Corrupt` if the layer
        does not hold what was received.
        """
        layer = batch.layer or await self._merge(batch)
        await self._layer_writer.freeze(layer.id)
        if layer.count != batch.rows:
            raise Corrupt(f"{batch.rows} rows were received, but {layer.count} were stored.")
        await self._prover.prove(layer)
        return layer

    async def _merge(self, batch: Batch) -> Layer:
        """Merge the staged runs of a batch into a layer."""
        runs, offsets = await self._runs(batch)
        merge = _Merge(self._staging.merge(batch.id, runs), offsets)
        layer = await self._write(batch, merge.rows())
        if merge.repeated:
            await self._layer_writer.drop(layer.id)
            raise merge.repeated
        return layer

    async def _write(self, batch: Batch, rows: AsyncGenerator[SortedRows, None]) -> Layer:
        """Write rows, in sku order, as the layer of the attempt that holds the batch's lease."""
        async with aclosing(rows), aclosing(_blocks(rows)) as blocks:
            return await self._layer_writer.write(f"{batch.id}-{batch.token}", blocks)

    async def _runs(self, batch: Batch) -> tuple[Sequence[StagedRun], dict[int, int]]:
        """Return the staged runs of a batch, and for each of its parts the number of rows before it."""
        if not batch.chunked:
            return batch.runs, {}
        runs: list[StagedRun] = []
        offsets: dict[int, int] = {}
        rows = 0
        for part in await self._parts.by_batch(batch.id):
            if rows == batch.rows:
                break  # what follows was stored after the commit, and is not in the batch
            runs += part.runs
            offsets[part.sequence] = rows
            rows += part.received
        return runs, offsets


class _Merge:
    """The merged rows of a batch, and the errors of skus that were sent twice.

    `offsets` are the numbers of rows before each part; none for a batch that came in one request.
    """

    def __init__(self, merged: AsyncGenerator[MergedRows, None], offsets: dict[int, int]) -> None:
        self._merged = merged
        self._offsets = offsets
        self._errors: list[ItemError] = []
        self._count = 0

    async def rows(self) -> AsyncGenerator[SortedRows, None]:
        """Yield the rows in sku order; none after a sku that was sent twice, but all are read, to find the others."""
        async with aclosing(self._merged) as merged_rows:
            async for merged in merged_rows:
                if merged.repeated:
                    await self._add(merged.repeated)
                elif not self._count:
                    yield merged.rows

    @property
    def repeated(self) -> RepeatedSkus | None:
        """The errors so far; None without any."""
        return RepeatedSkus(self._errors, self._count) if self._count else None

    async def _add(self, repeated: Sequence[RepeatedSku]) -> None:
        """Count skus that were sent twice, and work out the errors of the first ones only."""
        self._count += len(repeated)
        async for some in in_steps(repeated):
            first = [each for each in some if may_keep(self._errors, self._index(each.position))]
            keep_first(self._errors, map(self._error, first))

    def _index(self, position: int) -> int:
        """Return the index in the batch of the item at a position."""
        part, index = divmod(position, 1 << PART_BITS)
        return self._offsets[part] + index if self._offsets else index

    def _error(self, repeated: RepeatedSku) -> ItemError:
        error = repeated_sku(repeated.sku, self._index(repeated.position), self._index(repeated.earlier))
        if not self._offsets:
            return error
        part, index = divmod(repeated.position, 1 << PART_BITS)
        earlier_part, earlier = divmod(repeated.earlier, 1 << PART_BITS)
        places = f"They are item {earlier} of sequence {earlier_part} and item {index} of sequence {part}."
        return replace(error, message=f"{error.message} {places}")


async def _blocks(sorted_rows: AsyncIterable[SortedRows]) -> AsyncGenerator[list[Block], None]:
    cutter = BlockCutter()
    async for skus, rows, _ in sorted_rows:
        step = min(CUT_AT_ONCE, 1 + CUT_BYTES // max(map(len, rows), default=1))
        for start in range(0, len(skus), step):
            yield cutter.add(skus[start : start + step], rows[start : start + step])
            await yield_to_loop()
    yield cutter.finish()
