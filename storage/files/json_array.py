"""Splits a JSON array into its rows block by block, so that a large array does not block the event loop."""

from collections.abc import Iterator

import msgspec

from storage.errors import InvalidArgument
from storage.prices.row_text import UNDECODABLE

SPLIT_BYTES = 256 * 1024
"""Number of bytes split at once, in less than a millisecond."""

MAX_SPLIT_ATTEMPTS = 8
"""How many possible ends of a row are tried in a block. Text that looks like the end of a row may be within one."""

MIN_ROW_BYTES = 16
"""No valid row is shorter. Millions of empty objects would take twenty times the memory of their text."""

MAX_SHORT_ROWS = 1000
"""Number of shorter rows that are split, so that each gets its errors."""

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


def split_rows(array: bytes | memoryview, block_bytes: int = SPLIT_BYTES) -> Iterator[list[msgspec.Raw]]:
    """Yield the rows of a JSON array, undecoded, in blocks. As in GraphQL, a single object is a list of one.

    Raises `InvalidArgument` for other input.
    """
    if bytes(array[:1]) == b"{":
        yield [msgspec.Raw(array)]
        return
    view, start = memoryview(array), 1
    try:
        if bytes(array[:1]) == b"[":
            for rows, end in leading_blocks(view, start, block_bytes):
                yield rows
                start = end
        rest = view[start:]
        if len(rest) > block_bytes:
            _check_length(bytes(rest).count(b"{"), len(rest))
        yield _decode_rows(b"".join((b"[", view[start:])) if start > 1 else view)
    except UNDECODABLE as error:
        raise InvalidArgument(f"`prices` must be a list of prices: {error}", path=("input", "prices")) from error


def leading_blocks(
    view: memoryview, start: int, block_bytes: int = SPLIT_BYTES
) -> Iterator[tuple[list[msgspec.Raw], int]]:
    """Yield blocks of rows, each with the offset of its end. `start` is an offset between two rows.

    Stops before the last block of the text, or at a block that does not contain rows. Raises `InvalidArgument` if rows
    are too short to be valid.
    """
    while len(view) - start > block_bytes:
        rows, length = _whole_rows(bytes(view[start : start + block_bytes]))
        if not rows:
            return
        _check_length(len(rows), length)
        start += length
        yield rows, start


def _check_length(count: int, length: int) -> None:
    if count > MAX_SHORT_ROWS and count * MIN_ROW_BYTES > length:
        message = f"`prices` has rows of fewer than {MIN_ROW_BYTES} bytes, which no price has."
        raise InvalidArgument(message, path=("input", "prices"))


def _whole_rows(block: bytes) -> tuple[list[msgspec.Raw], int]:
    """Return the complete rows at the start of a block, and their length in bytes with the next comma.

    A prefix that is a valid array in brackets can only end between two rows.
    """
    end = len(block)
    for _ in range(MAX_SPLIT_ATTEMPTS):
        end = block.rfind(b"},", 0, end)
        if end < 0:
            break
        try:
            return _decode_rows(b"".join((b"[", block[: end + 1], b"]"))), end + 2
        except UNDECODABLE:
            continue
    return [], 0
