"""The text of cells. Lone surrogates stand for bytes that are not UTF-8: see `storage.files.csv`."""

import re
from collections.abc import Sequence

from storage.prices.row_text import not_utf8

_undecodable = re.compile("[\udc80-\udcff]").search


def is_utf8(cell: str) -> bool:
    """Return whether a cell has no invalid bytes."""
    return cell.isascii() or not _undecodable(cell)


def check_utf8(cells: Sequence[str]) -> None:
    """Raise `RowRefused` for the first invalid byte."""
    for cell in cells:
        if not cell.isascii() and (found := _undecodable(cell)):
            raise not_utf8(ord(found[0]) - 0xDC00)
