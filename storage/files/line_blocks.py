"""A file's text in blocks of whole lines."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from storage.files.errors import LineTooLong

BLOCK_BYTES = 256 * 1024
MAX_LINE_BYTES = 1024 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """A run of whole lines. `first_line` is the number in the file of the first of them, from 1."""

    first_line: int
    text: bytes


async def whole_lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[Block]:
    """Return blocks of `BLOCK_BYTES` or more, without a byte order mark; the last may be smaller.

    Raises `LineTooLong` as soon as a line has more than `MAX_LINE_BYTES`.
    """
    lines = _Lines()
    async for piece in pieces:
        lines.add(piece)
        if lines.whole_bytes >= BLOCK_BYTES:
            yield lines.take()
    lines.close()
    yield lines.take()


class _Lines:
    """The whole lines that have come, and as much as has come of the next."""

    def __init__(self) -> None:
        self.whole_bytes = 0
        self._number = 1
        self._whole: list[bytes] = []
        self._next: list[bytes] = []
        self._next_bytes = 0

    def add(self, piece: bytes) -> None:
        """Add what came. Raises `LineTooLong`."""
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
        """Count what has come of the next line as whole."""
        self._whole += self._next
        self.whole_bytes += self._next_bytes
        self._next, self._next_bytes = [], 0

    def take(self) -> Block:
        """Return the whole lines, and have none."""
        text = b"".join(self._whole)
        block = Block(self._number, text.removeprefix(_BYTE_ORDER_MARK) if self._number == 1 else text)
        self._number += text.count(b"\n")
        self._whole, self.whole_bytes = [], 0
        return block
