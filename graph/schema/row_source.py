"""The rows of a mutation's input, as a row source of storage."""

from graph.rows.placeholders import rows_of
from graph.types.batch_inputs import AppendBatchInput, PublishBatchInput
from storage import InvalidArgument, JsonRows, RowSource


class NoPrices(InvalidArgument):
    """The input contains no prices, no file and no skus to remove."""

    code = "NO_PRICES"

    def __init__(self) -> None:
        super().__init__("Send prices, either as `prices` or as `file`.", path=("input", "prices"))


class PricesAndFile(InvalidArgument):
    """The input contains both prices and a file."""

    code = "PRICES_AND_FILE"

    def __init__(self) -> None:
        super().__init__("Send either `prices` or `file`, not both.", path=("input", "file"))


async def create_row_source(batch: PublishBatchInput | AppendBatchInput) -> RowSource:
    """Return the source of the rows of a batch or part.

    Raises `PricesAndFile`, `NoPrices`, `UploadReused`, and `UnknownEncoding` for a file name with an unknown suffix.
    """
    if batch.file is not None:
        if batch.prices is not None:
            raise PricesAndFile
        return batch.file.rows()
    if batch.prices is None and not batch.remove:
        raise NoPrices
    rows = rows_of(batch.prices or ())
    return await JsonRows.read(rows.json, rows.items)
