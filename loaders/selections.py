"""Selections: pages of the prices that match a filter, or that are in another order than by sku."""

from loaders.cache.manifests import manifest_of
from loaders.cache.version_cache import VersionCache
from loaders.pages import Page, Window
from storage import Price, Selection, Snapshot, SortPosition, Store


class Selections:
    """Reads selections."""

    def __init__(self, store: Store, versions: VersionCache) -> None:
        self._store = store
        self._versions = versions

    async def page(self, snapshot: Snapshot, selection: Selection, window: Window[SortPosition]) -> Page[Price]:
        """Return a page of a selection, in its order. Raises `ScanLimit`."""
        if not selection.scans:
            return await self._range(snapshot, selection, window)
        prices = await self._store.scanner.page(
            await self._manifest(snapshot),
            selection,
            window.size + 1,
            after=window.after,
            before=window.before,
            backward=window.backward,
        )
        return window.page(prices)

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return the number of prices in a selection. Raises `ScanLimit`."""
        if Selection(selection.filter).is_everything:
            return snapshot.size
        return await self._store.scanner.count(await self._manifest(snapshot), selection)

    async def _manifest(self, snapshot: Snapshot) -> Snapshot:
        return await manifest_of(self._store, self._versions.get_or_add(snapshot))

    async def _range(self, snapshot: Snapshot, selection: Selection, window: Window[SortPosition]) -> Page[Price]:
        prices = await self._store.query_reader.page(
            (await self._manifest(snapshot)).layers,
            window.size + 1,
            after=window.after and window.after.sku,
            before=window.before and window.before.sku,
            backward=window.backward,
            within=selection.filter.sku_range,
        )
        return window.page(prices)
