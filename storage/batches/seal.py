"""Sealing: a layer is read back once and proved against what was received.

What it does to the version it changes is known from when its rows came, or found out now.
"""

from dataclasses import dataclass

from storage.batches.changes import Changes
from storage.batches.comparison import Comparison, layers_of
from storage.batches.repository import Batch, BatchMode
from storage.catalog.gates import DiffSummary, Facts
from storage.catalog.snapshots import Snapshot
from storage.fair_yield import yield_to_loop
from storage.layers.reader import LayerReader
from storage.prices.checksum import Checksum, checksum


@dataclass(frozen=True, slots=True)
class Seal:
    """The proof that a layer is whole, and what it does to the version `base`."""

    stored: Checksum
    base: int | None
    facts: Facts


async def seal(stack: LayerReader, batch: Batch, base: Snapshot | None) -> Seal:
    """Read the layer of a batch back as a majority has it.

    Its rows are compared with `base` unless that is what they were compared with as they came.
    """
    known = batch.changes if batch.changes and batch.changes.base == layers_of(base) else None
    comparison = Comparison(stack, base)
    stored = Checksum()
    async for run in stack.runs(batch.layer):
        stored += checksum(run)
        if known is None:
            await comparison.add(run)
        await yield_to_loop()
    facts = _facts(batch.mode, base, known or comparison.changes, stored.count)
    return Seal(stored, base.version if base else None, facts)


def _facts(mode: BatchMode, base: Snapshot | None, changes: Changes, rows: int) -> Facts:
    before = base.size if base else 0
    if mode is BatchMode.REPLACE:
        removed, unchanged, size = before - changes.changed - changes.unchanged, changes.unchanged, rows
    else:
        removed = changes.removed
        unchanged = before - changes.changed - removed
        size = before + changes.added - removed
    return Facts(
        base_size=base.size if base else None,
        size=size,
        summary=DiffSummary(changes.added, removed, changes.changed, unchanged),
        currencies=changes.currencies,
        largest_change=changes.largest_change,
    )
