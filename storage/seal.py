"""Sealing: a layer is read back once, proved against what was received, and compared with the version it changes.

The comparison looks up the layer's own skus in the base, so that its cost follows the batch and not the list.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import bson

from storage.batches import Batch, BatchMode
from storage.checksum import Checksum, checksum
from storage.gates import DiffSummary, Facts, change_percent
from storage.records import canonical, currency_of, decode, is_removal, sku_of
from storage.snapshots import Snapshot
from storage.stack import Stack

COMPARISONS_IN_FLIGHT = 3


@dataclass(frozen=True, slots=True)
class Seal:
    """The proof that a layer is whole, and what it does to the version `base`."""

    stored: Checksum
    base: int | None
    facts: Facts


@dataclass(slots=True)
class _Tally:
    stored: Checksum = field(default_factory=Checksum)
    removals: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    currencies: set[str] = field(default_factory=set)
    largest_change: tuple[Decimal, str] | None = None


async def seal(stack: Stack, batch: Batch, base: Snapshot | None) -> Seal:
    """Read the layer of a batch back as a majority has it, and compare it with `base`."""
    tally = _Tally()
    layers = base.layer_ids if base else ()
    in_flight: set[asyncio.Task[None]] = set()
    try:
        async for run in stack.runs(batch.layer):
            if len(in_flight) >= COMPARISONS_IN_FLIGHT:
                done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            in_flight.add(asyncio.create_task(_compare(stack, layers, run, tally)))
        await asyncio.gather(*in_flight)
    finally:
        for task in in_flight:
            task.cancel()
    return Seal(tally.stored, base.version if base else None, _facts(batch.mode, base, tally))


async def _compare(stack: Stack, layers: Sequence[str], run: list[bytes], tally: _Tally) -> None:
    tally.stored += checksum(run)
    skus = [sku_of(document) for document in run]
    before = await stack.find_raw(layers, skus) if layers else {}
    for sku, document in zip(skus, run, strict=True):
        was = before.get(sku)
        if is_removal(document):
            tally.removals += 1
            tally.removed += was is not None
            continue
        tally.currencies.add(currency_of(document))
        if was is None:
            tally.added += 1
        elif canonical(was) == canonical(document):
            tally.unchanged += 1
        else:
            tally.changed += 1
            _note_change(tally, sku, was, document)


def _note_change(tally: _Tally, sku: str, was: bytes, document: bytes) -> None:
    percent = change_percent(decode(bson.decode(was)).amount, decode(bson.decode(document)).amount)
    if tally.largest_change is None or percent > tally.largest_change[0]:
        tally.largest_change = (percent, sku)


def _facts(mode: BatchMode, base: Snapshot | None, tally: _Tally) -> Facts:
    before = base.size if base else 0
    kept = tally.changed + tally.unchanged
    if mode is BatchMode.REPLACE:
        removed, unchanged, size = before - kept, tally.unchanged, tally.stored.count
    else:
        removed = tally.removed
        unchanged = before - tally.changed - removed
        size = before + tally.added - removed
    return Facts(
        base_size=base.size if base else None,
        size=size,
        summary=DiffSummary(tally.added, removed, tally.changed, unchanged),
        currencies=frozenset(tally.currencies),
        largest_change=tally.largest_change,
    )
