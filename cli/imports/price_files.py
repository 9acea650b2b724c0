"""Files of prices or skus, read row by row: NDJSON, CSV and plain text, compressed or not."""

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
"""Largest row. No valid price is nearly as large: a line end or a closing quote is missing."""

_BOM = b"\xef\xbb\xbf"

_COMPRESSIONS = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""The first bytes of compressed files, by the suffix of their names."""


class Format(StrEnum):
    """The format of a file's rows; the value is the file name suffix."""

    NDJSON = ".ndjson"
    CSV = ".csv"
    SKUS = ".txt"


_FORMATS = {".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON, ".csv": Format.CSV}


class FileRefused(click.ClickException):
    """A file cannot be read in its format; exit code 1."""


class Row(NamedTuple):
    """The bytes of one row, including its line end, and the number of its first line, from 1."""

    line: int
    content: bytes


_NO_ROW = Row(0, b"")


class RowFile:
    """A file that can be read several times, always with the same rows in the same order."""

    def __init__(self, path: Path, format: Format, name: str | None = None) -> None:  # noqa: A002 - the usual word
        self.path = path
        self.format = format
        self.name = name or str(path)
        """The name of the file in messages."""
        status = path.stat()
        if not path.is_file():
            raise FileRefused(
                f"{path} is not a regular file, and it is read more than once: pipe it to `pricebook import -`, or "
                "save it to a file first."
            )
        self.size = status.st_size
        self._identity = _identity(status)

    @classmethod
    def of_prices(cls, path: Path) -> "RowFile":
        """Return a file of prices, its format taken from its name. Raises `FileRefused`."""
        return cls(path, format_of(path))

    def digest(self) -> str:
        """Return the SHA-256 of the file as stored on disk, in hexadecimal."""
        with self.path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()

    def read(self, raw: io.BufferedReader) -> tuple[Row, Iterator[Row]]:
        """Return the header row of a CSV (empty for other formats), and the rows that follow; skips blank lines.

        The caller opens the file as `raw`, whose position shows how much has been read.
        Raises `FileRefused`, also while the rows are iterated.
        """
        rows = self._rows(raw)
        return next(rows, _NO_ROW) if self.format is Format.CSV else _NO_ROW, rows

    def check_unchanged(self) -> None:
        """Raise `FileRefused` if the file has changed since it was opened first."""
        if _identity(self.path.stat()) != self._identity:
            raise FileRefused(f"{self.name} was changed while it was read. Nothing is published; import it again.")

    def _rows(self, raw: io.BufferedReader) -> Iterator[Row]:
        self._check_suffix(raw)
        try:
            lines = self._lines(_decompressed(raw, self.path.suffix.lower()))
            if self.format is Format.CSV:
                yield from self._csv_rows(lines)
            else:
                yield from (line for line in lines if line.content.strip())
        except EOFError as error:
            message = "cannot be decompressed: it was cut off. Copy or download it again."
            raise FileRefused(f"{self.name} {message}") from error
        except (zlib.error, gzip.BadGzipFile, zstd.ZstdError) as error:
            raise FileRefused(f"{self.name} cannot be decompressed: {error}. Compress it again.") from error

    def _check_suffix(self, raw: io.BufferedReader) -> None:
        """Raise `FileRefused` if the name does not end as the file is compressed."""
        head = raw.peek(4)[:4]
        found = compression_suffix(head)
        expected = self.path.suffix.lower() if self.path.suffix.lower() in _COMPRESSIONS else None
        if found and found != expected:
            raise FileRefused(f"{self.name} is compressed: its name must end in {found}. Rename it.")
        if expected and not found and head and all(32 <= byte < 127 or byte in b"\r\n\t" for byte in head):
            raise FileRefused(f"{self.name} is not compressed, although its name ends in {expected}. Rename it.")

    def _lines(self, stream: io.BufferedIOBase) -> Iterator[Row]:
        number = 0
        while content := stream.readline(MAX_ROW_BYTES + 1):
            number += 1
            self._check_size(number, len(content))
            if number == 1:
                content = content.removeprefix(_BOM)
            yield Row(number, content if content.endswith(b"\n") else content + b"\n")

    def _csv_rows(self, lines: Iterable[Row]) -> Iterator[Row]:
        """Join lines to rows as servers do: within quotes, a line end is part of a value.

        Malformed CSV becomes a row too: the server reports the error.
        """
        row: list[bytes] = []

        def feed() -> Iterator[str]:
            size = 0
            for line in lines:
                size = size + len(line.content) if row else len(line.content)
                row.append(line.content)
                self._check_size(first, size)
                yield line.content.decode(errors="surrogateescape")

        reader = csv.reader(feed(), strict=True)
        while True:
            first = reader.line_num + 1
            row.clear()
            try:
                is_blank = not next(reader)
            except StopIteration:
                return
            except csv.Error:
                is_blank = False
            if not is_blank:
                yield Row(first, b"".join(row))

    def _check_size(self, line: int, size: int) -> None:
        if size > MAX_ROW_BYTES:
            raise FileRefused(
                f"{self.name}, line {line}: the row that starts here is larger than {MAX_ROW_BYTES >> 20} MiB. "
                "Is a closing quote missing, or a line end? CR alone ends no line."
            )


def compression_suffix(head: bytes) -> str:
    """Return the suffix for the name of a file that begins with `head`; empty if it is not compressed."""
    return next((suffix for suffix, magic in _COMPRESSIONS.items() if head.startswith(magic)), "")


def format_of(path: Path) -> Format:
    """Return the format of a file of prices, by its name. Raises `FileRefused`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    format = _FORMATS.get(suffixes[-1]) if suffixes else None  # noqa: A001
    if format is None:
        raise FileRefused(
            f"{path.name}: the name must end in .ndjson, .jsonl or .csv, followed by .gz or .zst if it is compressed."
        )
    return format


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _decompressed(raw: io.BufferedReader, suffix: str) -> io.BufferedIOBase:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".zst":
        return zstd.ZstdFile(raw)
    return raw
