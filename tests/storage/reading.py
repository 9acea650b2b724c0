"""Reads price files in tests: from bytes to documents and errors."""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import bson

from storage.files.price_file import MAX_FILE_BYTES, FileRows
from storage.prices.checksum import checksum
from storage.prices.row_decoder import ItemError, Slice

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}


async def arriving(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Chunks of a request body, as they arrive."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def cut(data: bytes, *offsets: int) -> list[bytes]:
    """Bytes in chunks that end at these offsets."""
    ends = [*sorted(offset % (len(data) + 1) for offset in offsets), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def source(name: str, *chunks: bytes, max_bytes: int = MAX_FILE_BYTES) -> FileRows:
    """The rows of a file that arrives in these chunks."""
    return FileRows(name, arriving(chunks), max_bytes)


async def slices_of(rows: FileRows, first: int = 0) -> list[Slice]:
    """All slices of a file."""
    return [part async for part in rows.slices(first)]


def read(name: str, *chunks: bytes, first: int = 0, max_bytes: int = MAX_FILE_BYTES) -> Slice:
    """All rows and errors of a file that arrives in these chunks, as one slice."""
    whole = Slice()
    for part in asyncio.run(slices_of(source(name, *chunks, max_bytes=max_bytes), first)):
        whole.documents.extend(part.documents)
        whole.errors.extend(part.errors)
    return whole


def good(name: str, *chunks: bytes) -> list[dict[str, object]]:
    """The decoded documents of a file without errors, without their positions, which must be consecutive."""
    rows = read(name, *chunks)
    assert rows.errors == []
    decoded = [bson.decode(document) for document in rows.documents]
    assert [document.pop("n") for document in decoded] == list(range(len(decoded)))
    return decoded


def bad(name: str, *chunks: bytes) -> list[tuple[int, int | None, str | None, str]]:
    """The errors of a file: index, line, field and code."""
    return [(error.index, error.line, error.field, error.code) for error in read(name, *chunks).errors]


def skus(rows: Slice) -> list[object]:
    """The skus of the documents of a slice."""
    return [bson.decode(document)["_id"] for document in rows.documents]


def digest(documents: Sequence[bytes]) -> str:
    """The checksum of documents."""
    return checksum(documents).hex


def shown(errors: Sequence[ItemError]) -> str:
    """The messages of errors."""
    return " | ".join(error.message for error in errors)
