"""Files of prices, decoded while they arrive: NDJSON or CSV, plain or compressed.

chunks → storage.compression → storage.lines → storage.ndjson or storage.csv_rows → slices
"""

from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import blake2b
from typing import Protocol

from storage.errors import Interrupted
from storage.fair_yield import yield_to_loop
from storage.files.compression import GZIP, ZSTD, decompressed
from storage.files.csv import CsvDecoder
from storage.files.errors import FileTooLarge, UnknownEncoding
from storage.files.line_blocks import Block, whole_lines
from storage.files.ndjson import NdjsonDecoder
from storage.prices.row_decoder import Slice


class Decoder(Protocol):
    """Decodes the blocks of one file, in order, and then what is left."""

    def slices(self, block: Block) -> Iterator[Slice]:
        """Return the rows that end in the next block."""

    def finish(self) -> Iterator[Slice]:
        """Return what is left when the last block was decoded."""


_DECODERS: dict[str, Callable[[int], Decoder]] = {"ndjson": NdjsonDecoder, "jsonl": NdjsonDecoder, "csv": CsvDecoder}
_ENCODINGS = {"gz": GZIP, "zst": ZSTD}

MAX_FILE_BYTES = 8 << 30


class FileRows:
    """The rows of a file that can be read once. Memory is bounded, however large it is."""

    expected = None

    def __init__(self, name: str, chunks: AsyncIterator[bytes], max_bytes: int = MAX_FILE_BYTES) -> None:
        """Take a file of at most `max_bytes`, once decompressed, whose name says what it is.

        Raises `UnknownEncoding`.
        """
        _, *suffixes = name.lower().split(".")
        encoding = _ENCODINGS.get(suffixes[-1]) if suffixes else None
        if encoding:
            suffixes.pop()
        if not suffixes or suffixes[-1] not in _DECODERS:
            raise UnknownEncoding(
                f"The name {name[-100:]!r} does not say how to read the file. "
                "Known are .ndjson, .jsonl and .csv, and each of them with .gz or .zst behind it."
            )
        self._decoder = _DECODERS[suffixes[-1]]
        self._pieces = self._read(decompressed(chunks, encoding), max_bytes)
        self._begun = False
        self.fingerprint: str | None = None

    async def slices(self, first: int = 0) -> AsyncIterator[Slice]:
        """Return the rows in slices, good and bad; `first` is the position in the batch of the first row.

        At their end the file has been read to its end. Raises `FileRefused`, and `Interrupted` the second time.
        """
        if self._begun:
            raise Interrupted("A file can be read once, and this was broken off. Send it again with the same key.")
        self._begun = True
        decoder = self._decoder(first)
        async for block in whole_lines(self._pieces):
            for rows in decoder.slices(block):
                yield rows
                await yield_to_loop()
        for rows in decoder.finish():
            yield rows

    async def drain(self) -> None:
        """Read to the end without decoding. Raises `FileRefused`, and `Interrupted` where the reading broke off."""
        async for _ in self._pieces:
            pass
        if self.fingerprint is None:
            raise Interrupted("The file was not read to its end. Send it again with the same key.")

    async def _read(self, pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
        digest, size = blake2b(digest_size=16), 0
        async for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise FileTooLarge(
                    f"The file has over {max_bytes} bytes once decompressed. Send it in parts, by appendBatch."
                )
            digest.update(piece)
            yield piece
        self.fingerprint = digest.hexdigest()
