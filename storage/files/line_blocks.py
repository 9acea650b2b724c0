"""Splits the text of a file into blocks of complete lines."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from storage.files.errors import LineTooLong

MIN_BLOCK_BYTES = 256 * 1024
"""Minimum of a block, except the last of a file."""

MAX_LINE_BYTES = 1024 * 1024
"""Limit of a line, and of a CSV record with line breaks."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Some complete lines. `first_line` is the number of the first one in the file, from 1."""

    first_line: int
    text: bytes


async def whole_lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[Block]:
    """Yield blocks of at least `MIN_BLOCK_BYTES`, except the last, without a byte order mark.

    Raises `LineTooLong` as soon as a line exceeds `MAX_LINE_BYTES`.
    """
    lines = _Lines()
    async for piece in pieces:
        lines.add(piece)
        if lines.whole_bytes >= MIN_BLOCK_BYTES:
            yield lines.take()
    lines.close()
    yield lines.take()


class _Lines:
    """Buffers complete lines, and the beginning of the next."""

    def __init__(self) -> None:
        self.whole_bytes = 0
        self._number = 1
        self._whole: list[bytes] = []
        self._next: list[bytes] = []
        self._next_bytes = 0

    def add(self, piece: bytes) -> None:
        """Add a piece of the file. Raises `LineTooLong`."""
        first_end = piece.find(b"\n")
        if self._next_bytes + (first_end if first_end >= 0 else len(piece)) > MAX_LINE_BYTES:
            raise LineTooLong(self._number + b"".join(self._whole).count(b"\n"), MAX_LINE_BYTES)
        if first_end >= 0:
            end = piece.rfind(b"\n") + 1
            self._next.append(piece[:end])
            self._next_bytes += end
            self.close()
            piece = piece[end:]
        self._next.append(piece)
        self._next_bytes += len(piece)

    def close(self) -> None:
        """Treat the beginning of the next line as a complete line."""
        self._whole += self._next
        self.whole_bytes += self._next_bytes
        self._next, self._next_bytes = [], 0

    def take(self) -> Block:
        """Remove and return the complete lines."""
        text = b"".join(self._whole)
        block = Block(self._number, text.removeprefix(_BYTE_ORDER_MARK) if self._number == 1 else text)
        self._number += text.count(b"\n")
        self._whole, self.whole_bytes = [], 0
        return block
