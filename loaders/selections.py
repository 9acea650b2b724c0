"""Selections: pages of the prices that meet a filter, or in another order than that of their skus."""

from loaders.cache.manifests import manifest_of
from loaders.cache.version_cache import VersionCache
from loaders.pages import Page, Window
from loaders.prices import PriceLoader
from storage import Place, Price, Selection, Snapshot, SnapshotExpired, Store


class Selections:
    """Reads selections. A scan finds the skus; the prices come by the loader that has them, perhaps, already."""

    def __init__(self, store: Store, versions: VersionCache, prices: PriceLoader) -> None:
        self._store = store
        self._versions = versions
        self._prices = prices

    async def page(self, snapshot: Snapshot, selection: Selection, window: Window[Place]) -> Page[Price]:
        """Return a page of a selection, in its order. Raises `ScanLimit`."""
        if not selection.scans:
            return await self._range(snapshot, selection, window)
        skus = await self._store.scanner.page(
            await self._manifest(snapshot),
            selection,
            window.size + 1,
            after=window.after,
            before=window.before,
            backward=window.backward,
        )
        shown = window.page(skus)
        prices = await self._prices.load_many(snapshot, list(shown.records))
        found = [price for price in prices if price is not None]
        if len(found) < len(prices):
            # A version never changes: what was there a moment ago can only have gone with all of it.
            raise SnapshotExpired(snapshot.price_list, snapshot.version)
        return Page(found, shown.has_next, shown.has_previous)

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return how many prices a selection has. Raises `ScanLimit`."""
        if Selection(selection.filter).is_everything:
            return snapshot.size
        return await self._store.scanner.count(await self._manifest(snapshot), selection)

    async def _manifest(self, snapshot: Snapshot) -> Snapshot:
        return await manifest_of(self._store, self._versions.of(snapshot))

    async def _range(self, snapshot: Snapshot, selection: Selection, window: Window[Place]) -> Page[Price]:
        records = await self._store.query_reader.page(
            (await self._manifest(snapshot)).layer_ids,
            window.size + 1,
            after=window.after and window.after.sku,
            before=window.before and window.before.sku,
            backward=window.backward,
            within=selection.filter.span,
        )
        return window.page(records)
