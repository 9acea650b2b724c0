"""NDJSON: one JSON object per line."""

from collections.abc import Iterator, Sequence

from storage.files.line_blocks import NOT_UTF8, Block
from storage.prices.row_decoder import SLICE_ROWS, RowRefused, Slice, decode_row, encode_row, sent_sku


class NdjsonDecoder:
    """Decodes the blocks of a file. Positions of its rows start at `first`; blank lines are skipped."""

    def __init__(self, first: int) -> None:
        self._position = first

    def slices(self, block: Block) -> Iterator[Slice]:
        """Return the rows of the next block."""
        lines = block.text.split(b"\n")
        for start in range(0, len(lines), SLICE_ROWS):
            yield self._decode(lines[start : start + SLICE_ROWS], block.first_line + start)

    def finish(self) -> Iterator[Slice]:
        """Return nothing: a block has no incomplete rows."""
        return iter(())

    def _decode(self, lines: Sequence[bytes], first_line: int) -> Slice:
        rows, position = Slice(), self._position
        for number, line in enumerate(lines, first_line):
            if not line or line.isspace():
                continue
            try:
                rows.documents.append(encode_row(decode_row(line), position))
            except RowRefused as refused:
                error = refused if _is_utf8(line) else RowRefused("ENCODING_INVALID", NOT_UTF8)
                rows.errors.append(error.to_item_error(position, sent_sku(line), number))
            position += 1
        self._position = position
        return rows


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
