"""Reads price files in tests: from bytes to rows and errors."""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from storage.files.price_file import MAX_FILE_BYTES, FileRows
from storage.prices.item_error import ItemError
from storage.prices.price import Price, decode_row
from storage.prices.row_decoder import Slice

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


async def slices_of(rows: FileRows) -> list[Slice]:
    """All slices of a file."""
    return [part async for part in rows.slices()]


@dataclass
class Decoded:
    """Decoded rows as in a slice, with the errors of those that were refused."""

    skus: list[str] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)


def joined(slices: Iterable[Slice]) -> Decoded:
    """Slices as one, with all errors."""
    whole = Decoded()
    for part in slices:
        assert len(part.skus) == len(part.rows) == len(part.positions)
        whole.skus.extend(part.skus)
        whole.rows.extend(part.rows)
        whole.positions.extend(part.positions)
        for row in part.refused:
            errors = row.errors()
            assert errors
            whole.errors += errors
    return whole


def read(name: str, *chunks: bytes, max_bytes: int = MAX_FILE_BYTES) -> Decoded:
    """All rows and errors of a file that arrives in these chunks, as one."""
    return joined(asyncio.run(slices_of(source(name, *chunks, max_bytes=max_bytes))))


def prices_of(rows: Decoded) -> list[Price | None]:
    """The prices of a slice, None for tombstones."""
    return list(map(decode_row, rows.skus, rows.rows))


def good(name: str, *chunks: bytes) -> list[Price]:
    """The prices of a file without errors, whose positions must be consecutive."""
    rows = read(name, *chunks)
    assert rows.errors == []
    assert rows.positions == list(range(len(rows.rows)))
    return [price for price in prices_of(rows) if price is not None]


def bad(name: str, *chunks: bytes) -> list[tuple[int, int | None, str | None, str]]:
    """The errors of a file: index, line, field and code."""
    return [(error.index, error.line, error.field, error.code) for error in read(name, *chunks).errors]


def shown(errors: Sequence[ItemError]) -> str:
    """The messages of errors."""
    return " | ".join(error.message for error in errors)
