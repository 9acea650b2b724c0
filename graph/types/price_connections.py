"""Pages of prices: all prices of a version, or a selection."""

from graph import cursors
from graph.context import Context
from graph.types.connections import Connection
from graph.types.prices import VersionedPrice
from loaders import Page
from storage import Price, Selection, Snapshot


async def all_prices(
    context: Context, snapshot: Snapshot, first: int | None, after: str | None, last: int | None, before: str | None
) -> Connection[VersionedPrice]:
    """Return a page of all prices of a version, in sku order."""
    window = cursors.price_window(snapshot.version, first, after, last, before)

    async def count() -> int:
        return snapshot.size

    return Connection(
        page=_versioned_page(await context.loaders.pages.prices(snapshot, window), snapshot),
        cursor=lambda each: cursors.encode(cursors.PriceCursor(snapshot.version, each.price.sku)),
        count=count,
    )


async def selected_prices(
    context: Context,
    snapshot: Snapshot,
    selection: Selection,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Connection[VersionedPrice]:
    """Return a page of a selection of prices, in the order of the selection."""
    window = cursors.selection_window(snapshot.version, selection, first, after, last, before)
    selections = context.loaders.selections
    cursor_of = cursors.selection_cursor(snapshot.version, selection)
    return Connection(
        page=_versioned_page(await selections.page(snapshot, selection, window), snapshot),
        cursor=lambda each: cursor_of(each.price),
        count=lambda: selections.count(snapshot, selection),
    )


def _versioned_page(page: Page[Price], snapshot: Snapshot) -> Page[VersionedPrice]:
    prices = [VersionedPrice(price, snapshot) for price in page.records]
    return Page(prices, page.has_next, page.has_previous)
