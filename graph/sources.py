"""The rows of a mutation's input, as storage takes them."""

from graph.rows import rows_of
from graph.types.inputs import AppendBatchInput, PublishBatchInput
from storage import InvalidArgument, JsonRows, RowSource


async def source_of(given: PublishBatchInput | AppendBatchInput) -> RowSource:
    """Return where the rows of an input come from."""
    if given.prices is not None:
        return await JsonRows.read(rows_of(given.prices))
    if given.remove:
        return await JsonRows.read(b"[]")
    raise InvalidArgument("Send the prices.", path=("input", "prices"))
