"""NDJSON: one JSON object per line."""

from collections.abc import Iterator, Sequence

import msgspec

from storage.files.line_blocks import Block
from storage.files.line_numbers import LineNumbers
from storage.prices.row_decoder import SLICE_ROWS, Slice, decode_each, decode_slice
from storage.prices.row_text import UNDECODABLE


class NdjsonDecoder:
    """Decodes the blocks of a file. Blank lines are skipped."""

    def __init__(self) -> None:
        self._position = 0
        self.lines = LineNumbers()

    def slices(self, block: Block) -> Iterator[Slice]:
        """Return the rows of the next block."""
        lines = block.text.split(b"\n")
        for start in range(0, len(lines), SLICE_ROWS):
            yield self._decode(lines[start : start + SLICE_ROWS], block.first_line + start)

    def finish(self) -> Iterator[Slice]:
        """Return nothing: a block has no incomplete rows."""
        return iter(())

    def _decode(self, lines: Sequence[bytes], first_line: int) -> Slice:
        texts = [line.strip() for line in lines]
        numbers = [number for number, text in enumerate(texts, first_line) if text]
        texts = list(filter(None, texts))
        position = self._position
        self.lines.add(range(position, position + len(numbers)), numbers)
        self._position += len(texts)
        decode = decode_slice if _are_values(texts) else decode_each
        return decode(texts, position, numbers)


_decode_values = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _are_values(lines: Sequence[bytes]) -> bool:
    """Return whether each line is one JSON value.

    That the lines in one array are valid JSON is not enough: a line may have two values, or part of one.
    """
    try:
        values = _decode_values(b"[" + b",".join(lines) + b"]")
    except UNDECODABLE:
        return False
    return list(map(bytes, values)) == lines
