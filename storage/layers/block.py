"""Blocks: runs of rows in sku order, each a document of a layer. docs/block-format.md describes every byte.

The content of a block is the msgpack array of its skus, the lengths of its rows, and its rows. Equal rows give equal
content, and so an equal hash.
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

import msgspec
import zstandard

from storage.errors import Corrupt
from storage.prices.price import TOMBSTONE, Price, RowAmount, RowHead, decode_row, decode_rows

BLOCK_FORMAT = 1
"""The format number of blocks and directories."""

HASH_BYTES = 32
"""Length of the BLAKE2b-256 hash of a block (RFC 7693)."""

MAX_CONTENT_BYTES = 1 << 20
"""Limit of the content of a block that is read. A block that the cut rule allows has some 198 KB at most."""

_COMPRESSION_LEVEL = 1
"""Higher levels take longer and save nothing: level 3 gives 15.6 bytes a row, as level 1 does."""

_compress = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_checksum=False).compress
_decompress = zstandard.ZstdDecompressor().decompress
_encode = msgspec.msgpack.encode
_decode_content = msgspec.msgpack.Decoder(tuple[list[str], bytes, msgspec.Raw]).decode
_decode_heads = msgspec.msgpack.Decoder(list[RowHead | None]).decode
_decode_amounts = msgspec.msgpack.Decoder(list[RowAmount | None]).decode
_decode_raw_rows = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode

_CONTENT = b"\x93"
"""The first byte of a content: an array of three elements."""


def collection_of(layer_id: str) -> str:
    """Return the name of a layer's collection."""
    return f"layer.{layer_id}"


class BlockStats(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Statistics of the prices of a block, by which a scan can skip it. All are empty for a block of tombstones.

    `least` and `greatest` are amounts, in plain notation. `valid_from` is the first day on which any price is valid,
    None if one has no first day; `valid_until` the last day, None if one has no end. Days are in ISO 8601.
    """

    least: str | None
    greatest: str | None
    currencies: tuple[str, ...]
    valid_from: str | None
    valid_until: str | None


class BlockEntry(NamedTuple):
    """A block as the directory of its layer describes it. `row_bytes` is the length of its rows, uncompressed."""

    first: str
    rows: int
    tombstones: int
    row_bytes: int
    hash: bytes
    stats: BlockStats


@dataclass(frozen=True, slots=True)
class Block:
    """A block and its content as one zstd frame (RFC 8878)."""

    entry: BlockEntry
    frame: bytes


class BlockContent:
    """The rows of a block. A row is decoded when it is asked for."""

    __slots__ = ("_array", "_header", "_lengths", "skus")

    def __init__(self, content: bytes) -> None:
        self.skus, lengths, rows = _decode_content(content)
        self._lengths = array("H", lengths)
        if sys.byteorder == "big":
            self._lengths.byteswap()
        self._array = memoryview(rows)
        self._header = _array_header_bytes(len(self.skus))

    def row(self, index: int) -> memoryview:
        """Return a row, encoded."""
        start = self._header + sum(self._lengths[:index])
        return self._array[start : start + self._lengths[index]]

    def rows(self) -> list[bytes]:
        """Return all rows, encoded."""
        return list(map(bytes, _decode_raw_rows(self._array)))

    def price(self, index: int) -> Price | None:
        """Return a price, or None for a tombstone."""
        return decode_row(self.skus[index], self.row(index))

    def prices(self) -> list[Price | None]:
        """Return all prices, None for each tombstone."""
        return decode_rows(self.skus, self._array)

    def heads(self) -> list[RowHead | None]:
        """Return amount, currency and validity of all prices, None for each tombstone."""
        return _decode_heads(self._array)

    def amounts(self) -> list[RowAmount | None]:
        """Return the amounts of all prices, None for each tombstone."""
        return _decode_amounts(self._array)

    def count(self, part: bytes) -> int:
        """Return how often a byte string occurs in the rows."""
        return bytes(self._array).count(part)

    def containing(self, part: bytes) -> list[int]:
        """Return the indexes of the rows that contain a byte string; perhaps also of some in which it only begins."""
        rows, starts, found = bytes(self._array), list(accumulate(self._lengths, initial=self._header)), list[int]()
        position = rows.find(part, self._header)
        while position >= 0:
            found.append(bisect_right(starts, position) - 1)
            position = rows.find(part, starts[found[-1] + 1])
        return found

    def prices_among(self, indexes: Sequence[int]) -> Sequence[int]:
        """Return the given indexes without those of tombstones."""
        lengths, tombstone = self._lengths, len(TOMBSTONE)
        if tombstone not in lengths:
            return indexes
        return [index for index in indexes if lengths[index] > tombstone]


def encode_content(skus: Sequence[str], rows: Sequence[bytes]) -> bytes:
    """Return the content of a block."""
    return _content(skus, rows, b"".join((_array_header(len(rows)), *rows)))


def _content(skus: Sequence[str], rows: Sequence[bytes], encoded: bytes) -> bytes:
    lengths = struct.pack(f"<{len(rows)}H", *map(len, rows))
    return b"".join((_CONTENT, _encode(skus), _encode(lengths), encoded))


def compress(content: bytes) -> bytes:
    """Return the frame of a content."""
    return _compress(content)


def encode_block(skus: Sequence[str], rows: Sequence[bytes]) -> Block:
    """Return the block of some rows, given in sku order."""
    encoded = b"".join((_array_header(len(rows)), *rows))
    content = _content(skus, rows, encoded)
    entry = BlockEntry(
        first=skus[0],
        rows=len(rows),
        tombstones=rows.count(TOMBSTONE),
        row_bytes=sum(map(len, rows)),
        hash=hash_of(content),
        stats=_stats([head for head in _decode_heads(encoded) if head is not None]),
    )
    return Block(entry, compress(content))


def open_block(frame: bytes, expected_hash: bytes) -> BlockContent:
    """Return the content of a frame from the database. Raises `Corrupt` unless it has the hash."""
    try:
        if not 0 < zstandard.frame_content_size(frame) <= MAX_CONTENT_BYTES:
            raise Corrupt("The frame of a block has an impossible length.")
        content = _decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(f"The frame of a block cannot be decompressed: {error}") from error
    if hash_of(content) != expected_hash:
        raise Corrupt("The content of a block has another hash than its layer's directory.")
    return BlockContent(content)


def reopen_block(frame: bytes) -> BlockContent:
    """Return the content of a frame that `open_block` or `encode_block` had before."""
    return BlockContent(_decompress(frame))


def hash_of(content: bytes) -> bytes:
    """Return the hash of the content of a block."""
    return blake2b(content, digest_size=HASH_BYTES).digest()


def _stats(heads: Sequence[RowHead]) -> BlockStats:
    if not heads:
        return BlockStats(None, None, (), None, None)
    amounts = [head.amount for head in heads]
    currencies = sorted({head.currency for head in heads})
    starts = [head.valid_from for head in heads]
    ends = [head.valid_until for head in heads]
    return BlockStats(
        format(min(amounts), "f"),
        format(max(amounts), "f"),
        tuple(currencies),
        None if None in starts else min(filter(None, starts)),
        None if None in ends else max(filter(None, ends)),
    )


def _array_header(count: int) -> bytes:
    """Return the msgpack header of an array of up to 65,535 elements."""
    return bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big")


def _array_header_bytes(count: int) -> int:
    return 1 if count < 16 else 3
