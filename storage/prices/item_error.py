"""The errors of items of a batch."""

import msgspec

from storage.prices.price import MAX_SKU_BYTES

MAX_ERRORS_PER_ITEM = 10
"""Number of errors of one item that are reported."""

_SHOWN_CHARACTERS = 40
"""Number of characters of a value that a message repeats."""


class ItemError(msgspec.Struct, frozen=True, rename="camel"):
    """One error of an item, which may have several. `index` is its position in the batch, from 0.

    `line` is its line in the file, from 1. `duplicate_of` is the index of the earlier item with the same sku.
    """

    index: int
    sku: str | None
    field: str | None
    code: str
    message: str
    line: int | None = None
    duplicate_of: int | None = None


class RowRefused(Exception):
    """A row has an error. The caller, which has the row's index, turns it into an `ItemError`."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def to_item_error(self, index: int, sku: str | None, line: int | None = None) -> ItemError:
        """Return the error with the position of the row."""
        return ItemError(index, sku and sku[:MAX_SKU_BYTES], self.field, self.code, str(self), line)


def quoted(value: str) -> str:
    """Return a value in quotation marks, as a message shows it; a long one is cut."""
    return repr(value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}...")
