"""Removals of a MERGE: the skus to remove become tombstones in its layer."""

from collections.abc import AsyncIterator, Sequence

from storage.prices.price import encode_tombstone
from storage.prices.row_decoder import SLICE_ROWS, ItemError, RowRefused, Slice, check_sku


def tombstone_slice(skus: Sequence[str], first: int) -> Slice:
    """Return the tombstones of some skus. `first` is the position of the first one in the batch."""
    tombstones = Slice()
    for position, sku in enumerate(skus, first):
        try:
            tombstones.documents.append(encode_tombstone(check_sku(sku), position))
        except RowRefused as refused:
            tombstones.errors.append(ItemError(position, sku[:256], "remove", refused.code, str(refused)))
    return tombstones


async def with_tombstones(slices: AsyncIterator[Slice], skus: Sequence[str], first: int = 0) -> AsyncIterator[Slice]:
    """Yield the slices, then those of the tombstones, whose positions follow."""
    position = first
    async for rows in slices:
        position += len(rows.documents) + len(rows.errors)
        yield rows
    for start in range(0, len(skus), SLICE_ROWS):
        yield tombstone_slice(skus[start : start + SLICE_ROWS], position + start)
