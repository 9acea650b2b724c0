"""The directory of a layer: what its blocks are, without their rows. docs/block-format.md describes every byte.

It is stored in pages of `PAGE_BLOCKS` blocks. The hash of all pages is the root of a hash tree (Merkle, "A digital
signature based on a conventional encryption function", CRYPTO 1987): the checksum of the layer, which its manifests
name. So a manifest proves the directory, and the directory proves each block.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from sys import getsizeof

import msgspec
import zstandard

from storage.errors import Corrupt
from storage.layers.block import HASH_BYTES, BlockEntry, BlockStats
from storage.prices.sku_range import SkuRange

PAGE_BLOCKS = 1024
"""Blocks of a page: some 75,000 rows. Its content has some 80 KB, which takes two milliseconds to decode."""

MAX_PAGE_BYTES = 8 << 20
"""Limit of the content of a page that is read."""

_COLUMN_BYTES = 4 * 8 + 28
"""The entries of four lists, and the one integer among them that is not shared."""

_compress = zstandard.ZstdCompressor(level=1).compress
_decompress = zstandard.ZstdDecompressor().decompress


class _Columns(msgspec.Struct, array_like=True, frozen=True):
    """A page: one column for each field of its blocks. The hashes are concatenated."""

    firsts: list[str]
    rows: list[int]
    tombstones: list[int]
    row_bytes: list[int]
    hashes: bytes
    stats: msgspec.Raw


_decode_page = msgspec.msgpack.Decoder(_Columns).decode
_decode_stats = msgspec.msgpack.Decoder(list[BlockStats]).decode


class Root:
    """The root of a hash tree, over pages in their order."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=HASH_BYTES)

    def add(self, page: bytes) -> None:
        """Add the content of a page."""
        self._hash.update(page)

    @property
    def hex(self) -> str:
        """The root of the pages so far, as 64 hexadecimal digits."""
        return self._hash.hexdigest()


def encode_page(entries: Sequence[BlockEntry]) -> bytes:
    """Return the content of the page of some blocks."""
    return msgspec.msgpack.encode(
        (
            [entry.first for entry in entries],
            [entry.rows for entry in entries],
            [entry.tombstones for entry in entries],
            [entry.row_bytes for entry in entries],
            b"".join([entry.hash for entry in entries]),
            [entry.stats for entry in entries],
        )
    )


def compress_page(content: bytes) -> bytes:
    """Return the frame of a page, as it is stored."""
    return _compress(content)


def decompress_page(frame: bytes) -> bytes:
    """Return the content of a page. Raises `Corrupt`."""
    try:
        if not 0 < zstandard.frame_content_size(frame) <= MAX_PAGE_BYTES:
            raise Corrupt("A page of a layer's directory has an impossible length.")
        return _decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(f"A page of a layer's directory cannot be decompressed: {error}") from error


class Directory:
    """The blocks of one layer, in sku order, by their index."""

    __slots__ = (
        "_decoded_page",
        "_hashes",
        "_stats",
        "count",
        "firsts",
        "memory_bytes",
        "row_bytes",
        "rows",
        "tombstones",
    )

    def __init__(self, pages: Iterable[bytes] = ()) -> None:
        """`pages` are the contents of the first pages; more can be added."""
        self.firsts: list[str] = []
        self.rows: list[int] = []
        self.tombstones: list[int] = []
        self.row_bytes: list[int] = []
        self.count = 0
        """Rows of all blocks, tombstones included."""
        self.memory_bytes = 0
        """The memory that the directory takes, as `sys.getsizeof` has it."""
        self._hashes = bytearray()
        self._stats: list[bytes] = []
        self._decoded_page: tuple[int, list[BlockStats]] = (-1, [])
        for page in pages:
            self.add(page)

    def add(self, page: bytes) -> None:
        """Add the content of the next page. Raises `msgspec.DecodeError` for bytes that are no page."""
        columns = _decode_page(page)
        self.firsts += columns.firsts
        self.rows += columns.rows
        self.tombstones += columns.tombstones
        self.row_bytes += columns.row_bytes
        self.count += sum(columns.rows)
        self._hashes += columns.hashes
        self._stats.append(bytes(columns.stats))
        self.memory_bytes += sum(map(getsizeof, columns.firsts)) + _COLUMN_BYTES * len(columns.firsts)
        self.memory_bytes += len(columns.hashes) + len(self._stats[-1])

    def __len__(self) -> int:
        return len(self.firsts)

    @property
    def pages(self) -> int:
        """The number of pages."""
        return len(self._stats)

    def hash(self, index: int) -> bytes:
        """Return the hash of a block."""
        return bytes(self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def stats(self, page: int) -> list[BlockStats]:
        """Return the stats of the blocks of a page. Its first block has the index `page * PAGE_BLOCKS`."""
        return _decode_stats(self._stats[page])

    def entry(self, index: int) -> BlockEntry:
        """Return all that the directory has about a block. It keeps the stats of a page: ask in the order of blocks."""
        page, place = divmod(index, PAGE_BLOCKS)
        if self._decoded_page[0] != page:
            self._decoded_page = page, self.stats(page)
        stats = self._decoded_page[1][place]
        return BlockEntry(
            self.firsts[index], self.rows[index], self.tombstones[index], self.row_bytes[index], self.hash(index), stats
        )

    def index(self, sku: str) -> int:
        """Return the index of the only block that may have a sku; -1 if none may."""
        return bisect_right(self.firsts, sku) - 1

    def indexes(self, sku_range: SkuRange) -> range:
        """Return the indexes of the blocks that may have skus of a range."""
        end = len(self) if sku_range.high is None else bisect_left(self.firsts, sku_range.high)
        return range(max(0, self.index(sku_range.low)), end)

    def is_within(self, index: int, sku_range: SkuRange) -> bool:
        """Whether all rows of a block certainly are within a range."""
        if self.firsts[index] < sku_range.low:
            return False
        return sku_range.high is None or (index + 1 < len(self) and self.firsts[index + 1] <= sku_range.high)
