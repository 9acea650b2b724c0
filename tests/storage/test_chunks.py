"""Batches in parts: any order, in parallel, to any process, repeated; and never half."""

import asyncio
import datetime

import pytest

from storage import Batch, BatchMode, BatchState, Part, Store
from storage.errors import (
    BatchNotOpen,
    EmptyBatch,
    IdempotencyKeyReused,
    PartsMissing,
    PartsUnexpected,
    RemoveInReplace,
    SequenceReused,
    SizeMismatch,
)
from tests.storage.factories import Row, amounts, create, current, layers, order, published, row, source


async def opened(store: Store, mode: BatchMode = BatchMode.REPLACE, key: str = "monday") -> Batch:
    given = order(key=key)
    return await store.chunks.open(type(given)("retail", mode, key, "integrator"))


def part(sequence: int) -> list[Row]:
    return [row(f"p{sequence}-{number}") for number in range(10)]


async def append(
    store: Store, batch: Batch, sequence: int, rows: list[Row] | None = None, remove: tuple[str, ...] = ()
) -> Part:
    given = part(sequence) if rows is None else rows
    return await store.chunks.append(batch.id, sequence, await source(given), remove)


async def commit(store: Store, batch: Batch, parts: int, size: int) -> Batch:
    committed, mine = await store.chunks.commit(batch.id, parts, size)
    return await store.worker.finish(committed) if mine else committed


async def test_parts_come_in_any_order_in_parallel_to_any_process_and_again(store: Store, other_store: Store) -> None:
    await create(store)
    batch = await opened(store)
    assert (await opened(other_store)).id == batch.id
    await asyncio.gather(
        *(append(at, batch, sequence) for at, sequence in ((store, 2), (other_store, 0), (store, 1), (other_store, 2)))
    )
    await append(store, batch, 0)
    assert await store.parts.stored_sequences([batch.id]) == [[0, 1, 2]]
    done = await commit(other_store, batch, 3, 30)
    assert (done.state, done.version, done.rows) == (BatchState.PUBLISHED, 1, 30)
    assert await amounts(store, 1) == {each["sku"]: "1.00" for sequence in range(3) for each in part(sequence)}


async def test_a_sequence_that_is_sent_again_with_other_rows_is_refused_and_stays_as_it_was(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    with pytest.raises(SequenceReused):
        await append(store, batch, 0, [row("other")])
    assert (await commit(store, batch, 1, 10)).state is BatchState.PUBLISHED
    assert set(await amounts(store, 1)) == {each["sku"] for each in part(0)}


async def test_a_commit_that_counts_wrong_leaves_the_batch_open(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    with pytest.raises(EmptyBatch):
        await store.chunks.commit(batch.id, 0, 0)
    for sequence in (0, 2):
        await append(store, batch, sequence)
    with pytest.raises(PartsMissing, match="sequence 1, 3") as missing:
        await store.chunks.commit(batch.id, 4, 40)
    assert missing.value.missing == (1, 3)
    await append(store, batch, 1)
    with pytest.raises(PartsUnexpected, match="sequence 2"):
        await store.chunks.commit(batch.id, 2, 20)
    with pytest.raises(SizeMismatch, match="31 prices, but the parts have 30"):
        await store.chunks.commit(batch.id, 3, 31)
    assert (await store.batches.get(batch.id)).state is BatchState.OPEN
    assert (await commit(store, batch, 3, 30)).state is BatchState.PUBLISHED


async def test_a_batch_that_was_committed_takes_no_more_and_is_committed_once(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    done = await commit(store, batch, 1, 10)
    assert await commit(store, batch, 1, 10) == done
    with pytest.raises(BatchNotOpen):
        await append(store, batch, 1)
    assert (await opened(store)).id == batch.id


async def test_a_sku_in_two_parts_is_told_with_its_place_in_the_whole_batch(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await append(store, batch, 1, [row("fine"), row("p0-3", "9.00")])
    failed = await commit(store, batch, 2, 12)
    assert failed.state is BatchState.FAILED
    [error] = failed.errors
    assert (error.index, error.sku, error.code) == (11, "p0-3", "DUPLICATE_SKU")
    assert "item 3 of sequence 0" in error.message
    assert await current(store) is None
    assert await layers(store) == set()


async def test_bad_items_of_all_parts_are_told_together(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 1, [row("a", "-1"), row("b")])
    stored = await append(store, batch, 0, [row("c"), row("d", "x")])
    assert stored.error_count == 1
    failed = await commit(store, batch, 2, 4)
    assert [(error.index, error.sku) for error in failed.errors] == [(1, "d"), (2, "a")]
    assert failed.error_count == 2


async def test_removals_are_for_merges(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    with pytest.raises(RemoveInReplace):
        await append(store, await opened(store), 0, remove=("a",))
    batch = await opened(store, BatchMode.MERGE, "tuesday")
    await append(store, batch, 0, [row("c")])
    await append(store, batch, 1, [], ("a",))
    assert (await commit(store, batch, 2, 1)).state is BatchState.PUBLISHED
    assert set(await amounts(store, 2)) == {"b", "c"}


async def test_an_aborted_batch_leaves_nothing_and_a_late_part_does_not_bring_it_back(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    aborted = await store.chunks.abort(batch.id, by="integrator", reason="wrong file")
    assert (aborted.state, await layers(store)) == (BatchState.ABORTED, set())
    with pytest.raises(BatchNotOpen):
        await append(store, batch, 1)
    await store.layers.create(batch.layer)  # as a slice that was on its way would
    await store.leavings.collect()
    assert await layers(store) == set()


async def test_a_batch_that_nobody_touches_is_aborted_and_collected(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await store.leavings.collect()
    assert (await store.batches.get(batch.id)).state is BatchState.OPEN
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"touchedAt": long_ago}})
    await store.leavings.collect()
    idle = await store.batches.get(batch.id)
    assert idle.state is BatchState.ABORTED
    assert idle.refusal is not None
    assert idle.refusal.code == "IDLE"
    assert await layers(store) == set()


async def test_a_key_belongs_to_one_order(store: Store) -> None:
    await create(store)
    await opened(store)
    with pytest.raises(IdempotencyKeyReused):
        await opened(store, BatchMode.MERGE)


async def test_a_key_can_be_used_again_long_after_its_batch_finished(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await commit(store, batch, 1, 10)
    await store.leavings.collect()
    assert (await opened(store)).id == batch.id
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=31)
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"finishedAt": long_ago}})
    await store.leavings.collect()
    assert (await opened(store)).id != batch.id
    assert (await store.batches.get(batch.id)).key == "monday"
