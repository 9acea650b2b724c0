"""Selections: pages of the prices that match a filter, or that are in another order than by sku."""

from loaders.cache.manifests import manifest_of
from loaders.cache.version_cache import VersionCache
from loaders.pages import Page, Window
from loaders.prices import PriceLoader
from storage import Price, Selection, Snapshot, SnapshotExpired, SortPosition, Store


class Selections:
    """Reads selections. A scan finds the skus; the price loader, which may have them cached, loads the prices."""

    def __init__(self, store: Store, versions: VersionCache, prices: PriceLoader) -> None:
        self._store = store
        self._versions = versions
        self._prices = prices

    async def page(self, snapshot: Snapshot, selection: Selection, window: Window[SortPosition]) -> Page[Price]:
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
        page = window.page(skus)
        prices = await self._prices.load_many(snapshot, list(page.records))
        found = [price for price in prices if price is not None]
        if len(found) < len(prices):
            # A version is immutable: a price that the scan found can only be missing if the whole version expired.
            raise SnapshotExpired(snapshot.price_list, snapshot.version)
        return Page(found, page.has_next, page.has_previous)

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return the number of prices in a selection. Raises `ScanLimit`."""
        if Selection(selection.filter).is_everything:
            return snapshot.size
        return await self._store.scanner.count(await self._manifest(snapshot), selection)

    async def _manifest(self, snapshot: Snapshot) -> Snapshot:
        return await manifest_of(self._store, self._versions.get_or_add(snapshot))

    async def _range(self, snapshot: Snapshot, selection: Selection, window: Window[SortPosition]) -> Page[Price]:
        prices = await self._store.query_reader.page(
            (await self._manifest(snapshot)).layer_ids,
            window.size + 1,
            after=window.after and window.after.sku,
            before=window.before and window.before.sku,
            backward=window.backward,
            within=selection.filter.sku_range,
        )
        return window.page(prices)
