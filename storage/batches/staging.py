"""Staging: the runs of a batch that is larger than one run, or comes in parts, until they are merged into its layer.

The staged blocks of all runs of a batch lie in one collection in the order of their first skus. So a single pass reads
them as the merge needs them: all rows before the first sku of the block that was read last are known. The rest
of each run's last block is kept in memory.

Nothing is ever deleted here but the whole collection: each attempt writes runs of its own, and only the runs that the
record of a part, or of its batch, names are merged.
"""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterator, Sequence
from contextlib import aclosing
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

import msgspec
from bson.objectid import ObjectId

from storage.batches.runs import SortedRows
from storage.errors import Corrupt, UnknownFormat
from storage.fair_yield import yield_to_loop
from storage.layers.block import BLOCK_FORMAT, HASH_BYTES, compress, encode_content, hash_of, open_block
from storage.layers.durable_inserts import DurableInserts
from storage.mongodb.connection import Database, Document

STAGED_ROWS = 128
"""Rows of a staged block."""

STAGED_BYTES = 64 << 10
"""Limit of the rows of a staged block, in bytes. No row is longer."""

BLOCKS_PER_READ = 64
"""Staged blocks of one read: 8,192 rows."""

STAGED_OPENED_AT_ONCE = 16
"""Staged blocks to open before other tasks may run: 2,048 rows, about a millisecond."""

MAX_MERGED_RUNS = 256
"""Runs to merge at once, which bounds the memory: `STAGED_ROWS` rows of each. More are first merged into fewer."""

PART_BITS = 32
"""Lower bits of a position, for the index of a row in its part; the upper bits are the number of the part."""


class StagedRun(msgspec.Struct, frozen=True):
    """A staged run: its id, the number of its rows, and the hash of its blocks' hashes and positions."""

    id: str
    rows: int
    checksum: str


class RepeatedSku(NamedTuple):
    """A sku that was sent twice: the positions of both rows, the earlier one first."""

    sku: str
    earlier: int
    position: int


class MergedRows(NamedTuple):
    """Merged rows in sku order. Of a sku that was sent twice, `rows` has the earlier row."""

    rows: SortedRows
    repeated: list[RepeatedSku]


