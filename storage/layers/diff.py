"""What differs between two versions of a list, in the order of the skus.

What both have as their oldest layers says the same to both, so only skus that the layers above it speak of can differ:
the cost follows what was merged since, not the size of the list. Versions that share no layer are read side by side.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

import bson

from storage.catalog.gates import DiffSummary
from storage.catalog.snapshots import Snapshot
from storage.layers.reader import LayerReader
from storage.prices.price import Price, canonical, decode, is_removal, sku_of
from storage.prices.sku_range import ALL_SKUS, SkuRange

# So many are compared at the same time in a process; the others wait for their turn.
DIFFS_AT_ONCE = 4

Change = tuple[str, bytes | None, bytes | None]
"""A sku, and its documents before and after; None where there is no price."""


Sides = dict[str, list[bytes | None]]
"""By sku, what each of two stacks says of it; None where it says nothing."""


class ChangeKind(StrEnum):
    """What became of a sku."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class PriceDiff:
    """A sku that differs between two versions: its price in each, None where that has none."""

    sku: str
    versions: tuple[Snapshot, Snapshot]
    before: Price | None
    after: Price | None

    @property
    def change(self) -> ChangeKind:
        """What became of it."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED


class VersionDiffer:
    """Compares versions."""

    def __init__(self, stack: LayerReader) -> None:
        self._layer_reader = stack
        self._turns = asyncio.Semaphore(DIFFS_AT_ONCE)

    async def page(self, before: Snapshot, after: Snapshot, limit: int, *, above: str | None = None) -> list[PriceDiff]:
        """Return up to `limit` differences in sku order, those of skus that follow `above`."""
        found: list[Change] = []
        span = ALL_SKUS if above is None else ALL_SKUS.above(above)
        async with self._turns, aclosing(self._changes(before, after, span)) as changes:
            async for some in changes:
                found += some
                if len(found) >= limit:
                    break
        versions = before, after
        return [PriceDiff(sku, versions, _price(was), _price(now)) for sku, was, now in found[:limit]]

    async def summary(self, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Count the differences."""
        added = removed = changed = 0
        async with self._turns, aclosing(self._changes(before, after, ALL_SKUS)) as changes:
            async for some in changes:
                for _, was, now in some:
                    added += was is None
                    removed += now is None
                    changed += was is not None and now is not None
        return DiffSummary(added, removed, changed, unchanged=after.size - added - changed)

    async def _changes(self, before: Snapshot, after: Snapshot, span: SkuRange) -> AsyncGenerator[list[Change], None]:
        """Return the differences within a span, in sku order, in runs."""
        above, below = _apart(before.layer_ids, after.layer_ids)
        async with aclosing(self._side_by_side(above, span)) as runs:
            async for run in runs:
                lacking = [sku for sku, sides in run.items() if None in sides]
                shared = await self._layer_reader.find_raw(below, lacking) if below and lacking else {}
                changes = []
                for sku, (was, now) in run.items():
                    old, new = (_seen(said, shared.get(sku)) for said in (was, now))
                    if (old and canonical(old)) != (new and canonical(new)):
                        changes.append((sku, old, new))
                if changes:
                    yield changes
                await asyncio.sleep(0)  # between runs others have their turn

    async def _side_by_side(
        self, stacks: tuple[Sequence[str], Sequence[str]], span: SkuRange
    ) -> AsyncGenerator[Sides, None]:
        """Return what two stacks say, removals too, by sku in order, in runs; None where one of them says nothing."""
        streams = [self._layer_reader.merged(stack, span) for stack in stacks]
        try:
            async for run in _aligned(streams):
                yield run
        finally:
            for stream in streams:
                await stream.aclose()


async def _aligned(streams: Sequence[AsyncGenerator[list[bytes], None]]) -> AsyncGenerator[Sides, None]:
    unread: list[dict[str, bytes] | None] = [{} for _ in streams]
    while True:
        for place, stream in enumerate(streams):
            if unread[place] == {}:
                run = await anext(stream, None)
                unread[place] = None if run is None else {sku_of(document): document for document in run}
        ends = [next(reversed(documents)) for documents in unread if documents]
        if not ends:
            return
        horizon = min(ends)
        said: dict[str, list[bytes | None]] = {}
        for place, documents in enumerate(unread):
            for sku in list(documents or ()):
                if sku > horizon:
                    break
                said.setdefault(sku, [None, None])[place] = (documents or {}).pop(sku)
        yield {sku: said[sku] for sku in sorted(said)}


def _apart(before: Sequence[str], after: Sequence[str]) -> tuple[tuple[Sequence[str], Sequence[str]], Sequence[str]]:
    """Return the layers that each has for itself, and the oldest ones, which both have."""
    shared = 0
    while shared < min(len(before), len(after)) and before[-1 - shared] == after[-1 - shared]:
        shared += 1
    return (before[: len(before) - shared], after[: len(after) - shared]), before[len(before) - shared :]


def _seen(said: bytes | None, below: bytes | None) -> bytes | None:
    """Return the document of a price, from what is said of it and what the layers below have."""
    if said is None:
        return below
    return None if is_removal(said) else said


def _price(document: bytes | None) -> Price | None:
    return None if document is None else decode(bson.decode(document))
