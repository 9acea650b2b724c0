"""Selections: pages of the prices that match a filter, or that are in another order than by sku."""

from collections.abc import Sequence
from functools import partial

from loaders.cache.version_reader import VersionReader
from loaders.pages import Page, Window
from storage import Price, Selection, Snapshot, SortPosition, Store


class Selections:
    """Reads selections for one request."""

    def __init__(self, store: Store, reader: VersionReader) -> None:
        self._query_reader = store.query_reader
        self._scanner = store.scanner
        self._reader = reader

    async def page(self, snapshot: Snapshot, selection: Selection, window: Window[SortPosition]) -> Page[Price]:
        """Return a page of a selection, in its order.

        Raises `ScanLimit`, `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """
        if not selection.scans:
            return await self._range(snapshot, selection, window)

        async def scan(manifests: Sequence[Snapshot]) -> list[Price]:
            return await self._scanner.page(
                manifests[0],
                selection,
                window.size + 1,
                after=window.after,
                before=window.before,
                backward=window.backward,
            )

        return window.page(await self._reader.read_many([snapshot], scan))

    async def count(self, snapshot: Snapshot, selection: Selection) -> int:
        """Return the number of prices in a selection.

        Raises `ScanLimit`, `SnapshotExpired`, `Corrupt`, `UnknownFormat`.
        """
        if Selection(selection.filter).is_everything:
            return snapshot.size

        async def count(manifests: Sequence[Snapshot]) -> int:
            return await self._scanner.count(manifests[0], selection)

        return await self._reader.read_many([snapshot], count)

    async def _range(self, snapshot: Snapshot, selection: Selection, window: Window[SortPosition]) -> Page[Price]:
        read = partial(
            self._query_reader.page,
            limit=window.size + 1,
            after=window.after and window.after.sku,
            before=window.before and window.before.sku,
            backward=window.backward,
            within=selection.filter.sku_range,
        )
        return window.page(await self._reader.read(snapshot, read))
