"""A JSON array is cut into its rows block by block, so that the event loop is never held for the whole of it."""

from collections.abc import Iterator

import msgspec

from storage.errors import InvalidArgument
from storage.prices.row_decoder import UNDECODABLE

# So many bytes are cut at once: less than a millisecond's work.
BLOCK_BYTES = 256 * 1024

# A block ends behind an object. What looks like the end of a row may be within one, so some places are tried.
TRIES = 8

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


def split_rows(array: bytes | memoryview, block_bytes: int = BLOCK_BYTES) -> Iterator[list[msgspec.Raw]]:
    """Return the rows of a JSON array, undecoded, in blocks. A single object is an array of one, as GraphQL has it.

    Raises `InvalidArgument` when it is neither.
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
        yield _decode_rows(b"".join((b"[", view[start:])) if start > 1 else view)
    except UNDECODABLE as error:
        raise InvalidArgument(f"`prices` must be a list of prices: {error}", path=("input", "prices")) from error


def leading_blocks(
    view: memoryview, start: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[list[msgspec.Raw], int]]:
    """Return rows from a place between two rows on, block by block, each with the place behind it.

    The last block of the text is left, and all from a block on that does not look like rows.
    """
    while len(view) - start > block_bytes:
        rows, length = _whole_rows(bytes(view[start : start + block_bytes]))
        if not rows:
            return
        start += length
        yield rows, start


def _whole_rows(block: bytes) -> tuple[list[msgspec.Raw], int]:
    """Return the rows at the start of a block that are whole, and how many bytes they and the next comma take.

    A prefix that is a list of whole values when it is put in brackets can only end between two rows.
    """
    end = len(block)
    for _ in range(TRIES):
        end = block.rfind(b"},", 0, end)
        if end < 0:
            break
        try:
            return _decode_rows(b"".join((b"[", block[: end + 1], b"]"))), end + 2
        except UNDECODABLE:
            continue
    return [], 0
