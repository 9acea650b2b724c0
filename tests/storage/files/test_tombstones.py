"""The skus to remove become tombstones, after the rows of the batch."""

from collections.abc import AsyncIterator

from storage.files.tombstones import with_tombstones
from storage.prices.item_error import RowRefused
from storage.prices.price import TOMBSTONE
from storage.prices.row_decoder import SLICE_ROWS, RefusedRow, Slice
from tests.storage.reading import joined


async def sent() -> AsyncIterator[Slice]:
    """Two slices with three rows, of which one is invalid."""
    refused = RowRefused("AMOUNT_NEGATIVE", "-1 is negative.", "amount")
    yield Slice(["a"], [b"a"], [0], [RefusedRow(1, None, lambda: ("b", [refused]))])
    yield Slice(["c"], [b"c"], [2])


async def test_the_positions_of_tombstones_follow_those_of_all_rows() -> None:
    rows = joined([part async for part in with_tombstones(sent(), ["x", "", " z ", "y"])])
    assert rows.skus == ["a", "c", "x", "y"]
    assert rows.rows == [b"a", b"c", TOMBSTONE, TOMBSTONE]
    assert rows.positions == [0, 2, 3, 6]
    assert [(error.index, error.sku, error.field, error.code) for error in rows.errors] == [
        (1, "b", "amount", "AMOUNT_NEGATIVE"),
        (4, "", "remove", "SKU_EMPTY"),
        (5, " z ", "remove", "SKU_SPACES"),
    ]


async def test_many_tombstones_come_in_slices() -> None:
    skus = [f"sku-{number:06}" for number in range(SLICE_ROWS + 1)]
    parts = [part async for part in with_tombstones(sent(), skus)]
    assert [len(part.rows) for part in parts] == [1, 1, SLICE_ROWS, 1]
    assert joined(parts).positions[2:] == list(range(3, 3 + len(skus)))
