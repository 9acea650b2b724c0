"""The history of a price: the versions in which it became what it was."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import bson

from storage.catalog.snapshots import Snapshot, SnapshotRepository
from storage.errors import ScanLimit
from storage.layers.reader import LayerReader
from storage.prices.price import Price, canonical, decode, is_removal

# A history looks back over so many versions at the most.
MAX_VERSIONS = 1000

# Manifests that are read at once, and the layers of theirs that are asked at once.
VERSIONS_AT_ONCE = 50
LAYERS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A change of a price: the version that brought it, and the price since then; None where it took it out."""

    snapshot: Snapshot
    price: Price | None


@dataclass(slots=True)
class _Trace:
    """One sku, followed from version to version, newest first. A change is known when the version before it is seen."""

    wanted: int
    changes: list[PriceVersion] = field(default_factory=list)
    _snapshot: Snapshot | None = None
    _document: bytes | None = None

    @property
    def complete(self) -> bool:
        return len(self.changes) >= self.wanted

    def see(self, snapshot: Snapshot, document: bytes | None) -> None:
        if self._snapshot is not None and not _same(self._document, document):
            self._note(self._snapshot)
        self._snapshot, self._document = snapshot, document

    def end(self) -> None:
        """Nothing is known of earlier versions: the oldest is where a price came in, and none is no change."""
        if self._snapshot is not None and self._document is not None:
            self._note(self._snapshot)

    def _note(self, snapshot: Snapshot) -> None:
        price = None if self._document is None else decode(bson.decode(self._document))
        self.changes.append(PriceVersion(snapshot, price))


class PriceHistory:
    """Reads what earlier versions said. Versions share layers, so a sku is looked up once in each layer."""

    def __init__(self, snapshots: SnapshotRepository, stack: LayerReader) -> None:
        self._snapshots = snapshots
        self._layer_reader = stack
        self._turns = asyncio.Semaphore(LAYERS_AT_ONCE)

    async def find(self, price_list: str, version: int, wanted: Mapping[str, int]) -> dict[str, list[PriceVersion]]:
        """Return the changes of some skus up to a version, newest first: of each as many as wanted, if there are.

        Versions count that were current once and are kept. A change is told at the oldest of the versions that follow
        each other with the same price; without a price before the first, there is none to tell.
        Raises `ScanLimit` when more than `MAX_VERSIONS` would have to be looked at.
        """
        traces = {sku: _Trace(count) for sku, count in wanted.items()}
        open_, layers, seen, before = dict(traces), dict[str, dict[str, bytes]](), 0, version + 1
        while open_:
            snapshots = await self._snapshots.published(price_list, VERSIONS_AT_ONCE, before)
            if snapshots and seen >= MAX_VERSIONS:
                raise ScanLimit(
                    f"The history of {min(open_)!r} goes back over more than {MAX_VERSIONS} versions of "
                    f"{price_list!r}. Ask for fewer changes with `first`."
                )
            layers = await self._look_up(snapshots, list(open_), layers)
            for snapshot in snapshots:
                for sku, trace in open_.items():
                    trace.see(snapshot, _visible(snapshot, layers, sku))
                await asyncio.sleep(0)  # between versions others have their turn
            if len(snapshots) < VERSIONS_AT_ONCE:
                break
            open_ = {sku: trace for sku, trace in open_.items() if not trace.complete}
            seen, before = seen + len(snapshots), snapshots[-1].version
        for trace in open_.values():
            trace.end()
        return {sku: trace.changes[: trace.wanted] for sku, trace in traces.items()}

    async def _look_up(
        self, snapshots: Iterable[Snapshot], skus: Sequence[str], known: Mapping[str, dict[str, bytes]]
    ) -> dict[str, dict[str, bytes]]:
        """Return what each layer of some versions says of some skus; of those before, only what is needed is kept."""
        layers = list(dict.fromkeys(layer for snapshot in snapshots for layer in snapshot.layer_ids))
        found = await asyncio.gather(*(self._find_in(layer, skus) for layer in layers if layer not in known))
        new = dict(zip((layer for layer in layers if layer not in known), found, strict=True))
        return {layer: known[layer] if layer in known else new[layer] for layer in layers}

    async def _find_in(self, layer: str, skus: Sequence[str]) -> dict[str, bytes]:
        async with self._turns:
            return await self._layer_reader.find_in(layer, skus)


def _visible(snapshot: Snapshot, layers: Mapping[str, Mapping[str, bytes]], sku: str) -> bytes | None:
    for layer in snapshot.layer_ids:
        document = layers[layer].get(sku)
        if document is not None:
            return None if is_removal(document) else document
    return None


def _same(one: bytes | None, other: bytes | None) -> bool:
    return one is other or (one is not None and other is not None and canonical(one) == canonical(other))
