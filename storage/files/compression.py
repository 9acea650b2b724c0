"""Compressed files, decompressed while they arrive, in steps of bounded size.

A gzip file may have several members and a zstd file several frames. Check sums and lengths are verified at the end of
each; what is left over between the last of them and the end of the file is an error.
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

# What one step takes in, and what it gives out at most: some milliseconds of work, whatever the data expands to.
INPUT_BYTES = 16 * 1024
PIECE_BYTES = 256 * 1024

# What shrinks to a smaller part is a bomb, which costs its sender next to nothing: even the same price under a million
# skus, described at length, comes to some 700.
MAX_RATIO = 1000
_RATIO_FROM_BYTES = 16 << 20

# The window is the memory that a zstd frame asks for: 32 MiB hold all levels up to 20.
_WINDOW_LOG_MAX = 25


class _Decompressor(Protocol):
    """One member or frame. `decompress(b"")` goes on with what was given before."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipMember:
    """The inflater of `zlib`, with the interface that the newer decompressors have."""

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
    """A way to compress. `padding` may stand behind a member or frame; `advice` says what is taken."""

    name: str
    open: Callable[[], _Decompressor]
    padding: bytes = b""
    advice: str = ""


GZIP = Encoding("gzip", _GzipMember, padding=b"\0")
ZSTD = Encoding("zstd", _zstd_frame, advice=" Windows of up to 32 MiB are taken, and no dictionaries.")

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # behind a byte from 0x50 to 0x5f
_MAGIC_BYTES = 4


def encoding_of(head: bytes) -> Encoding | None:
    """Return how a file is compressed whose first bytes these are."""
    if head.startswith(_GZIP_MAGIC):
        return GZIP
    if head.startswith(_ZSTD_MAGIC) or (head[1:4] == _ZSTD_SKIPPABLE_MAGIC and head[0] >> 4 == 5):
        return ZSTD
    return None


async def decompressed(chunks: AsyncIterator[bytes], encoding: Encoding | None) -> AsyncIterator[bytes]:
    """Return the pieces of a file, each of at most `PIECE_BYTES`.

    Raises `WrongEncoding` for a file that is not compressed in that way, `FileCorrupt`, `FileTruncated`,
    `DecompressionBomb`.
    """
    chunks = _checked(chunks, encoding)
    pieces = _cut(chunks, PIECE_BYTES) if encoding is None else _decompress(_cut(chunks, INPUT_BYTES), encoding)
    async for piece in pieces:
        yield piece
        await yield_to_loop()


async def _checked(chunks: AsyncIterator[bytes], encoding: Encoding | None) -> AsyncIterator[bytes]:
    """Pass chunks on, once the first bytes have shown that they are what the file's name says."""
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
    found = encoding_of(head)
    if found is not encoding:
        named, is_ = (each.name if each else "not compressed" for each in (encoding, found))
        raise WrongEncoding(f"By its name the file is {named}, but by its first bytes it is {is_}. Mend its name.")


async def _cut(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


async def _decompress(chunks: AsyncIterator[bytes], encoding: Encoding) -> AsyncIterator[bytes]:
    frame: _Decompressor | None = None
    begun = False
    taken = given = 0
    async for chunk in chunks:
        taken += len(chunk)
        data = chunk if frame else chunk.lstrip(encoding.padding)
        while data or (frame and not frame.needs_input):
            frame = frame or encoding.open()
            begun = True
            try:
                piece = frame.decompress(data, PIECE_BYTES)
            except (zlib.error, zstd.ZstdError) as error:
                raise FileCorrupt(f"The file is no sound {encoding.name}: {error}.{encoding.advice}") from error
            given += len(piece)
            if given > max(taken * MAX_RATIO, _RATIO_FROM_BYTES):
                raise DecompressionBomb(MAX_RATIO)
            if piece:
                yield piece
            data = b""
            if frame.eof:
                data, frame = frame.unused_data.lstrip(encoding.padding), None
        await yield_to_loop()
    if frame or not begun:
        raise FileTruncated(f"The file ends in the middle of its {encoding.name} data. Send all of it.")
