"""Standard input as a file: an import reads it more than once, for its key, its parts and the lines of errors."""

import contextlib
import sys
import zlib
from pathlib import Path

from cli.imports.price_files import FileRefused, Format, RowFile, compression_suffix

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_INPUT_BYTES = 2 << 30
"""Limit of standard input, as it is stored on disk until the import ends."""

_CHUNK_BYTES = 1 << 20
_NAME = "standard input"


def store_prices(directory: Path) -> RowFile:
    """Store the prices of standard input in a directory. Their format is recognised. Raises `FileRefused`."""
    path = _store(directory / "prices")
    with path.open("rb") as stored:
        head = stored.read(_CHUNK_BYTES)
    suffix = compression_suffix(head)
    text = _decompressed(head, suffix).lstrip(b"\xef\xbb\xbf \t\r\n")
    format = Format.NDJSON if text[:1] in {b"{", b"["} else Format.CSV  # noqa: A001 - the usual word
    return RowFile(path.rename(path.with_suffix(f"{format}{suffix}")), format, _NAME)


def store_skus(directory: Path) -> RowFile:
    """Store the skus of standard input, which are not compressed, in a directory. Raises `FileRefused`."""
    return RowFile(_store(directory / "skus"), Format.SKUS, _NAME)


def _store(path: Path) -> Path:
    size = 0
    try:
        with path.open("xb") as stored:
            while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > MAX_INPUT_BYTES:
                    raise FileRefused(
                        f"Standard input is larger than {MAX_INPUT_BYTES >> 30} GiB. Save it to a file and import that."
                    )
                stored.write(chunk)
    except OSError as error:
        raise FileRefused(
            f"Standard input cannot be stored in {path.parent} until it is imported: {error.strerror or error}. "
            "Set TMPDIR to a folder with more space, or save it to a file and import that."
        ) from error
    return path


def _decompressed(head: bytes, suffix: str) -> bytes:
    """Return the beginning of a file, decompressed; empty if it is damaged, which reading it reports."""
    with contextlib.suppress(zlib.error, zstd.ZstdError):
        if suffix == ".gz":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _CHUNK_BYTES)
        if suffix == ".zst":
            return zstd.ZstdDecompressor().decompress(head, _CHUNK_BYTES)
        return head
    return b""
