"""Comparing a sealed batch with the version that it changes.

A comparison with one version gives that with the next: only the skus that differ between the two versions count
otherwise. So a batch of many rows, which takes long to compare, keeps up with small ones that are published meanwhile.
"""

from contextlib import aclosing
from dataclasses import dataclass, replace

from storage.batches.batch import Batch, BatchMode
from storage.catalog.gates import DiffSummary
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository
from storage.errors import LayerGone
from storage.fair_yield import yield_to_loop
from storage.layers.changes import Change, Changes, visible_row
from storage.layers.diff import VersionDiffer
from storage.layers.directory import Directory
from storage.layers.reader import LayerReader

MAX_FOLLOWED_CHANGES = 10_000
"""Number of prices by which two versions may differ for a comparison to follow from the one to the other."""

MIN_ROWS_PER_FOLLOWED_CHANGE = 10
"""Least rows of a merge for each price that differs: with fewer, comparing it from the start reads less."""

MIN_FOLLOWED_ROWS = 1000
"""Least rows of a merge for its comparison to follow: a smaller one is compared in less time than the versions are."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes of a batch to the version `base`, None for a list without a version; and its currencies.

    The prices of a version never change, so this stays true although a compaction replaces its layers.
    """

    batch: str
    base: int | None
    changes: Changes
    currencies: frozenset[str]

    def compares(self, batch: Batch, base: Snapshot | None) -> bool:
        """Whether it compares this batch with this version."""
        return (self.batch, self.base) == (batch.id, base.version if base else None)

    def summary(self, base: Snapshot | None) -> DiffSummary:
        """Return the numbers of changes to the version that was compared."""
        added, removed, changed = self.changes.added, self.changes.removed, self.changes.changed
        return DiffSummary(added, removed, changed, (base.size if base else 0) - removed - changed)


class BaseMoved(Exception):
    """A batch was not compared with `base`, the current version. Compare it, and publish again."""

    def __init__(self, batch: Batch, base: Snapshot | None) -> None:
        super().__init__(batch.id)
        self.batch = batch
        self.base = base


class BatchComparer:
    """Compares sealed batches with versions of their lists."""

    def __init__(self, snapshots: SnapshotRepository, layer_reader: LayerReader, differ: VersionDiffer) -> None:
        self._snapshots = snapshots
        self._layer_reader = layer_reader
        self._differ = differ

    async def compare(self, batch: Batch, base: Snapshot | None, known: Comparison | None = None) -> Comparison:
        """Compare a batch with the version `base`: by what differs from a `known` comparison, if that is little.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        if known and known.compares(batch, base):
            return known
        if known and known.batch == batch.id:
            changes = await self._follow(batch, known, base)
            if changes:
                return replace(known, base=base.version if base else None, changes=changes)
        try:
            changes = await self._count(batch, base)
        except LayerGone:  # compaction may have replaced layers of the base since its manifest was read
            read_again = base and await self._snapshots.get(batch.price_list, base.version)
            if not base or not read_again or read_again.layers == base.layers:
                raise
            changes = await self._count(batch, read_again)
        directory = (await self._layer_reader.layer(_layer_of(batch))).directory
        return Comparison(batch.id, base.version if base else None, changes, await _currencies(directory))

    async def rebased(self, batch: Batch, base: Snapshot | None) -> DiffSummary:
        """Return the numbers of changes that a sealed batch would make to the version `base`.

        Takes its turn among the comparisons of requests. Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        if batch.summary and batch.base == (base.version if base else None):
            return batch.summary
        async with self._differ.slots:
            return (await self.compare(batch, base)).summary(base)

    async def _count(self, batch: Batch, base: Snapshot | None) -> Changes:
        """Count the changes of a batch to a version from the start."""
        below = base.layers if base else ()
        return await self._differ.count(below, (_layer_of(batch), *(below if batch.mode is BatchMode.MERGE else ())))

    async def _follow(self, batch: Batch, known: Comparison, base: Snapshot | None) -> Changes | None:
        """Return the changes of a batch to the version `base`; None if they must be counted from the start."""
        if not _max_followed(batch):
            return None
        layers: list[tuple[Layer, ...]] = []
        for version in (known.base, base.version if base else None):
            # Read now: layers of an older manifest may be compacted, which the other version no longer shares.
            snapshot = None if version is None else await self._snapshots.get(batch.price_list, version)
            if version is not None and not (snapshot and snapshot.layers):
                return None
            layers.append(snapshot.layers if snapshot else ())
        try:
            return await self._corrected(batch, known.changes, *layers)
        except LayerGone:  # of the earlier version, which may have expired
            return None

    async def _corrected(
        self, batch: Batch, known: Changes, before: tuple[Layer, ...], after: tuple[Layer, ...]
    ) -> Changes | None:
        """Return the changes of a batch to `after`, from those to `before`; None if the two differ too much."""
        corrected, followed = replace(known), 0
        async with aclosing(self._differ.changes(before, after)) as differences:
            async for run in differences:
                followed += len(run)
                if followed > _max_followed(batch):
                    return None
                rows = await self._layer_reader.find_rows([_layer_of(batch)], [sku for sku, _, _ in run])
                for sku, earlier, later in run:
                    one, other = (_change(batch.mode, sku, base, rows.get(sku)) for base in (earlier, later))
                    if not corrected.replace(one, other):
                        return None
        return corrected


def _max_followed(batch: Batch) -> int:
    if batch.mode is BatchMode.REPLACE:
        return MAX_FOLLOWED_CHANGES
    rows = batch.rows or 0
    return min(MAX_FOLLOWED_CHANGES, rows // MIN_ROWS_PER_FOLLOWED_CHANGE) if rows >= MIN_FOLLOWED_ROWS else 0


def _change(mode: BatchMode, sku: str, base: bytes | None, row: bytes | None) -> Change:
    """Return what a batch that has `row` of a sku, or none, does to the row that its base has."""
    if row is None and mode is BatchMode.MERGE:
        return Change(sku, base, base)
    return Change(sku, base, visible_row(row))


def _layer_of(batch: Batch) -> Layer:
    if batch.layer is None:
        raise AssertionError(f"Batch {batch.id} is not sealed.")
    return batch.layer


async def _currencies(directory: Directory) -> frozenset[str]:
    """Return the currencies of a layer's prices."""
    currencies: set[str] = set()
    for page in range(directory.pages):
        currencies.update(currency for stats in directory.stats(page) for currency in stats.currencies)
        await yield_to_loop()
    return frozenset(currencies)
