"""A committed batch is finished by another process if its own dies or stops."""

import asyncio
from collections.abc import AsyncIterable, Sequence
from dataclasses import replace
from unittest.mock import patch

import pytest

from storage import Batch, BatchMode, BatchState, Layer, Store, Unavailable
from storage.layers.block import Block
from storage.maintenance import worker
from storage.mongodb import leases
from tests.storage import finish_and_die
from tests.storage.dying import run_until_killed
from tests.storage.factories import (
    amounts,
    create,
    current,
    expire_leases,
    layers,
    left_sealing,
    order,
    prove,
    row,
    rows,
    source,
    versions,
)
from tests.waiting import until

PRICES = rows(3000, "2.00")


def test_a_batch_is_taken_over_within_15_seconds() -> None:
    assert leases.LEASE_SECONDS + worker.TAKEOVER_INTERVAL_SECONDS <= 15


@pytest.mark.parametrize(
    "point",
    [
        "LayerWriter.freeze:1:before",
        "LayerWriter.freeze:1:after",
        "BatchLifecycle._publish:1:before",
        "BatchRepository.advance:1:before",
        "BatchLifecycle._publish:1:after",
    ],
)
@pytest.mark.usefixtures("short_transactions")
async def test_a_batch_is_finished_by_another_process_if_its_own_dies_at_any_step(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await versions(store, 1)
    left = await left_sealing(store, PRICES, "monday")
    await expire_leases(store)
    await run_until_killed(finish_and_die.main, mongodb_uri, store.db.name, left.id, point)
    await expire_leases(store)
    store.worker.start()
    try:
        await until(lambda: _finished(store, left.id), "finished")
    finally:
        await store.worker.stop()
    batch = await store.batches.get(left.id)
    assert (batch.state, batch.version, await current(store)) == (BatchState.PUBLISHED, 2, 2)
    assert await store.snapshots.count("retail") == 2
    await prove(store, batch.layer)


async def _finished(store: Store, batch_id: str) -> bool:
    return (await store.batches.get(batch_id)).state is BatchState.PUBLISHED


async def test_a_batch_that_cannot_be_taken_over_does_not_keep_others_from_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    bad, good = [await left_sealing(store, [row("a")], key) for key in ("monday", "tuesday")]
    await expire_leases(store)
    take_over = store.batches.take_over

    async def fail(batch_id: str) -> Batch | None:
        if batch_id == bad.id:
            raise TypeError("Unforeseen.")
        return await take_over(batch_id)

    monkeypatch.setattr(store.batches, "take_over", fail)
    await store.worker._take_over()
    assert (await store.batches.get(good.id)).state is BatchState.PUBLISHED
    assert (await store.batches.get(bad.id)).state is BatchState.SEALING


async def test_a_batch_that_cannot_be_finished_now_is_logged_and_taken_over_later(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await create(store)
    left = await left_sealing(store, [row("a")], "monday")
    await expire_leases(store)
    with patch.object(store.lifecycle, "finish", side_effect=Unavailable("No primary.")):
        await store.worker._take_over()
    assert f"Could not finish batch {left.id}: Unavailable: No primary." in caplog.text
    await store.worker._take_over()
    assert (await store.batches.get(left.id)).state is BatchState.PUBLISHED


async def test_a_process_that_stops_releases_its_lease(store: Store, other_store: Store) -> None:
    await create(store)
    batch = await store.multipart.open(order(key="monday"))
    await store.multipart.append(batch.id, 0, await source(PRICES), ())
    committed, must_finish = await store.multipart.commit(batch.id, 1, 3000)
    assert must_finish
    reached = asyncio.Event()

    async def hang(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with patch.object(store.lifecycle, "_publish", hang):
        store.worker.finish(committed)
        await reached.wait()
        await store.worker.stop()
    assert await other_store.batches.stalled() == [batch.id], "the lease was released"
    other_store.worker.start()
    try:
        await until(lambda: _finished(store, batch.id), "finished")
    finally:
        await other_store.worker.stop()
    assert len(await amounts(store, 1)) == 3000


async def test_concurrent_merges_are_rebased_without_writing_their_rows_again(store: Store) -> None:
    await versions(store, 1)
    writes: list[str] = []
    write = store.layer_writer.write

    async def counting(layer_id: str, blocks: AsyncIterable[Sequence[Block]]) -> Layer:
        writes.append(layer_id)
        return await write(layer_id, blocks)

    async def merge(number: int) -> None:
        await store.submitter.submit(
            replace(order(key=f"k{number}"), mode=BatchMode.MERGE), await source([row(f"m{number}")])
        )

    with patch.object(store.layer_writer, "write", counting):
        await asyncio.gather(*(merge(number) for number in range(6)))
    assert len(writes) == 6
    version = await current(store)
    assert version == 7
    assert set(await amounts(store, version)) == {"a", *(f"m{number}" for number in range(6))}
    assert len(await layers(store)) == 7
