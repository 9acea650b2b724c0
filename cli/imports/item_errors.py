"""The bad items of a batch that was sent in chunks, led back to the lines of the files that were cut."""

from collections.abc import Sequence

from cli.client.client import Json
from cli.imports.price_files import Format, RowFile

_HEADER_LINE = 1
"""Where the header stands in every chunk of a CSV."""


def in_files(files: Sequence[RowFile], errors: Sequence[Json]) -> list[Json]:
    """Return the errors with `line` as it is in the file, not in the chunk; None where there is no such line.

    What is wrong with the header of a CSV comes once, though every chunk has it.
    """
    if files[0].format is Format.CSV and any(error["line"] == _HEADER_LINE for error in errors):
        line = _header_line(files[0])
        return list(
            {(error["code"], error["field"]): {**error, "index": None, "line": line} for error in errors}.values()
        )
    lines = find_lines(files, {error["index"] for error in errors})
    return [{**error, "line": lines.get(error["index"])} for error in errors]


def find_lines(files: Sequence[RowFile], indexes: set[int]) -> dict[int, int]:
    """Return the lines of the rows with these indexes, which count through all files from 0.

    Reads the files again: that is rarely needed, and remembering the line of every row is not free.
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
