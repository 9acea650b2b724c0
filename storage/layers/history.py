"""The history of a price: the versions that changed it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository
from storage.errors import ScanLimit
from storage.layers.reader import LayerReader
from storage.prices.price import TOMBSTONE, Price, decode_row

MAX_HISTORY_VERSIONS = 1000
"""Versions that a history may look back over."""

VERSIONS_PER_READ = 50
"""Manifests to read in one round trip."""

MAX_CONCURRENT_LAYER_READS = 16
"""Layers to read at once, in a process."""


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A change of a price: the version that made it, and the new price; None if it was removed."""

    snapshot: Snapshot
    price: Price | None


@dataclass(slots=True)
class _Trace:
    """Follows one sku from version to version, newest first. A change is detected at the version before it."""

    sku: str
    limit: int
    changes: list[PriceVersion] = field(default_factory=list)
    _snapshot: Snapshot | None = None
    _row: bytes | None = None

    @property
    def complete(self) -> bool:
        return len(self.changes) >= self.limit

    def visit(self, snapshot: Snapshot, row: bytes | None) -> None:
        if self._snapshot is not None and self._row != row:
            self._add(self._snapshot)
        self._snapshot, self._row = snapshot, row

    def finish(self) -> None:
        """Add the oldest version as the one that added the price, if it has a price."""
        if self._snapshot is not None and self._row is not None:
            self._add(self._snapshot)

    def _add(self, snapshot: Snapshot) -> None:
        price = None if self._row is None else decode_row(self.sku, self._row)
        self.changes.append(PriceVersion(snapshot, price))


class PriceHistory:
    """Reads the histories of prices. Versions share layers, so a sku is looked up once in each layer."""

    def __init__(self, snapshots: SnapshotRepository, layer_reader: LayerReader) -> None:
        self._snapshots = snapshots
        self._layer_reader = layer_reader
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LAYER_READS)

    async def find(self, price_list: str, version: int, limits: Mapping[str, int]) -> dict[str, list[PriceVersion]]:
        """Return the changes of some skus up to a version, newest first; `limits` is the number of changes per sku.

        Considers versions that were current once and are kept. A change belongs to the oldest of consecutive versions
        with the same price. Raises `LayerGone`, `Corrupt`, `UnknownFormat`, and `ScanLimit`
        if it would have to consider more than `MAX_HISTORY_VERSIONS`.
        """
        traces = {sku: _Trace(sku, limit) for sku, limit in limits.items()}
        open_, layers, seen, before = dict(traces), dict[str, dict[str, bytes]](), 0, version + 1
        while open_:
            snapshots = await self._snapshots.published(price_list, VERSIONS_PER_READ, before)
            if snapshots and seen >= MAX_HISTORY_VERSIONS:
                raise ScanLimit(
                    f"The history of {min(open_)!r} spans more than {MAX_HISTORY_VERSIONS} versions of "
                    f"{price_list!r}. Request fewer changes with `first`."
                )
            layers = await self._look_up(snapshots, list(open_), layers)
            for snapshot in snapshots:
                for sku, trace in open_.items():
                    trace.visit(snapshot, _visible(snapshot, layers, sku))
                await asyncio.sleep(0)  # let other tasks run
            if len(snapshots) < VERSIONS_PER_READ:
                break
            open_ = {sku: trace for sku, trace in open_.items() if not trace.complete}
            seen, before = seen + len(snapshots), snapshots[-1].version
        for trace in open_.values():
            trace.finish()
        return {sku: trace.changes[: trace.limit] for sku, trace in traces.items()}

    async def _look_up(
        self, snapshots: Iterable[Snapshot], skus: Sequence[str], known: Mapping[str, dict[str, bytes]]
    ) -> dict[str, dict[str, bytes]]:
        """Return the rows of some skus in each layer of some versions. `known` are those of layers read before."""
        layers = {layer.id: layer for snapshot in snapshots for layer in snapshot.layers}
        new = [layer for layer in layers.values() if layer.id not in known]
        found = await asyncio.gather(*(self._find_rows(layer, skus) for layer in new))
        read = {**known, **{layer.id: rows for layer, rows in zip(new, found, strict=True)}}
        return {layer: read[layer] for layer in layers}

    async def _find_rows(self, layer: Layer, skus: Sequence[str]) -> dict[str, bytes]:
        async with self._slots:
            return await self._layer_reader.find_rows([layer], skus)


def _visible(snapshot: Snapshot, layers: Mapping[str, Mapping[str, bytes]], sku: str) -> bytes | None:
    for layer in snapshot.layers:
        row = layers[layer.id].get(sku)
        if row is not None:
            return None if row == TOMBSTONE else row
    return None
