"""Streaming decoding of files of prices: NDJSON or CSV, plain or compressed.

chunks → compression → file_head → line_blocks → ndjson or csv → slices
"""

from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import blake2b
from typing import Protocol

from storage.errors import Interrupted
from storage.fair_yield import yield_to_loop
from storage.files.compression import GZIP, ZSTD, decompressed
from storage.files.csv import CsvDecoder
from storage.files.errors import FileTooLarge, UnknownEncoding
from storage.files.file_head import with_checked_head
from storage.files.line_blocks import Block, whole_lines
from storage.files.line_numbers import LineNumbers
from storage.files.ndjson import NdjsonDecoder
from storage.prices.row_decoder import Slice


class Decoder(Protocol):
    """Decodes the blocks of one file, in order."""

    lines: LineNumbers

    def slices(self, block: Block) -> Iterator[Slice]:
        """Return the rows that end in the next block."""

    def finish(self) -> Iterator[Slice]:
        """Return the rows that remain after the last block."""


_DECODERS: dict[str, Callable[[], Decoder]] = {"ndjson": NdjsonDecoder, "jsonl": NdjsonDecoder, "csv": CsvDecoder}
_ENCODINGS = {"gz": GZIP, "zst": ZSTD}

_ADVICE = {
    "json": " Write JSON as one object a line.",
    "xlsx": " Save the sheet as 'CSV UTF-8 (Comma delimited)'.",
    "xls": " Save the sheet as 'CSV UTF-8 (Comma delimited)'.",
    "tsv": " Separate the columns by commas.",
}
"""Advice for known extensions that are not supported."""

MAX_FILE_BYTES = 8 << 30
"""Default limit of a decompressed file."""


class FileRows:
    """The rows of a file, which can be read once, in bounded memory."""

    expected = None

    def __init__(self, name: str, chunks: AsyncIterator[bytes], max_bytes: int = MAX_FILE_BYTES) -> None:
        """Open a file of at most `max_bytes` when decompressed, with its format by its name.

        Raises `UnknownEncoding`.
        """
        _, *suffixes = name.lower().split(".")
        encoding = _ENCODINGS.get(suffixes[-1]) if suffixes else None
        if encoding:
            suffixes.pop()
        if not suffixes or suffixes[-1] not in _DECODERS:
            raise UnknownEncoding(
                f"The file name {name[-100:]!r} has no supported extension. "
                "Use .ndjson, .jsonl or .csv, or one of them followed by .gz or .zst."
                f"{_ADVICE.get(suffixes[-1] if suffixes else '', '')}"
            )
        self._suffix = suffixes[-1]
        self._decoder = _DECODERS[self._suffix]()
        self._pieces = self._read(decompressed(chunks, encoding), max_bytes)
        self._begun = False
        self.fingerprint: str | None = None

    async def slices(self) -> AsyncIterator[Slice]:
        """Yield the rows in slices, valid and invalid ones.

        Raises `FileRefused`; `Interrupted` if called a second time.
        """
        if self._begun:
            raise Interrupted("The file was already read in part. Send it again with the same idempotency key.")
        self._begun = True
        async for block in whole_lines(with_checked_head(self._pieces, self._suffix)):
            for rows in self._decoder.slices(block):
                yield rows
                await yield_to_loop()
        for rows in self._decoder.finish():
            yield rows

    def line_of(self, index: int) -> int | None:
        """Return the line of a row that was read; None if it is unknown."""
        return self._decoder.lines.line_of(index)

    async def drain(self) -> None:
        """Read to the end without decoding. Raises `FileRefused`; `Interrupted` if an earlier read failed."""
        async for _ in self._pieces:
            pass
        if self.fingerprint is None:
            raise Interrupted("The file was not read to its end. Send it again with the same idempotency key.")

    async def _read(self, pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
        digest, size = blake2b(digest_size=16), 0
        async for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise FileTooLarge(
                    f"The file has more than {max_bytes} bytes when decompressed. Send it in parts with appendBatch."
                )
            digest.update(piece)
            yield piece
        self.fingerprint = digest.hexdigest()
