"""Files split into the parts of a batch: the same files always give the same parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cli.imports.price_files import FileRefused, Format, Row, RowFile

MAX_PART_BYTES = 16 << 20
"""Largest part, before compression; far below the default limit of servers."""

SPLIT_VERSION = 1
"""Version of the way files are split. Idempotency keys contain it, so that a batch never mixes two ways."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a batch: rows of prices, or skus to remove."""

    sequence: int
    format: Format
    header: bytes
    rows: Sequence[bytes]
    read_bytes: int
    """Bytes of the file, as stored on disk, that were read for this part."""

    @property
    def prices(self) -> int:
        """The number of prices."""
        return 0 if self.format is Format.SKUS else len(self.rows)

    def file(self) -> bytes:
        """Return a part of prices as an uncompressed file."""
        return b"".join([self.header, *self.rows])

    def skus(self) -> list[str]:
        """Return the skus of a part of skus."""
        return [row.decode() for row in self.rows]


def split(files: Sequence[RowFile], part_rows: int) -> Iterator[Part]:
    """Split files, one after the other, into parts of at most `part_rows` rows.

    Raises `FileRefused`, also if a file changes while it is read.
    """
    sequence = 0
    for file in files:
        with file.open() as raw:
            position = 0
            header, rows = file.read(raw)
            if file.format is Format.SKUS:
                rows = _skus(file, rows)
            for group in _groups(rows, part_rows):
                yield Part(sequence, file.format, header.content, group, raw.tell() - position)
                position = raw.tell()
                sequence += 1
        file.check_unchanged()


def _groups(rows: Iterator[Row], max_rows: int) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for row in rows:
        if len(group) == max_rows or (group and size + len(row.content) > MAX_PART_BYTES):
            yield group
            group, size = [], 0
        group.append(row.content)
        size += len(row.content)
    if group:
        yield group


def _skus(file: RowFile, rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        sku = row.content.rstrip(b"\r\n")
        try:
            sku.decode()
        except UnicodeDecodeError as error:
            raise FileRefused(f"{file.name}, line {row.line}: this sku is not UTF-8.") from error
        yield Row(row.line, sku)
