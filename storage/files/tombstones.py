"""Removals of a MERGE: the skus to remove become tombstones in its layer."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from storage.prices.item_error import RowRefused
from storage.prices.price import TOMBSTONE
from storage.prices.row_checks import check_sku
from storage.prices.row_decoder import SLICE_ROWS, Slice


async def with_tombstones(slices: AsyncIterator[Slice], skus: Sequence[str]) -> AsyncIterator[Slice]:
    """Yield the slices, then those of the tombstones, whose positions follow."""
    position = 0
    async for rows in slices:
        position += len(rows.skus) + len(rows.refused)
        yield rows
    for start in range(0, len(skus), SLICE_ROWS):
        yield _tombstones(skus[start : start + SLICE_ROWS], position + start)


def _tombstones(skus: Sequence[str], first: int) -> Slice:
    result = Slice()
    for position, sku in enumerate(skus, first):
        try:
            check_sku(sku)
        except RowRefused as refused:
            error = RowRefused(refused.code, str(refused), "remove")
            result.refuse(position, None, partial(_explain, sku, error))
        else:
            result.skus.append(sku)
            result.rows.append(TOMBSTONE)
            result.positions.append(position)
    return result


def _explain(sku: str, error: RowRefused) -> tuple[str, list[RowRefused]]:
    return sku, [error]
