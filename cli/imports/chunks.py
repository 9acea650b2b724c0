"""Files cut into the chunks that a batch is sent in: the same files always give the same chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cli.imports.price_files import FileRefused, Format, Row, RowFile

CHUNK_BYTES = 16 << 20
"""A chunk ends early rather than being larger, before compression; far below what servers take by default."""

CUT = 1
"""Which way of cutting this is: it goes into idempotency keys, so that two ways never mix in one batch."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that go out as one part of a batch: prices, or skus to remove."""

    sequence: int
    format: Format
    header: bytes
    rows: Sequence[bytes]
    read: int
    """How many bytes of the file, as it stands on the disk, were read for it."""

    @property
    def prices(self) -> int:
        """How many prices it has."""
        return 0 if self.format is Format.SKUS else len(self.rows)

    def file(self) -> bytes:
        """Return a chunk of prices as a file of its own, not compressed."""
        return b"".join([self.header, *self.rows])

    def skus(self) -> list[str]:
        """Return what a chunk of skus names."""
        return [row.decode() for row in self.rows]


def cut(files: Sequence[RowFile], chunk_rows: int) -> Iterator[Chunk]:
    """Cut files, one after the other, into chunks of at most so many rows each.

    Raises `FileRefused`, also when a file is changed meanwhile.
    """
    sequence = 0
    for file in files:
        with file.path.open("rb") as raw:
            position = 0
            header, rows = file.read(raw)
            if file.format is Format.SKUS:
                rows = _skus(file, rows)
            for group in _groups(rows, chunk_rows):
                yield Chunk(sequence, file.format, header.content, group, raw.tell() - position)
                position = raw.tell()
                sequence += 1
        file.check_unchanged()


def _groups(rows: Iterator[Row], most: int) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for row in rows:
        if len(group) == most or (group and size + len(row.content) > CHUNK_BYTES):
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
            raise FileRefused(f"{file.path}, line {row.line}: this sku is not UTF-8.") from error
        yield Row(row.line, sku)
