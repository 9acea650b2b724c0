"""The rows of a large request are cut out of its body block by block, and a decoder sees the rest alone.

A decoder holds the event loop until it is through with a text, and a batch of many megabytes would be gone through
whole once for the request and once more for its variables. Where anything is not as it usually is nothing is cut, and
the request is decoded the plain way.
"""

import re
import secrets

import msgspec

from graph.rows.placeholders import Rows
from storage import leading_blocks, yield_to_loop

LARGE_BYTES = 1 << 20
"""Smaller bodies are decoded the plain way: that takes a millisecond or two."""

_FIELD = b'"prices"'

# Within a string a quotation mark has a backslash before it, so this is the name of a member.
_array = re.compile(rb'(?<!\\)"prices"\s*:\s*\[').match

# What nobody can put into a body, at the beginning of an array.
_MARK = b'["%s",' % secrets.token_hex(16).encode()


class CutRows:
    """The rows that an array in a body begins with. In `rest` a mark stands in their place.

    `found` tells whether the array turned out to be one of rows.
    """

    def __init__(self, body: bytes, start: int, end: int, rows: list[msgspec.Raw]) -> None:
        self.body = body
        self.found = False
        self._start = start
        self._end = end
        self._rows = rows

    @property
    def rest(self) -> bytes:
        """The body without the rows."""
        view = memoryview(self.body)
        return b"".join((view[: self._start], _MARK, view[self._end :]))

    def join(self, value: msgspec.Raw) -> Rows | None:
        """Return all rows of the array, if `value` is what is left of it in `rest`."""
        if bytes(memoryview(value)[: len(_MARK)]) != _MARK:
            return None
        _, *left = msgspec.json.decode(value, type=list[msgspec.Raw])
        self.found = True
        end = self._end + memoryview(value).nbytes - len(_MARK)
        return Rows(memoryview(self.body)[self._start : end], self._rows + left)


async def cut_rows(body: bytes) -> CutRows | None:
    """Return the rows of a body's first array of prices; None where it has none, or is not large."""
    if len(body) < LARGE_BYTES:
        return None
    array = _array(body, body.find(_FIELD))
    if array is None:
        return None
    rows: list[msgspec.Raw] = []
    end = array.end()
    for block, behind in leading_blocks(memoryview(body), end):
        rows += block
        end = behind
        await yield_to_loop()
    return CutRows(body, array.end() - 1, end, rows) if rows else None
