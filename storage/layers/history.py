"""The history of a price: the versions that changed it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.catalog.snapshots import Snapshot, SnapshotRepository
from storage.errors import ScanLimit
from storage.layers.version_prices import LayerPriceReader, VersionPrices, visible_price
from storage.prices.price import Price, same_row

MAX_HISTORY_VERSIONS = 1000
"""Versions that a history may look back over."""

VERSIONS_PER_READ = 50
"""Manifests to read in one round trip."""


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A change of a price: the version that made it, and the new price; None if it was removed."""

    snapshot: Snapshot
    price: Price | None


@dataclass(slots=True)
class _Trace:
    """Follows one sku from version to version, newest first. A change is detected at the version before it."""

    limit: int
    changes: list[PriceVersion] = field(default_factory=list)
    _snapshot: Snapshot | None = None
    _price: Price | None = None

    @property
    def complete(self) -> bool:
        return len(self.changes) >= self.limit

    def visit(self, snapshot: Snapshot, price: Price | None) -> None:
        if self._snapshot is not None and not same_row(self._price, price):
            self._add(self._snapshot)
        self._snapshot, self._price = snapshot, price

    def finish(self) -> None:
        """Add the oldest version as the one that added the price, if it has a price."""
        if self._snapshot is not None and self._price is not None:
            self._add(self._snapshot)

    def _add(self, snapshot: Snapshot) -> None:
        self.changes.append(PriceVersion(snapshot, self._price))


class PriceHistory:
    """Reads the histories of prices."""

    def __init__(self, snapshots: SnapshotRepository, layer_prices: LayerPriceReader) -> None:
        self._snapshots = snapshots
        self._layer_prices = layer_prices

    async def find(self, price_list: str, version: int, limits: Mapping[str, int]) -> dict[str, list[PriceVersion]]:
        """Return the changes of some skus up to a version, newest first; `limits` is the number of changes per sku.

        Considers versions that were current once and are kept. A change belongs to the oldest of consecutive versions
        with the same price. Raises `LayerGone`, `Corrupt`, `UnknownFormat`, and `ScanLimit`
        if it would have to consider more than `MAX_HISTORY_VERSIONS`.
        """
        traces = {sku: _Trace(limit) for sku, limit in limits.items()}
        open_, prices, seen, before = dict(traces), VersionPrices(self._layer_prices), 0, version + 1
        while open_:
            snapshots = await self._snapshots.published(price_list, VERSIONS_PER_READ, before)
            if snapshots and seen >= MAX_HISTORY_VERSIONS:
                raise ScanLimit(
                    f"The history of {min(open_)!r} spans more than {MAX_HISTORY_VERSIONS} versions of "
                    f"{price_list!r}. Request fewer changes with `first`."
                )
            await prices.look_up(snapshots, list(open_))
            for snapshot in snapshots:
                stack = prices.stack(snapshot)
                for sku, trace in open_.items():
                    trace.visit(snapshot, visible_price(stack, sku))
                await asyncio.sleep(0)  # let other tasks run
            if len(snapshots) < VERSIONS_PER_READ:
                break
            open_ = {sku: trace for sku, trace in open_.items() if not trace.complete}
            seen, before = seen + len(snapshots), snapshots[-1].version
        for trace in open_.values():
            trace.finish()
        return {sku: trace.changes[: trace.limit] for sku, trace in traces.items()}
