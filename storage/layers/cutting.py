"""The cut rule: where a block ends depends on the skus alone, unless its rows are long.

A new block begins before a sku whose CRC-32 is 0 modulo `CUT_MODULUS`, if the block before has `MIN_BLOCK_ROWS` rows;
and in any case after `MAX_BLOCK_ROWS` rows or `MAX_BLOCK_BYTES` bytes. So the same prices give the same blocks however
they arrived, and after a price that was added or removed the cuts soon are the same again: content-defined chunking
(Muthitacharoen et al., "A low-bandwidth network file system", SOSP 2001), by skus in place of bytes.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from zlib import crc32

from storage.layers.block import Block, BlockEntry, encode_block, reopen_block

CUT_MODULUS = 64
"""On average every 64th sku may begin a block. Blocks have 74 to 77 rows on average (docs/block-format.md,
"Sizes")."""

MIN_BLOCK_ROWS = 16
"""Rows that a block has at least, except the last of a layer and blocks of long rows."""

MAX_BLOCK_ROWS = 256
"""Rows that a block has at most."""

MAX_BLOCK_BYTES = 64 << 10
"""Bytes of rows from which a block ends; the last row may exceed them by its own length."""


def cuts(rows: int, row_bytes: int, sku: str) -> bool:
    """Whether a block with `rows` rows of `row_bytes` bytes in all ends before a sku."""
    return rows >= MAX_BLOCK_ROWS or row_bytes >= MAX_BLOCK_BYTES or (rows >= MIN_BLOCK_ROWS and _may_begin(sku))


def _may_begin(sku: str) -> bool:
    return not crc32(sku.encode()) % CUT_MODULUS


class _Candidates:
    """Where the cut rule may cut some rows: `cuts` for many skus at once."""

    def __init__(self, skus: Sequence[str], rows: Sequence[bytes]) -> None:
        self._count = len(skus)
        self._beginnings = [index for index, sku in enumerate(skus) if _may_begin(sku)]
        self._offsets = list(accumulate(map(len, rows), initial=0))

    def cut(self, rows: int, row_bytes: int, start: int) -> int:
        """Return the index before which a block ends that has `rows` rows, of `row_bytes` bytes, before `start`."""
        begin = bisect_left(self._beginnings, start + max(0, MIN_BLOCK_ROWS - rows))
        return min(
            self._beginnings[begin] if begin < len(self._beginnings) else self._count,
            start + MAX_BLOCK_ROWS - rows,
            bisect_left(self._offsets, self._offsets[start] + MAX_BLOCK_BYTES - row_bytes, start),
            self._count,
        )

    def bytes_between(self, start: int, end: int) -> int:
        """Return the bytes of some rows."""
        return self._offsets[end] - self._offsets[start]


class BlockCutter:
    """Cuts rows, which arrive in sku order, into blocks.

    A block that exists can be added as it is. It is copied if it begins and ends where the rule cuts, else its rows are
    cut again; so the blocks are the same as if all rows had been added.
    """

    def __init__(self) -> None:
        self._skus: list[str] = []
        self._rows: list[bytes] = []
        self._bytes = 0
        self._block: Block | None = None
        """The last block that was added, until the next sku shows whether it ends where it should."""

    def add(self, skus: Sequence[str], rows: Sequence[bytes]) -> list[Block]:
        """Add rows whose skus follow all before, and return the blocks that are complete."""
        if not skus:
            return []
        complete = self._settle(skus[0])
        candidates = _Candidates(skus, rows)
        start = 0
        while True:
            end = candidates.cut(len(self._rows), self._bytes, start)
            self._skus += skus[start:end]
            self._rows += rows[start:end]
            self._bytes += candidates.bytes_between(start, end)
            if end == len(skus):
                return complete
            complete.append(self._flush())
            start = end

    def add_block(self, block: Block) -> list[Block]:
        """Add a block whose skus follow all before, and return the blocks that are complete."""
        first = block.entry.first
        complete = self._settle(first)
        if self._rows and not cuts(len(self._rows), self._bytes, first):
            content = reopen_block(block.frame)
            return complete + self.add(content.skus, content.rows())
        if self._rows:
            complete.append(self._flush())
        self._block = block
        return complete

    def finish(self) -> list[Block]:
        """Return the last block, if there is one."""
        if self._block:
            return [self._block]
        return [self._flush()] if self._rows else []

    def _settle(self, sku: str) -> list[Block]:
        """Return the block that was added last if it ends before `sku`; else cut its rows again."""
        block, self._block = self._block, None
        if block is None:
            return []
        entry: BlockEntry = block.entry
        if cuts(entry.rows, entry.row_bytes, sku):
            return [block]
        content = reopen_block(block.frame)
        return self.add(content.skus, content.rows())

    def _flush(self) -> Block:
        block = encode_block(self._skus, self._rows)
        self._skus, self._rows, self._bytes = [], [], 0
        return block
