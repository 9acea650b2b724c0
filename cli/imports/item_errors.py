"""Maps the invalid items of a batch, which was sent in parts, to lines of the imported files."""

from collections.abc import Sequence

from cli.client.client import Json
from cli.imports.price_files import Format, RowFile

_HEADER_LINE = 1
"""The line of the header in every part of a CSV."""


def with_file_lines(files: Sequence[RowFile], errors: Sequence[Json]) -> list[Json]:
    """Return the errors with `line` counted in the file instead of the part; None if there is no such line.

    An error in the header of a CSV is returned once, although every part has the header.
    """
    if files[0].format is Format.CSV and any(error["line"] == _HEADER_LINE for error in errors):
        line = _header_line(files[0])
        return list(
            {(error["code"], error["field"]): {**error, "index": None, "line": line} for error in errors}.values()
        )
    lines = find_lines(files, {error["index"] for error in errors})
    return [{**error, "line": lines.get(error["index"])} for error in errors]


def find_lines(files: Sequence[RowFile], indexes: set[int]) -> dict[int, int]:
    """Return the line of each row by its index; indexes start at 0 and continue from file to file.

    Reads the files again: that is rare, and remembering the line of every row would cost memory.
    """
    lines: dict[int, int] = {}
    index = 0
    for file in files:
        with file.path.open("rb") as raw:
            for row in file.read(raw)[1]:
                if len(lines) == len(indexes):
                    return lines
                if index in indexes:
                    lines[index] = row.line
                index += 1
    return lines


def _header_line(file: RowFile) -> int:
    with file.path.open("rb") as raw:
        return file.read(raw)[0].line
