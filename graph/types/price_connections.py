"""Pages of prices: all of a version, or a selection of them."""

from graph import cursors
from graph.context import Context
from graph.types.connections import Connection
from storage import Price, Selection, Snapshot

DEFAULT_SIZE = 100


async def all_prices(
    context: Context, snapshot: Snapshot, first: int | None, after: str | None, last: int | None, before: str | None
) -> Connection[Price]:
    """Return a page of a version, in sku order."""
    window = cursors.price_window(snapshot.version, first, after, last, before, DEFAULT_SIZE)

    async def count() -> int:
        return snapshot.size

    return Connection(
        page=await context.loaders.pages.prices(snapshot, window),
        cursor=lambda price: cursors.write(cursors.PriceCursor(snapshot.version, price.sku)),
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
) -> Connection[Price]:
    """Return a page of a selection, in its order."""
    window = cursors.selection_window(snapshot.version, selection, first, after, last, before, DEFAULT_SIZE)
    selections = context.loaders.selections
    return Connection(
        page=await selections.page(snapshot, selection, window),
        cursor=cursors.of_selection(snapshot.version, selection),
        count=lambda: selections.count(snapshot, selection),
    )
