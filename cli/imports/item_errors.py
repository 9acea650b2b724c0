"""Maps the invalid items of a batch, which was sent in parts, to lines of the imported files."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cli.client import Json
from cli.imports.price_files import Format, RowFile

_HEADER_LINE = 1
"""The line of the header in every part of a CSV."""


class FileRow(NamedTuple):
    """A row of a file, by its line."""

    file: RowFile
    line: int


def with_file_lines(files: Sequence[RowFile], errors: Sequence[Json]) -> list[Json]:
    """Return the errors with `line` counted in the file instead of the part; None if there is no such line.

    An error in the header of a CSV is returned once, although every part has the header.
    """
    if files[0].format is Format.CSV and any(error["line"] == _HEADER_LINE for error in errors):
        line = _header_line(files[0])
        return list(
            {(error["code"], error["field"]): {**error, "index": None, "line": line} for error in errors}.values()
        )
    indexes = {error["index"] for error in errors} | {error["duplicateOf"] for error in errors}
    rows = find_rows(files, indexes - {None})
    return [_with_line(error, rows) for error in errors]


def _with_line(error: Json, rows: Mapping[int, FileRow]) -> Json:
    row, earlier = rows.get(error["index"]), rows.get(error["duplicateOf"])
    located = {**error, "line": row.line if row else None}
    if row and earlier:
        where = "" if earlier.file is row.file else f" of {earlier.file.name}"
        located["message"] = f"The sku is also on line {earlier.line}{where}. Keep one of the two lines."
    return located


def find_rows(files: Sequence[RowFile], indexes: set[int]) -> dict[int, FileRow]:
    """Return where each row is, by its index; indexes start at 0 and continue from file to file.

    Reads the files again: that is rare, and remembering the line of every row would cost memory.
    """
    found: dict[int, FileRow] = {}
    index = 0
    for file in files:
        with file.path.open("rb") as raw:
            for row in file.read(raw)[1]:
                if len(found) == len(indexes):
                    return found
                if index in indexes:
                    found[index] = FileRow(file, row.line)
                index += 1
    return found


def _header_line(file: RowFile) -> int:
    with file.path.open("rb") as raw:
        return file.read(raw)[0].line
