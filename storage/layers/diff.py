"""Differences between two versions of a list, in sku order.

Only skus in the layers above the oldest ones that both versions share can differ: the cost follows the merges since,
not the size of the list. Versions that share no layer are read side by side.
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
from storage.prices.price import Price, canonical, decode, is_tombstone, sku_of
from storage.prices.sku_range import ALL_SKUS, SkuRange

MAX_CONCURRENT_DIFFS = 4
"""Comparisons that run at once in a process; others wait."""

Change = tuple[str, bytes | None, bytes | None]
"""A sku, and its documents before and after; None without a price."""

Sides = dict[str, list[bytes | None]]
"""By sku, its document in each of two stacks of layers; None if no layer of the stack has the sku."""


class ChangeKind(StrEnum):
    """The kind of a change."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class PriceDiff:
    """A sku that differs between two versions, with its price in each; None without a price."""

    sku: str
    versions: tuple[Snapshot, Snapshot]
    before: Price | None
    after: Price | None

    @property
    def change(self) -> ChangeKind:
        """The kind of the change."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED


class VersionDiffer:
    """Compares versions."""

    def __init__(self, layer_reader: LayerReader) -> None:
        self._layer_reader = layer_reader
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_DIFFS)

    async def page(self, before: Snapshot, after: Snapshot, limit: int, *, above: str | None = None) -> list[PriceDiff]:
        """Return up to `limit` differences in sku order, of skus greater than `above`."""
        found: list[Change] = []
        sku_range = ALL_SKUS if above is None else ALL_SKUS.above(above)
        async with self._slots, aclosing(self._changes(before, after, sku_range)) as changes:
            async for run in changes:
                found += run
                if len(found) >= limit:
                    break
        versions = before, after
        return [PriceDiff(sku, versions, _price(old), _price(new)) for sku, old, new in found[:limit]]

    async def summary(self, before: Snapshot, after: Snapshot) -> DiffSummary:
        """Count the differences."""
        added = removed = changed = 0
        async with self._slots, aclosing(self._changes(before, after, ALL_SKUS)) as changes:
            async for run in changes:
                for _, old, new in run:
                    added += old is None
                    removed += new is None
                    changed += old is not None and new is not None
        return DiffSummary(added, removed, changed, unchanged=after.size - added - changed)

    async def _changes(
        self, before: Snapshot, after: Snapshot, sku_range: SkuRange
    ) -> AsyncGenerator[list[Change], None]:
        """Yield runs of differences within a range, in sku order."""
        above, shared = _split_layers(before.layer_ids, after.layer_ids)
        async with aclosing(self._side_by_side(above, sku_range)) as runs:
            async for run in runs:
                incomplete = [sku for sku, sides in run.items() if None in sides]
                below = await self._layer_reader.find_raw(shared, incomplete) if shared and incomplete else {}
                changes = []
                for sku, sides in run.items():
                    old, new = (_visible(document, below.get(sku)) for document in sides)
                    if (old and canonical(old)) != (new and canonical(new)):
                        changes.append((sku, old, new))
                if changes:
                    yield changes
                await asyncio.sleep(0)  # let other tasks run

    async def _side_by_side(
        self, stacks: tuple[Sequence[str], Sequence[str]], sku_range: SkuRange
    ) -> AsyncGenerator[Sides, None]:
        """Yield runs of the documents of two stacks of layers, with tombstones, by sku in order."""
        streams = [self._layer_reader.merged(stack, sku_range) for stack in stacks]
        try:
            async for run in _aligned(streams):
                yield run
        finally:
            for stream in streams:
                await stream.aclose()


async def _aligned(streams: Sequence[AsyncGenerator[list[bytes], None]]) -> AsyncGenerator[Sides, None]:
    unread: list[dict[str, bytes] | None] = [{} for _ in streams]
    while True:
        for side, stream in enumerate(streams):
            if unread[side] == {}:
                run = await anext(stream, None)
                unread[side] = None if run is None else {sku_of(document): document for document in run}
        ends = [next(reversed(documents)) for documents in unread if documents]
        if not ends:
            return
        horizon = min(ends)
        sides: Sides = {}
        for side, documents in enumerate(unread):
            for sku in list(documents or ()):
                if sku > horizon:
                    break
                sides.setdefault(sku, [None, None])[side] = (documents or {}).pop(sku)
        yield {sku: sides[sku] for sku in sorted(sides)}


def _split_layers(
    before: Sequence[str], after: Sequence[str]
) -> tuple[tuple[Sequence[str], Sequence[str]], Sequence[str]]:
    """Return the layers that only one version has, for each, and the oldest ones, which both have."""
    shared = 0
    while shared < min(len(before), len(after)) and before[-1 - shared] == after[-1 - shared]:
        shared += 1
    return (before[: len(before) - shared], after[: len(after) - shared]), before[len(before) - shared :]


def _visible(document: bytes | None, below: bytes | None) -> bytes | None:
    """Return the visible document of a sku, given that of a stack and that of the layers below it."""
    if document is None:
        return below
    return None if is_tombstone(document) else document


def _price(document: bytes | None) -> Price | None:
    return None if document is None else decode(bson.decode(document))
