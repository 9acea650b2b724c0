"""Extraction of the rows from the body of a large request, block by block.

A JSON decoder blocks the event loop until it has decoded the whole text, and it would decode a batch of many megabytes
twice: once for the request and once for its variables. A body of unusual form is left unchanged and decoded whole.
"""

import re
import secrets
from contextlib import suppress

import msgspec

from graph.rows.placeholders import Rows
from storage import InvalidArgument, leading_blocks, yield_to_loop

LARGE_BYTES = 1 << 20
"""Size from which rows are extracted. Smaller bodies are decoded whole, in a millisecond or two."""

_FIELD = b'"prices"'

_array = re.compile(rb'(?<!\\)"prices"\s*:\s*\[').match
"""Matches a member `prices` that is an array, and nothing within a string, where quotation marks are escaped."""

_MARK = b'["%s",' % secrets.token_hex(16).encode()
"""Replaces the rows at the start of their array. It is random, so that no client can send it."""


class ExtractedRows:
    """The leading rows of an array in a body. In `rest` a mark replaces them.

    `is_joined` is False until the array turns out to be the rows of a batch and `join` returns them.
    """

    def __init__(self, body: bytes, start: int, end: int, rows: list[msgspec.Raw]) -> None:
        self.body = body
        self.is_joined = False
        self._start = start
        self._end = end
        self._rows = rows

    @property
    def rest(self) -> bytes:
        """The body without the rows."""
        view = memoryview(self.body)
        return b"".join((view[: self._start], _MARK, view[self._end :]))

    def join(self, value: msgspec.Raw) -> Rows | None:
        """Return all rows of the array if `value` is its remainder in `rest`, otherwise None."""
        if bytes(memoryview(value)[: len(_MARK)]) != _MARK:
            return None
        _, *remaining = msgspec.json.decode(value, type=list[msgspec.Raw])
        self.is_joined = True
        end = self._end + memoryview(value).nbytes - len(_MARK)
        return Rows(memoryview(self.body)[self._start : end], self._rows + remaining)


async def extract_rows(body: bytes) -> ExtractedRows | None:
    """Return the rows of the first array `prices` in a body; None if it has none, or is smaller than `LARGE_BYTES`."""
    if len(body) < LARGE_BYTES:
        return None
    array = _array(body, body.find(_FIELD))
    if array is None:
        return None
    rows: list[msgspec.Raw] = []
    end = array.end()
    with suppress(InvalidArgument):  # raised again when the mutation reads its rows
        for block, block_end in leading_blocks(memoryview(body), end):
            rows += block
            end = block_end
            await yield_to_loop()
    return ExtractedRows(body, array.end() - 1, end, rows) if rows else None
