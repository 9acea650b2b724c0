"""Standard input as a file: an import reads it more than once, for its key, its parts and the lines of errors."""

import contextlib
import os
import sys
import zlib
from contextlib import ExitStack
from io import BufferedReader, FileIO
from tempfile import TemporaryFile, gettempdir

import click

from cli.imports.price_files import FileRefused, Format, RowFile, compression_suffix

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_INPUT_BYTES = 2 << 30
"""Limit of standard input, as it is stored on disk until the import ends."""

_CHUNK_BYTES = 1 << 20
_NAME = "standard input"


def store_prices(stack: ExitStack) -> RowFile:
    """Store the prices of standard input until the stack is closed. Their format is recognised.

    Raises `FileRefused`, and `UsageError` if standard input is closed.
    """
    stored = _store(stack)
    with _open(stored) as raw:
        head = raw.read(_CHUNK_BYTES)
    suffix = compression_suffix(head)
    text = _decompressed(head, suffix).lstrip(b"\xef\xbb\xbf \t\r\n")
    format = Format.NDJSON if text[:1] in {b"{", b"["} else Format.CSV  # noqa: A001 - the usual word
    return RowFile(_NAME, format, suffix, lambda: _open(stored))


def store_skus(stack: ExitStack) -> RowFile:
    """Store the skus of standard input, which are not compressed. The rest is as in `store_prices`."""
    stored = _store(stack)
    return RowFile(_NAME, Format.SKUS, "", lambda: _open(stored))


def _store(stack: ExitStack) -> FileIO:
    """Copy standard input to a file without a name: whatever ends the process, nothing is left on disk."""
    if sys.stdin is None:
        raise click.UsageError("Standard input is closed: pipe the file to this command, or name it.")
    size = 0
    try:
        stored = stack.enter_context(TemporaryFile(buffering=0))  # noqa: SIM115 - the stack closes it
        with open(stored.fileno(), "wb", closefd=False) as buffered:
            while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > MAX_INPUT_BYTES:
                    raise FileRefused(
                        f"Standard input is larger than {MAX_INPUT_BYTES >> 30} GiB. Save it to a file and import that."
                    )
                buffered.write(chunk)
    except OSError as error:
        raise FileRefused(
            f"Standard input cannot be stored in {gettempdir()} until it is imported: {error.strerror or error}. "
            "Set TMPDIR to a folder with more space, or save it to a file and import that."
        ) from error
    return stored


def _open(stored: FileIO) -> BufferedReader:
    raw = open(os.dup(stored.fileno()), "rb")  # noqa: PTH123, SIM115 - it has no path, and the caller closes it
    raw.seek(0)
    return raw


def _decompressed(head: bytes, suffix: str) -> bytes:
    """Return the beginning of a file, decompressed; empty if it is damaged, which reading it reports."""
    with contextlib.suppress(zlib.error, zstd.ZstdError):
        if suffix == ".gz":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _CHUNK_BYTES)
        if suffix == ".zst":
            return zstd.ZstdDecompressor().decompress(head, _CHUNK_BYTES)
        return head
    return b""
