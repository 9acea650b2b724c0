"""The rows of a mutation's input, as storage takes them."""

from graph.rows.placeholders import rows_of
from graph.types.inputs import AppendBatchInput, PublishBatchInput
from storage import InvalidArgument, JsonRows, RowSource


class NoPrices(InvalidArgument):
    """Neither prices nor a file nor, in a merge, skus to remove."""

    code = "NO_PRICES"

    def __init__(self) -> None:
        super().__init__("Send the prices, either as `prices` or as `file`.", path=("input", "prices"))


class PricesAndFile(InvalidArgument):
    """Prices, and a file as well."""

    code = "PRICES_AND_FILE"

    def __init__(self) -> None:
        super().__init__("Send either `prices` or `file`, not both.", path=("input", "file"))


async def source_of(given: PublishBatchInput | AppendBatchInput) -> RowSource:
    """Return where the rows of an input come from.

    Raises `PricesAndFile`, `NoPrices`, `UploadReused`, and `UnknownEncoding` for a file's name that says nothing.
    """
    if given.file is not None:
        if given.prices is not None:
            raise PricesAndFile
        return given.file.rows()
    if given.prices is None and not given.remove:
        raise NoPrices
    rows = rows_of(given.prices or ())
    return await JsonRows.read(rows.json, rows.items)
