"""Garbage collection drops what batches and compactions left behind, and nothing that may still be needed."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from bson.objectid import ObjectId

from storage import Batch, BatchMode, BatchState, PublishPolicy, Store
from storage.batches.runs import SortedRows
from storage.maintenance import garbage_collection
from storage.maintenance.compaction import LAYER_LOCKS
from tests.storage.factories import (
    amounts,
    compact,
    create,
    expire_leases,
    failed,
    held,
    layer_ids,
    layers,
    left_open,
    left_sealing,
    order,
    published,
    row,
    rows,
    snapshot,
    source,
    submit,
)


@pytest.fixture
async def retail(store: Store) -> Store:
    """A list with a version, in a store that drops orphans at once."""
    store.garbage_collector._orphan_seconds = 0.0
    await create(store)
    await published(store, rows(3))
    return store


async def collect(store: Store) -> None:
    """List all layers, whenever that was done last, and collect garbage."""
    await store.garbage_collector.find_orphans()
    await store.garbage_collector.collect()


async def attempt(store: Store, batch: Batch, token: int = 99) -> str:
    """A layer that another attempt at a batch left behind."""
    layer = f"{batch.id}-{token}"
    await store.layer_writer.create(layer)
    return layer


async def stage(store: Store, batch_id: str) -> None:
    """A staged run of a batch."""

    async def sorted_rows() -> AsyncIterator[SortedRows]:
        yield SortedRows(["a"], [b"\xc0"], [0])

    await store.staging.write(batch_id, sorted_rows())


async def test_other_attempts_at_a_published_batch_are_dropped(retail: Store) -> None:
    batch = await published(retail, rows(4))
    left = await attempt(retail, batch)
    await collect(retail)
    assert left not in await layers(retail)
    assert len(await amounts(retail, 1)) == 3
    assert len(await amounts(retail, 2)) == 4


async def test_layers_of_a_failed_batch_are_dropped_at_once(retail: Store) -> None:
    retail.garbage_collector._orphan_seconds = 3600.0
    left = await attempt(retail, await failed(retail))
    await collect(retail)
    assert left not in await layers(retail)


async def test_the_layer_of_a_rejected_version_is_kept_for_a_backup_that_names_it(retail: Store) -> None:
    retail.garbage_collector._orphan_seconds = 3600.0
    batch = await held(retail, rows(4))
    await retail.lifecycle.reject(batch.id, by="ops", reason="x")
    await collect(retail)
    assert batch.layer is not None
    assert batch.layer.id in await layers(retail)
    retail.garbage_collector._orphan_seconds = 0.0
    await collect(retail)
    assert batch.layer.id not in await layers(retail)


async def test_an_unnamed_layer_of_a_published_batch_is_kept_for_its_readers(retail: Store) -> None:
    retail.garbage_collector._orphan_seconds = 3600.0
    left = await attempt(retail, await published(retail, rows(4)))
    await collect(retail)
    assert left in await layers(retail)


async def test_of_a_batch_in_progress_the_layer_of_the_present_attempt_is_kept(retail: Store) -> None:
    retail.garbage_collector._orphan_seconds = 0.0
    sealing = await left_sealing(retail, rows(5), "sealing")
    opened = await left_open(retail, rows(5), "open")
    present = await attempt(retail, opened, opened.token)
    earlier = {await attempt(retail, batch, batch.token + 7) for batch in (sealing, opened)}
    await collect(retail)
    kept = await layers(retail)
    assert {present, sealing.layer and sealing.layer.id} <= kept
    assert not earlier & kept
    await expire_leases(retail)
    await retail.worker._take_over()
    finished = await retail.batches.get(sealing.id)
    assert finished.state is BatchState.PUBLISHED
    await collect(retail)
    assert {each for each in await layers(retail) if each.startswith(sealing.id)} == {
        finished.layer and finished.layer.id
    }


async def test_of_a_held_batch_only_its_layer_is_kept(retail: Store) -> None:
    held = await submit(retail, rows(4), publish=PublishPolicy.ON_APPROVAL)
    left = await attempt(retail, held)
    await collect(retail)
    assert held.layer is not None
    assert held.layer.id in await layers(retail)
    assert left not in await layers(retail)
    await retail.lifecycle.approve(held.id, by="ops", reason="x")
    assert len(await amounts(retail, 2)) == 4


async def test_a_layer_that_nobody_wrote_is_dropped_unless_it_is_locked(retail: Store) -> None:
    locked, left = str(ObjectId()), str(ObjectId())
    for layer in (locked, left):
        await retail.layer_writer.create(layer)
    async with retail.locks.held(f"{LAYER_LOCKS}{locked}"):
        await collect(retail)
        assert locked in await layers(retail)
        assert left not in await layers(retail)
    await asyncio.sleep(0.01)  # the lock expires by the server's clock, in milliseconds
    await collect(retail)
    assert locked not in await layers(retail)
    assert await retail.db["locks"].count_documents({"_id": {"$regex": f"^{LAYER_LOCKS}"}}) == 0


async def test_staged_rows_of_finished_and_unknown_batches_are_dropped(retail: Store) -> None:
    finished = [await published(retail, [row("a")]), await failed(retail)]
    gone = [*(batch.id for batch in finished), str(ObjectId())]
    used = [(await left_open(retail, rows(3), "open")).id, (await left_sealing(retail, rows(3), "sealing")).id]
    for batch_id in [*gone, *used]:
        await stage(retail, batch_id)
    await collect(retail)
    assert set(await retail.staging.batches()) == set(used)


async def test_layers_that_a_compaction_replaced_are_dropped_without_a_listing(retail: Store) -> None:
    await retail.garbage_collector.collect()
    merge = replace(order(), mode=BatchMode.MERGE)
    merged = [await retail.submitter.submit(replace(merge, key=sku), await source([row(sku)])) for sku in ("x", "y")]
    await retail.db["snapshots"].delete_one({"_id.version": 2})
    await compact(retail, await snapshot(retail, 3))
    assert await retail.orphans.noted(sorted(layer_ids(merged))) == layer_ids(merged)
    await retail.garbage_collector.collect()
    assert not layer_ids(merged) & await layers(retail)
    assert len(await amounts(retail, 3)) == 5


async def test_the_layer_of_a_withdrawn_version_is_dropped_without_a_listing(retail: Store) -> None:
    await retail.garbage_collector.collect()
    batch = await held(retail, rows(4))
    await retail.lifecycle.reject(batch.id, by="ops", reason="x")
    await retail.garbage_collector.collect()
    assert not layer_ids([batch]) & await layers(retail)


async def test_a_noted_layer_that_a_version_names_is_kept_and_its_note_deleted(retail: Store) -> None:
    named = set((await snapshot(retail, 1)).layer_ids)
    await retail.orphans.note(sorted(named))
    await asyncio.sleep(0.01)  # the note is as old as the server's clock has it, in milliseconds
    await retail.garbage_collector.collect()
    assert await layers(retail) >= named
    assert await retail.orphans.noted(sorted(named)) == set()


async def test_a_note_that_was_renewed_meanwhile_is_kept(retail: Store) -> None:
    await retail.orphans.note(["layer"], unread=True)
    [since] = (await retail.orphans.older_than(3600, 1)).values()
    await retail.orphans.note(["layer"])
    await retail.orphans.forget("layer", since)
    assert await retail.orphans.noted(["layer"]) == {"layer"}


async def test_the_layer_of_an_attempt_that_was_taken_over_is_noted(retail: Store) -> None:
    batch = await left_open(retail, rows(5), "open")
    await expire_leases(retail)
    taken = await retail.lifecycle.take_over(batch.id)
    assert taken is not None
    left = f"{batch.id}-{batch.token}"
    assert await retail.orphans.noted([left]) == {left}


async def test_the_layers_of_an_idle_batch_are_dropped_at_once(retail: Store) -> None:
    retail.garbage_collector._orphan_seconds = 3600.0
    await retail.garbage_collector.collect()
    batch = await left_open(retail, rows(5), "open")
    left = await attempt(retail, batch, batch.token)
    await expire_leases(retail)
    long_ago = datetime.datetime.fromtimestamp(0, datetime.UTC)
    await retail.db["batches"].update_one({"_id": batch.id}, {"$set": {"touchedAt": long_ago}})
    await retail.garbage_collector.collect()
    assert (await retail.batches.get(batch.id)).state is BatchState.ABORTED
    assert left not in await layers(retail)


async def test_deleted_lists_are_purged_after_everything_else(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    left, gone, before = await attempt(retail, await failed(retail)), str(ObjectId()), []
    await stage(retail, gone)

    async def purge_all(*_: object) -> None:
        before.append((left in await layers(retail), await retail.staging.batches()))

    monkeypatch.setattr(retail.deleter, "purge_all", purge_all)
    await collect(retail)
    assert before == [(False, [])]


async def test_a_batch_of_a_later_release_stops_nothing_else(retail: Store) -> None:
    bad, good = await failed(retail), await failed(retail)
    kept, left = await attempt(retail, bad), await attempt(retail, good)
    for batch in (bad, good):
        await stage(retail, batch.id)
    await retail.db["batches"].update_one({"_id": bad.id}, {"$set": {"format": 99}})
    await retail.orphans.note([kept], unread=True)
    await collect(retail)
    assert kept in await layers(retail), "what is not understood is left alone"
    assert left not in await layers(retail)
    assert await retail.staging.batches() == [bad.id]


async def test_a_listing_that_finds_too_much_is_repeated(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.maintenance.garbage_collection.MAX_FOUND_PER_LISTING", 2)
    left = {str(ObjectId()) for _ in range(3)}
    for layer in left:
        await retail.layer_writer.create(layer)
    await retail.garbage_collector.collect()
    assert len(left & await layers(retail)) == 1
    await retail.garbage_collector.collect()
    assert not left & await layers(retail)
    assert retail.metrics.layers == 2


async def test_the_names_of_layers_are_read_in_pages(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.layers.writer.LAYERS_PER_READ", 2)
    made = {str(ObjectId()) for _ in range(5)}
    for layer in made:
        await retail.layer_writer.create(layer)
    assert made <= await layers(retail)


async def test_one_run_drops_all_orphans_however_many_there_are(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "MAX_DROPS_PER_RUN", 2)
    batch = await published(retail, rows(4))
    left = {await attempt(retail, batch, token) for token in range(90, 95)}
    await collect(retail)
    assert not left & set(await layers(retail))
