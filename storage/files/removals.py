"""Removals: the skus that a MERGE takes out, as documents of its layer."""

from collections.abc import AsyncIterator, Sequence

from storage.prices.price import encode_removal
from storage.prices.row_decoder import SLICE_ROWS, ItemError, RowRefused, Slice, check_sku


def removal_slice(skus: Sequence[str], first: int) -> Slice:
    """Return the documents of some removals; `first` is the position in the batch of the first of them."""
    removals = Slice()
    for position, sku in enumerate(skus, first):
        try:
            removals.documents.append(encode_removal(check_sku(sku), position))
        except RowRefused as refused:
            removals.errors.append(ItemError(position, sku[:256], "remove", refused.code, str(refused)))
    return removals


async def with_removals(slices: AsyncIterator[Slice], skus: Sequence[str], first: int = 0) -> AsyncIterator[Slice]:
    """Return slices, and then those of the removals, whose positions follow."""
    position = first
    async for rows in slices:
        position += len(rows.documents) + len(rows.errors)
        yield rows
    for start in range(0, len(skus), SLICE_ROWS):
        yield removal_slice(skus[start : start + SLICE_ROWS], position + start)
