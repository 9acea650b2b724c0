"""Sealing: a layer is read back once and proved against what was received.

What it does to the version it changes is known from when its rows came, or found out now.
"""

import asyncio
from dataclasses import dataclass

from storage.batches import Batch, BatchMode
from storage.changes import Changes
from storage.checksum import Checksum, checksum
from storage.comparison import Comparison, layers_of
from storage.gates import DiffSummary, Facts
from storage.snapshots import Snapshot
from storage.stack import Stack

COMPARISONS_IN_FLIGHT = 3


@dataclass(frozen=True, slots=True)
class Seal:
    """The proof that a layer is whole, and what it does to the version `base`."""

    stored: Checksum
    base: int | None
    facts: Facts


async def seal(stack: Stack, batch: Batch, base: Snapshot | None) -> Seal:
    """Read the layer of a batch back as a majority has it.

    Its rows are compared with `base` unless that is what they were compared with as they came.
    """
    known = batch.changes if batch.changes and batch.changes.base == layers_of(base) else None
    comparison = Comparison(stack, base)
    stored = Checksum()
    in_flight: set[asyncio.Task[None]] = set()
    try:
        async for run in stack.runs(batch.layer):
            stored += checksum(run)
            if known is None:
                in_flight = await _room(in_flight)
                in_flight.add(asyncio.create_task(comparison.add(run)))
            await asyncio.sleep(0)  # between runs others have their turn
        await asyncio.gather(*in_flight)
    finally:
        for task in in_flight:
            task.cancel()
    facts = _facts(batch.mode, base, known or comparison.changes, stored.count)
    return Seal(stored, base.version if base else None, facts)


async def _room(in_flight: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    if len(in_flight) < COMPARISONS_IN_FLIGHT:
        return in_flight
    done, waiting = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return waiting


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