class StagingRepository:
    """The staged runs of a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def write(self, batch: str, sorted_rows: AsyncIterable[SortedRows]) -> StagedRun:
        """Write a run, whose rows are in sku order, at `w: majority, j: true`.

        Raises `Corrupt` if the server refuses a document, `Unavailable`.
        """
        run, rows, digest = str(ObjectId()), 0, blake2b(digest_size=HASH_BYTES)
        numbers = count(1)
        async with DurableInserts(self._db, _collection_of(batch)) as inserts:
            async for each in sorted_rows:
                for block in _blocks(each):
                    document = _document(run, next(numbers), block)
                    digest.update(document["hash"])
                    digest.update(document["positions"])
                    rows += len(block.skus)
                    await inserts.add(document)
                    await yield_to_loop()
        return StagedRun(run, rows, digest.hexdigest())

    async def merge(self, batch: str, runs: Sequence[StagedRun]) -> AsyncGenerator[MergedRows, None]:
        """Yield the rows of all runs in sku order.

        Raises `UnknownFormat`, and `Corrupt` unless every run is as it was written.
        """
        while len(runs) > MAX_MERGED_RUNS:
            first, runs = runs[:MAX_MERGED_RUNS], runs[MAX_MERGED_RUNS:]
            runs = [*runs, await self._merge_into_one(batch, first)]
        async with aclosing(self._merge(batch, runs)) as merged_rows:
            async for merged in merged_rows:
                yield merged

    async def _merge_into_one(self, batch: str, runs: Sequence[StagedRun]) -> StagedRun:
        """Merge runs into a new run, with the rows that were sent twice."""

        async def sorted_rows() -> AsyncGenerator[SortedRows, None]:
            async with aclosing(self._merge(batch, runs, keep_repeated=True)) as merged_rows:
                async for merged in merged_rows:
                    yield merged.rows

        return await self.write(batch, sorted_rows())

    async def _merge(
        self, batch: str, runs: Sequence[StagedRun], *, keep_repeated: bool = False
    ) -> AsyncGenerator[MergedRows, None]:
        proofs = {run.id: _RunProof(run) for run in runs}
        pending: list[tuple[str, int, bytes]] = []
        async with aclosing(self._reads(batch, proofs)) as reads:
            async for documents in reads:
                for number, document in enumerate(documents, 1):
                    pending += proofs[document["_id"]["run"]].rows(document)
                    if not number % STAGED_OPENED_AT_ONCE:
                        await yield_to_loop()
                pending.sort()
                # Blocks that follow begin at this sku or after it.
                end = bisect_left(pending, (documents[-1]["_id"]["first"],))
                if end:
                    yield _merged(pending[:end], keep_repeated=keep_repeated)
                    del pending[:end]
                await yield_to_loop()
        for proof in proofs.values():
            proof.finish()
        if pending:
            yield _merged(pending, keep_repeated=keep_repeated)

    async def _reads(self, batch: str, runs: Collection[str]) -> AsyncGenerator[list[Document], None]:
        """Yield the staged blocks of runs in the order of their first skus. The next read runs while one is used."""
        collection, wanted = self._db[_collection_of(batch)], {"$in": list(runs)}

        async def read(after: Document | None) -> list[Document]:
            query: Document = {"_id.run": wanted} if after is None else {"_id": {"$gt": after}, "_id.run": wanted}
            cursor = collection.find(query).sort("_id", 1).limit(BLOCKS_PER_READ).batch_size(BLOCKS_PER_READ + 1)
            return await cursor.to_list()

        reading = asyncio.create_task(read(None), name=f"read of staging.{batch}")
        try:
            while documents := await reading:
                reading = asyncio.create_task(read(documents[-1]["_id"]), name=f"read of staging.{batch}")
                yield documents
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def batches(self) -> list[str]:
        """Return the ids of the batches that have staged runs."""
        names = await self._db.list_collection_names(filter={"name": {"$regex": r"^staging\."}})
        return [name.removeprefix("staging.") for name in names]

    async def drop(self, batch: str) -> None:
        """Drop all staged runs of a batch."""
        await self._db[_collection_of(batch)].drop()


class _RunProof:
    """Proves that a run is read as it was written."""

    def __init__(self, run: StagedRun) -> None:
        self._run = run
        self._rows = 0
        self._digest = blake2b(digest_size=HASH_BYTES)

    def rows(self, document: Document) -> list[tuple[str, int, bytes]]:
        """Return the rows of the next block of the run: sku, position, row. Raises `Corrupt`, `UnknownFormat`."""
        if document.get("format") != BLOCK_FORMAT:
            raise UnknownFormat("staged block", document.get("format"), BLOCK_FORMAT)
        try:
            content = open_block(document["data"], document["hash"])
            positions = msgspec.msgpack.decode(document["positions"], type=list[int])
            rows = list(zip(content.skus, positions, content.rows(), strict=True))
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise Corrupt(f"A staged block of run {self._run.id} is damaged. {error}") from error
        self._rows += len(rows)
        self._digest.update(document["hash"])
        self._digest.update(document["positions"])
        return rows

    def finish(self) -> None:
        """Raise `Corrupt` unless all of the run was read."""
        if (self._rows, self._digest.hexdigest()) != (self._run.rows, self._run.checksum):
            raise Corrupt(
                f"Run {self._run.id} was staged with {self._run.rows} rows; {self._rows} were read, "
                "or their checksum differs."
            )


def _blocks(rows: SortedRows) -> Iterator[SortedRows]:
    """Divide rows into staged blocks."""
    size = min(STAGED_ROWS, STAGED_BYTES // max(map(len, rows.rows), default=1))
    for start in range(0, len(rows.skus), size):
        end = start + size
        yield SortedRows(rows.skus[start:end], rows.rows[start:end], rows.positions[start:end])


def _document(run: str, number: int, block: SortedRows) -> Document:
    content = encode_content(block.skus, block.rows)
    return {
        "_id": {"first": block.skus[0], "run": run, "number": number},
        "format": BLOCK_FORMAT,
        "hash": hash_of(content),
        "data": compress(content),
        "positions": msgspec.msgpack.encode(block.positions),
    }


def _merged(rows: Sequence[tuple[str, int, bytes]], *, keep_repeated: bool) -> MergedRows:
    skus = [sku for sku, _, _ in rows]
    repeated: list[RepeatedSku] = []
    if not keep_repeated and len(set(skus)) < len(skus):
        rows, repeated = _without_repeated(rows)
        skus = [sku for sku, _, _ in rows]
    kept = SortedRows(skus, [row for _, _, row in rows], [position for _, position, _ in rows])
    return MergedRows(kept, repeated)


def _without_repeated(
    rows: Sequence[tuple[str, int, bytes]],
) -> tuple[list[tuple[str, int, bytes]], list[RepeatedSku]]:
    kept, repeated = [rows[0]], []
    for row in rows[1:]:
        sku, position, _ = row
        if sku == kept[-1][0]:
            repeated.append(RepeatedSku(sku, kept[-1][1], position))
        else:
            kept.append(row)
    return kept, repeated


def _collection_of(batch: str) -> str:
    return f"staging.{batch}"
