"""Streaming decompression of gzip and zstd files, in steps of bounded size.

A gzip file may have several members and a zstd file several frames. The checksum and length of each are verified.
Trailing data after the last one is an error.
"""

import sys
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from storage.fair_yield import yield_to_loop
from storage.files.errors import DecompressionBomb, FileCorrupt, FileTruncated, WrongEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

INPUT_BYTES = 16 * 1024
"""Input of a decompression step. With `PIECE_BYTES` it limits a step to some milliseconds, however far data expands."""

PIECE_BYTES = 256 * 1024
"""Limit of the output of a decompression step."""

MAX_RATIO = 1000
"""Limit of the compression ratio; higher ones count as decompression bombs. The same price with long attributes under a
million skus has a ratio of about 700."""

_RATIO_FROM_BYTES = 16 << 20
"""Output size from which the ratio is checked."""

_WINDOW_LOG_MAX = 25
"""Limit of the memory that a zstd frame may request: a window of 32 MiB, enough for all levels up to 20."""


class _Decompressor(Protocol):
    """Decompresses one member or frame. `decompress(b"")` continues with buffered input."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipMember:
    """Adapts the decompressor of `zlib` to the interface of the newer ones."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=31)
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length and not self._inflater.unconsumed_tail
        return piece

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data


def _zstd_frame() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX})


@dataclass(frozen=True, slots=True)
class Encoding:
    """A compression format. `padding` may follow a member or frame; `advice` is added to error messages."""

    name: str
    suffix: str
    open: Callable[[], _Decompressor]
    padding: bytes = b""
    advice: str = ""


GZIP = Encoding("gzip", ".gz", _GzipMember, padding=b"\0")
ZSTD = Encoding("zstd", ".zst", _zstd_frame, advice=" Windows over 32 MiB and dictionaries are not supported.")

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f
_MAGIC_BYTES = 4


def detect_encoding(head: bytes) -> Encoding | None:
    """Return the compression format by the first bytes of a file, or None if it is not compressed."""
    if head.startswith(_GZIP_MAGIC):
        return GZIP
    if head.startswith(_ZSTD_MAGIC) or (head[1:4] == _ZSTD_SKIPPABLE_MAGIC and head[0] >> 4 == 5):
        return ZSTD
    return None


async def decompressed(chunks: AsyncIterator[bytes], encoding: Encoding | None) -> AsyncIterator[bytes]:
    """Yield the decompressed file in pieces of at most `PIECE_BYTES`.

    Raises `WrongEncoding` if the file has another format, `FileCorrupt`, `FileTruncated`, `DecompressionBomb`.
    """
    chunks = _checked(chunks, encoding)
    pieces = _cut(chunks, PIECE_BYTES) if encoding is None else _decompress(_cut(chunks, INPUT_BYTES), encoding)
    async for piece in pieces:
        yield piece
        await yield_to_loop()


async def _checked(chunks: AsyncIterator[bytes], encoding: Encoding | None) -> AsyncIterator[bytes]:
    """Yield the chunks after checking that the first bytes match the file name."""
    head = b""
    async for chunk in chunks:
        if len(head) < _MAGIC_BYTES:
            head += chunk
            if len(head) >= _MAGIC_BYTES:
                _check(head, encoding)
                yield head
        else:
            yield chunk
    if 0 < len(head) < _MAGIC_BYTES:
        _check(head, encoding)
        yield head


def _check(head: bytes, encoding: Encoding | None) -> None:
    detected = detect_encoding(head)
    if detected is not encoding:
        expected, found = (each.name if each else "not compressed" for each in (encoding, detected))
        advice = f"End its name in {detected.suffix}." if detected else "Its name must not end in .gz or .zst."
        raise WrongEncoding(f"By its name the file is {expected}, but by its first bytes it is {found}. {advice}")


async def _cut(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


async def _decompress(chunks: AsyncIterator[bytes], encoding: Encoding) -> AsyncIterator[bytes]:
    frame: _Decompressor | None = None
    started = False
    bytes_in = bytes_out = 0
    async for chunk in chunks:
        bytes_in += len(chunk)
        data = chunk if frame else chunk.lstrip(encoding.padding)
        while data or (frame and not frame.needs_input):
            frame = frame or encoding.open()
            started = True
            try:
                piece = frame.decompress(data, PIECE_BYTES)
            except (zlib.error, zstd.ZstdError) as error:
                raise FileCorrupt(
                    f"The {encoding.name} data is corrupt: {error}. Compress the file again.{encoding.advice}"
                ) from error
            bytes_out += len(piece)
            if bytes_out > max(bytes_in * MAX_RATIO, _RATIO_FROM_BYTES):
                raise DecompressionBomb(MAX_RATIO)
            if piece:
                yield piece
            data = b""
            if frame.eof:
                data, frame = frame.unused_data.lstrip(encoding.padding), None
        await yield_to_loop()
    if frame or not started:
        raise FileTruncated(f"The {encoding.name} data ends too early: the file was cut off. Send the complete file.")
