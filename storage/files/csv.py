"""CSV by RFC 4180: a header row, commas and double quotes. A quoted cell may contain line breaks."""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter

from storage.files.csv_header import KNOWN_COLUMNS, Columns, NotARow, read_header
from storage.files.csv_records import malformed, record_errors
from storage.files.csv_text import check_utf8, is_utf8
from storage.files.errors import LineTooLong
from storage.files.line_blocks import MAX_LINE_BYTES, Block
from storage.files.line_numbers import LineNumbers
from storage.prices.item_error import RowRefused
from storage.prices.row import Row
from storage.prices.row_decoder import SLICE_ROWS, RefusedRow, Slice, encode_slice

_Cells = list[str] | csv.Error
"""The cells of a record, or the error if it is malformed."""


class _EndOfBlock(Exception):
    """The block has ended, maybe within a record."""


class CsvDecoder:
    """Decodes the blocks of a file. Empty lines are skipped.

    Errors of the header row are reported for the first row, and no row is decoded.
    """

    def __init__(self) -> None:
        self._position = 0
        self.lines = LineNumbers()
        self._columns: Columns | None = None
        self._header_refused = False
        self._all_utf8 = True
        # The incomplete record at the end of the last block, and the number of its first line.
        self._rest = ""
        self._rest_line = 1

    def slices(self, block: Block) -> Iterator[Slice]:
        """Return the rows that end in the next block. Raises `LineTooLong`."""
        return self._decode(self._records(self._rest + self._text(block.text), last=False))

    def finish(self) -> Iterator[Slice]:
        """Return the errors at the end of the file: an unclosed quote, or a missing header row."""
        yield from self._decode(self._records(self._rest, last=True))
        if self._columns is None:
            yield from self._refuse_header(
                [RowRefused("HEADER_MISSING", f"The file is empty: it has no header row. {KNOWN_COLUMNS}")], 1
            )

    def _decode(self, records: Iterator[tuple[int, _Cells]]) -> Iterator[Slice]:
        pending = _PendingRows(self.lines)
        for line, cells in records:
            if self._columns is None:
                yield from self._read_header(cells, line)
                continue
            try:
                pending.add(self._row(self._columns, cells), self._position, line)
            except NotARow:
                pending.refuse(RefusedRow(self._position, line, partial(_explain, self._columns, cells)))
            self._position += 1
            if len(pending) == SLICE_ROWS:
                yield pending.encode()
                pending = _PendingRows(self.lines)
        yield pending.encode()

    def _row(self, columns: Columns, cells: _Cells) -> Row:
        if not isinstance(cells, list) or not (self._all_utf8 or all(map(is_utf8, cells))):
            raise NotARow
        return columns.row(cells)

    def _read_header(self, cells: _Cells, line: int) -> Iterator[Slice]:
        if self._header_refused:
            return
        header = read_header(cells) if isinstance(cells, list) else [malformed(cells)]
        if isinstance(header, Columns):
            self._columns = header
        else:
            yield from self._refuse_header(header, line)

    def _refuse_header(self, problems: Sequence[RowRefused], line: int) -> Iterator[Slice]:
        if not self._header_refused:
            self._header_refused = True
            yield Slice(refused=[RefusedRow(self._position, line, lambda: (None, problems))])

    def _text(self, block: bytes) -> str:
        try:
            return block.decode()
        except UnicodeDecodeError:
            # Decode invalid bytes to lone surrogates, so that only the rows that contain them are rejected.
            self._all_utf8 = False
            return block.decode(errors="surrogateescape")

    def _records(self, text: str, *, last: bool) -> Iterator[tuple[int, _Cells]]:
        """Yield the records that end in a text, each with the number of its first line, and keep the rest."""
        lines = list(io.StringIO(text, newline="\n"))
        reader = csv.reader(_lines(lines, last), strict=True)
        first_line, begin = self._rest_line, 0
        while True:
            cells: _Cells
            try:
                cells = next(reader)
            except (StopIteration, _EndOfBlock):
                break
            except csv.Error as error:
                cells = error
            if reader.line_num - begin > 1:
                _check_length(lines[begin : reader.line_num], first_line + begin)
            if cells:
                yield first_line + begin, cells
            begin = reader.line_num
        _check_length(lines[begin:], first_line + begin)
        self._rest, self._rest_line = "".join(lines[begin:]), first_line + begin


def _explain(columns: Columns, cells: _Cells) -> tuple[str | None, list[RowRefused]]:
    """Return the sku and all errors of a record that is no row."""
    if not isinstance(cells, list):
        return None, [malformed(cells)]
    try:
        check_utf8(cells)
    except RowRefused as refused:
        return columns.sku_of(cells), [refused]
    return columns.sku_of(cells), record_errors(columns, cells)


class _PendingRows:
    """The rows of the next slice, and the records that are no rows."""

    def __init__(self, line_numbers: LineNumbers) -> None:
        self._line_numbers = line_numbers
        self._rows: list[Row] = []
        self._positions: list[int] = []
        self._lines: list[int] = []
        self._refused: list[RefusedRow] = []

    def __len__(self) -> int:
        return len(self._rows) + len(self._refused)

    def add(self, row: Row, position: int, line: int) -> None:
        self._rows.append(row)
        self._positions.append(position)
        self._lines.append(line)

    def refuse(self, row: RefusedRow) -> None:
        self._refused.append(row)

    def encode(self) -> Slice:
        """Return the slice, with all refused rows in their order."""
        self._line_numbers.add(self._positions, self._lines)
        result = encode_slice(self._rows, self._positions, self._lines)
        result.refused.extend(self._refused)
        result.refused.sort(key=attrgetter("position"))
        return result


def _lines(lines: Sequence[str], last: bool) -> Iterator[str]:
    yield from lines
    if not last:
        raise _EndOfBlock


def _check_length(lines: Sequence[str], number: int) -> None:
    if sum(map(len, lines)) > MAX_LINE_BYTES:
        raise LineTooLong(number, MAX_LINE_BYTES)
