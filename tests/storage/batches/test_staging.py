"""Staged runs: their merge gives all rows in sku order, proves every run, and finds skus in several runs."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.msgpack import encode

from storage import Store
from storage.batches import staging
from storage.batches.runs import SortedRows
from storage.batches.staging import RepeatedSku, StagedRun
from storage.errors import Corrupt, UnknownFormat
from storage.mongodb.connection import Document
from storage.prices.price import encode_row

Positions = dict[str, int]


def row(position: int) -> bytes:
    """A row that tells its position."""
    return encode_row(str(position), "EUR")


async def write(store: Store, batch: str, positions: Positions) -> StagedRun:
    async def sorted_rows() -> AsyncIterator[SortedRows]:
        skus = sorted(positions)
        yield SortedRows(skus, [row(positions[sku]) for sku in skus], [positions[sku] for sku in skus])

    return await store.staging.write(batch, sorted_rows())


async def merge(
    store: Store, batch: str, runs: list[StagedRun]
) -> tuple[list[tuple[str, int, bytes]], list[RepeatedSku]]:
    rows, repeated = list[tuple[str, int, bytes]](), list[RepeatedSku]()
    async for merged in store.staging.merge(batch, runs):
        skus, encoded, positions = merged.rows
        rows += zip(skus, positions, encoded, strict=True)
        repeated += merged.repeated
    return rows, repeated


@given(
    st.lists(st.frozensets(st.integers(0, 300), max_size=80), min_size=1, max_size=8),
    st.sampled_from([2, 3, 256]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_merge_gives_the_rows_of_all_runs_in_sku_order(
    store: Store, runs: list[frozenset[int]], max_merged: int
) -> None:
    batch = secrets.token_hex(4)
    sent = [{f"sku-{n:03}": (part << 32) + n for n in numbers} for part, numbers in enumerate(runs)]
    with (
        patch.object(staging, "STAGED_ROWS", 7),
        patch.object(staging, "BLOCKS_PER_READ", 3),
        patch.object(staging, "MAX_MERGED_RUNS", max_merged),
    ):
        staged = [await write(store, batch, positions) for positions in sent]
        await write(store, batch, {"another attempt": 1})
        rows, repeated = await merge(store, batch, staged)
    first: Positions = {}
    again = []
    for positions in sent:
        for sku, position in positions.items():
            if first.setdefault(sku, position) != position:
                again.append(RepeatedSku(sku, first[sku], position))
    assert rows == [(sku, first[sku], row(first[sku])) for sku in sorted(first)]
    assert sorted(repeated) == sorted(again)
    await store.staging.drop(batch)


async def test_a_run_is_written_before_it_is_named(store: Store) -> None:
    run = await write(store, "b", {f"sku-{n:04}": n for n in range(1000)})
    assert run.rows == 1000
    assert await store.staging.batches() == ["b"]
    await store.staging.drop("b")
    assert await store.staging.batches() == []


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"$set": {"data": b"x"}}, Corrupt, "cannot be decompressed"),
        ({"$set": {"hash": b"x"}}, Corrupt, "another hash"),
        ({"$set": {"positions": encode(list(range(1, 129)))}}, Corrupt, "or their checksum differs"),
        ({"$set": {"positions": b"x"}}, Corrupt, "is damaged"),
        ({"$set": {"format": 99}}, UnknownFormat, "staged block"),
        (None, Corrupt, "staged with 1000 rows; 872 were read"),
    ],
)
async def test_a_damaged_or_missing_block_is_found(
    store: Store, change: Document | None, error: type[Exception], text: str
) -> None:
    run = await write(store, "b", {f"sku-{n:04}": n for n in range(1000)})
    blocks = store.db["staging.b"]
    if change is None:
        await blocks.delete_one({"_id.number": 3})
    else:
        await blocks.update_one({"_id.number": 3}, change)
    with pytest.raises(error, match=text):
        await merge(store, "b", [run])


async def test_a_merge_that_is_left_stops_reading(store: Store) -> None:
    with patch.object(staging, "STAGED_ROWS", 1), patch.object(staging, "BLOCKS_PER_READ", 2):
        run = await write(store, "b", {f"sku-{n:04}": n for n in range(100)})
        merging = store.staging.merge("b", [run])
        async for _ in merging:
            break
        await merging.aclose()
    assert not [task for task in asyncio.all_tasks() if "staging" in task.get_name()]
