"""Files with rows of prices, or with skus, read row by row: NDJSON, CSV and plain text, as they are or compressed."""

import csv
import gzip
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import click

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_ROW_BYTES = 1 << 20
"""No valid price comes near it; whoever does has a file without line ends, or with a quote that is not closed."""

_BOM = b"\xef\xbb\xbf"
_COMPRESSED = {".gz", ".zst"}


class Format(StrEnum):
    """What the rows of a file are; the value is the suffix that a file of them has."""

    NDJSON = ".ndjson"
    CSV = ".csv"
    SKUS = ".txt"


_FORMATS = {".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON, ".csv": Format.CSV}


class FileRefused(click.ClickException):
    """A file cannot be read as what it is given for; exit code 1."""


class Row(NamedTuple):
    """The bytes of one row, its line end included, and the line on which it begins, from 1."""

    line: int
    content: bytes


_NO_ROW = Row(0, b"")


class RowFile:
    """One file. Its rows are the same, in the same order, whenever they are read."""

    def __init__(self, path: Path, format: Format) -> None:  # noqa: A002 - it is the word for it
        self.path = path
        self.format = format
        found = path.stat()
        if not path.is_file():
            raise FileRefused(f"{path} is no regular file. It is read more than once, so write it to one first.")
        self.size = found.st_size
        self._identity = _identity(found)

    @classmethod
    def of_prices(cls, path: Path) -> "RowFile":
        """Tell the format of a file of prices from its name. Raises `FileRefused`."""
        return cls(path, format_of(path))

    def digest(self) -> str:
        """Return the SHA-256 of the file as it stands on the disk, in hex."""
        with self.path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()

    def read(self, raw: io.BufferedReader) -> tuple[Row, Iterator[Row]]:
        """Return the header row of a CSV (else an empty one), and the rows behind it; blank lines are left out.

        `raw` is the file, opened by the caller, who can tell from its position how far the reading has come.
        Raises `FileRefused`, also while the rows are being read.
        """
        rows = self._rows(raw)
        return next(rows, _NO_ROW) if self.format is Format.CSV else _NO_ROW, rows

    def check_unchanged(self) -> None:
        """Raise `FileRefused` when the file is not the one any more that it was in the beginning."""
        if _identity(self.path.stat()) != self._identity:
            raise FileRefused(f"{self.path} was changed while it was being read. Nothing is published; import it anew.")

    def _rows(self, raw: io.BufferedReader) -> Iterator[Row]:
        try:
            lines = self._lines(_decompressed(raw, self.path.suffix.lower()))
            if self.format is Format.CSV:
                yield from self._csv_rows(lines)
            else:
                yield from (line for line in lines if line.content.strip())
        except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError) as error:
            raise FileRefused(f"{self.path} cannot be decompressed: {error}") from error

    def _lines(self, stream: io.BufferedIOBase) -> Iterator[Row]:
        number = 0
        while content := stream.readline(MAX_ROW_BYTES + 1):
            number += 1
            self._check_size(number, len(content))
            if number == 1:
                content = content.removeprefix(_BOM)
            yield Row(number, content if content.endswith(b"\n") else content + b"\n")

    def _csv_rows(self, lines: Iterable[Row]) -> Iterator[Row]:
        """Put lines together to rows as servers do: within quotes, a line end is part of a value.

        What is no CSV is a row too: the server will say what is wrong with it.
        """
        taken: list[bytes] = []

        def feed() -> Iterator[str]:
            size = 0
            for line in lines:
                size = size + len(line.content) if taken else len(line.content)
                taken.append(line.content)
                self._check_size(first, size)
                yield line.content.decode(errors="surrogateescape")

        reader = csv.reader(feed(), strict=True)
        while True:
            first = reader.line_num + 1
            taken.clear()
            try:
                is_blank = not next(reader)
            except StopIteration:
                return
            except csv.Error:
                is_blank = False
            if not is_blank:
                yield Row(first, b"".join(taken))

    def _check_size(self, line: int, size: int) -> None:
        if size > MAX_ROW_BYTES:
            raise FileRefused(
                f"{self.path}, line {line}: the row that begins here is over {MAX_ROW_BYTES >> 20} MiB. "
                "Is a line end missing, or a closing quote?"
            )


def format_of(path: Path) -> Format:
    """Return what the name of a file of prices says that it is. Raises `FileRefused`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    format = _FORMATS.get(suffixes[-1]) if suffixes else None  # noqa: A001
    if format is None:
        raise FileRefused(
            f"{path.name}: the name must tell the format: .ndjson, .jsonl or .csv, "
            "with .gz or .zst behind it where it is compressed."
        )
    return format


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _decompressed(raw: io.BufferedReader, suffix: str) -> io.BufferedIOBase:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".zst":
        return zstd.ZstdFile(raw)
    return raw
