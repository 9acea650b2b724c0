"""Pages: every window shows its part of the order, and whether there is more before and after it."""

import datetime
from itertools import product

import pytest

from loaders import Loaders, PointerCache, Window
from loaders.pages import Pages
from storage import ALL_LISTS, Layer, Snapshot, SnapshotState, Store
from storage.layers.block import BLOCK_FORMAT, encode_block
from storage.layers.directory import Root, compress_page, encode_page
from storage.prices.price import encode_row
from tests.storage.factories import create

SKUS = list("bdfhj")
PLACES = [None, *"abcdefghijk"]


@pytest.fixture
async def snapshot(mock_store: Store) -> Snapshot:
    """A version with the SKUS, in blocks of one."""
    blocks = [encode_block([sku], [encode_row("1.50", "EUR")]) for sku in SKUS]
    page, root = encode_page([block.entry for block in blocks]), Root()
    root.add(page)
    documents = [{"_id": block.entry.first, "format": BLOCK_FORMAT, "data": block.frame} for block in blocks]
    await mock_store.layers_db["layer.x"].insert_many(documents)
    await mock_store.layers_db["layer.x"].insert_one({"_id": 0, "format": BLOCK_FORMAT, "data": compress_page(page)})
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    layers = (Layer("x", len(SKUS), root.hex),)
    return Snapshot("retail", 1, layers, len(SKUS), SnapshotState.PUBLISHED, now, now, None, "x", None)


def uncached_pages(store: Store) -> Pages:
    """Return `Pages` that always read the database."""
    store.block_cache.budget = 0
    return Loaders(store, PointerCache(store)).pages


def expected(window: Window[str]) -> tuple[list[str], bool]:
    """Return the expected skus of a window, and whether its range has more."""
    within = [sku for sku in SKUS if (window.after or "") < sku < (window.before or "z")]
    shown = within[-window.size :] if window.backward else within[: window.size]
    return shown, len(within) > len(shown)


async def test_every_window_of_prices_shows_its_part_of_the_order(mock_store: Store, snapshot: Snapshot) -> None:
    pages = uncached_pages(mock_store)
    for size, after, before, backward in product((1, 2, 4, 5, 6), PLACES, PLACES, (False, True)):
        window = Window(size, after, before, backward=backward)
        page = await pages.prices(snapshot, window)
        shown, more = expected(window)
        assert [price.sku for price in page.records] == shown, window
        assert (page.has_previous if backward else page.has_next) is more, window
        # In the direction that the pages came from, the cursor alone decides: Relay allows it, and it costs no read.
        assert (page.has_next if backward else page.has_previous) is ((before if backward else after) is not None)


async def test_paging_visits_every_price_once(mock_store: Store, snapshot: Snapshot) -> None:
    pages = uncached_pages(mock_store)
    for size in range(1, 7):
        page = await pages.prices(snapshot, Window(size))
        forward = [price.sku for price in page.records]
        while page.has_next:
            page = await pages.prices(snapshot, Window(size, after=forward[-1]))
            forward += [price.sku for price in page.records]
        assert forward == SKUS
        page = await pages.prices(snapshot, Window(size, backward=True))
        backward = [price.sku for price in page.records]
        while page.has_previous:
            page = await pages.prices(snapshot, Window(size, before=backward[0], backward=True))
            backward = [*(price.sku for price in page.records), *backward]
        assert backward == SKUS


async def test_lists_are_paged_by_name(store: Store) -> None:
    for name in "cab":
        await create(store, name)
    pages = uncached_pages(store)
    first = await pages.price_lists(2, None, ALL_LISTS)
    assert ([found.name for found in first.records], first.has_next, first.has_previous) == (["a", "b"], True, False)
    second = await pages.price_lists(2, "b", ALL_LISTS)
    assert ([found.name for found in second.records], second.has_next, second.has_previous) == (["c"], False, True)
    assert await pages.count_price_lists(ALL_LISTS) == 3
