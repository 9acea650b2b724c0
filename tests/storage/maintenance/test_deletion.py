"""A deleted list is gone at once; its versions and batches follow, and its numbers are never used again."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from storage import BatchMode, BatchState, Event, EventKind, PricebookError, PriceListNotFound, Store
from storage.catalog.price_list_editor import PriceListBeingRemoved
from storage.errors import BatchNotFound, BatchNotOpen, InvalidArgument, PriceListExists
from storage.maintenance import deletion, garbage_collection
from storage.maintenance.deletion import PriceListInUse
from tests.storage import delete_and_die
from tests.storage.dying import run_until_killed
from tests.storage.factories import (
    create,
    current,
    expire_leases,
    failed,
    held,
    layers,
    left_open,
    left_sealing,
    merge,
    order,
    published,
    row,
    rows,
    source,
    submit,
    versions,
)
from tests.storage.integrity.test_check import check

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)

LISTS = ["retail", "wholesale"]


async def delete(store: Store, *, force: bool = True) -> None:
    await store.deleter.delete("retail", by="ops", reason="moved to wholesale", force=force)


async def delete_and_purge(store: Store) -> None:
    await delete(store)
    await store.deleter.purge("retail")


async def collect(store: Store) -> None:
    """Collect garbage until all layers that nothing names are dropped."""
    store.garbage_collector._orphan_seconds = 0.0
    await store.garbage_collector.find_orphans()
    for _ in range(2):  # the layers of a list are noted when it is purged, and dropped by the next run
        await store.garbage_collector.collect()


async def filled(store: Store) -> None:
    """A list with versions, expired ones too, and batches in every state; an open one with a part."""
    await versions(store, 3)
    await merge(store, [row("b")])
    await failed(store)
    waiting = await held(store, [row("c")])
    await store.lifecycle.reject(waiting.id, by="ops", reason="test")
    await held(store, [row("d")])
    await left_open(store, [row("e")], "open")
    await left_sealing(store, [row("f")], "sealing")
    opened = await store.multipart.open(order(key="parts"))
    await store.multipart.append(opened.id, 0, await source(rows(3)), [])
    await store.multipart.append(opened.id, 1, await source([row("bad", "-1")]), [])
    async with store.locks.held("retain/retail"), store.locks.held("publish/retail"):
        pass


async def left(store: Store) -> dict[str, int]:
    """The number of documents of each collection, and of the layers."""
    names = await store.db.list_collection_names()
    counts = {name: await store.db[name].count_documents({}) for name in names}
    return {name: count for name, count in {**counts, "layers": len(await layers(store))}.items() if count}


# ---------------------------------------------------------------- what is gone


async def test_a_deleted_list_does_not_exist_for_readers_and_writers(store: Store) -> None:
    await versions(store, 2)
    await create(store, "wholesale")
    await delete(store)
    assert await store.price_lists.find("retail") is None
    assert [each.name for each in await store.watcher.read() if not each.deletion] == ["wholesale"]
    acts: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.price_lists.get("retail"),
        lambda: submit(store, [row("a")]),
        lambda: store.multipart.open(order()),
        lambda: store.pointer_moves.rollback("retail", 1, by="ops", reason="test"),
        lambda: store.expirer.expire("retail", by="ops"),
        lambda: delete(store),
    ]
    for act in acts:
        with pytest.raises(PriceListNotFound):
            await act()
    assert await store.compactor.next_fold("retail") is None


async def test_all_that_is_left_is_the_tombstone_and_the_audit_log(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "MAX_MANIFESTS_PER_STEP", 2)
    monkeypatch.setattr(deletion, "MAX_BATCHES_PER_QUERY", 2)
    await filled(store)
    seen = await store.price_lists.get("retail")
    await delete(store)
    await collect(store)
    assert await left(store) == {"price_lists": 1, "events": seen.revision + 1}
    assert await check(store) == []


async def test_the_audit_log_has_who_deleted_the_list_and_why(store: Store) -> None:
    await versions(store, 2)
    await delete(store)
    await collect(store)
    [deleted, *earlier] = await store.events.newest("retail", 10)
    assert (deleted.kind, deleted.by, deleted.reason) == (EventKind.DELETED, "ops", "moved to wholesale")
    assert (deleted.from_version, deleted.to_version) == (2, None)
    assert [event.kind for event in earlier] == [EventKind.PUBLISHED, EventKind.PUBLISHED, EventKind.CREATED]


async def test_layers_of_a_deleted_list_are_kept_for_its_readers(store: Store) -> None:
    await versions(store, 1)
    await delete(store)
    await store.garbage_collector.collect()
    assert len(await layers(store)) == 1
    assert await check(store) == []


async def test_other_lists_are_not_affected(store: Store) -> None:
    await versions(store, 2, "retail-2")
    await versions(store, 1)
    before = await store.price_lists.get("retail-2")
    await delete(store)
    await collect(store)
    assert await store.price_lists.get("retail-2") == before
    assert len(await store.batches.newest(10)) == len(await layers(store)) == 2


async def test_the_locks_of_a_list_whose_name_begins_alike_are_kept(store: Store) -> None:
    names = ["publish/retail", "publish/retail-2", "retain/retail", "retain/retail-2"]
    for name in names:
        async with store.locks.held(name) as token:
            assert token == 1
    await versions(store, 1)
    await delete_and_purge(store)
    assert {each["_id"] async for each in store.db["locks"].find()} == {"publish/retail-2", "retain/retail-2"}


async def test_the_layer_of_a_batch_that_was_taken_over_is_noted_as_an_orphan(store: Store) -> None:
    await create(store)
    batch = await left_sealing(store, rows(3), "monday")
    await expire_leases(store)
    taken = await store.lifecycle.take_over(batch.id)
    assert taken is not None
    assert taken.layer is not None
    assert (taken.layer.id, taken.token) == (f"{batch.id}-1", 2)
    await delete_and_purge(store)
    attempts = {f"{batch.id}-1", f"{batch.id}-2"}
    assert await store.orphans.noted(sorted(attempts)) == attempts


async def test_a_run_of_limited_time_starts_no_further_round_and_no_further_list(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "MAX_MANIFESTS_PER_STEP", 2)
    monkeypatch.setattr(deletion, "MAX_BATCHES_PER_QUERY", 2)
    monkeypatch.setattr(garbage_collection, "MAX_TASK_SECONDS", 0.0)
    await versions(store, 3)
    await versions(store, 1, "wholesale")
    await delete(store)
    await store.deleter.delete("wholesale", by="ops", reason="test", force=True)
    runs = []
    while await store.price_lists.to_purge(10):
        await store.garbage_collector.collect()
        counts = [(await store.snapshots.count(name), await store.batches.count(price_list=name)) for name in LISTS]
        runs.append((*counts, await store.price_lists.to_purge(10)))
    assert runs == [
        ((1, 3), (1, 1), ["retail", "wholesale"]),
        ((0, 3), (1, 1), ["retail", "wholesale"]),
        ((0, 1), (1, 1), ["retail", "wholesale"]),
        ((0, 0), (1, 1), ["retail", "wholesale"]),
        ((0, 0), (1, 1), ["wholesale"]),
        ((0, 0), (0, 1), ["wholesale"]),
        ((0, 0), (0, 0), ["wholesale"]),
        ((0, 0), (0, 0), []),
    ]


# ---------------------------------------------------------------- the name is created again


async def test_versions_and_revisions_go_on_when_the_name_is_created_anew(store: Store) -> None:
    await versions(store, 3)
    await held(store, [row("b")])
    await delete(store)
    deleted = await store.price_lists.find_with_deleted("retail")
    assert deleted is not None
    await store.deleter.purge("retail")
    await create(store)
    created = await store.price_lists.get("retail")
    assert (created.current_version, created.last_version, created.revision) == (None, 4, deleted.revision + 1)
    assert await store.events.last_move("retail", created.revision) is None
    assert (await published(store, [row("a")])).version == 5
    assert await store.snapshots.version_numbers("retail") == [5]
    assert await check(store) == []


async def test_a_name_is_free_once_nothing_of_the_deleted_list_is_left(store: Store) -> None:
    await versions(store, 1)
    await delete(store)
    with pytest.raises(PriceListBeingRemoved):
        await create(store)
    await store.garbage_collector.collect()
    await create(store)
    with pytest.raises(PriceListExists):
        await create(store)


async def test_idempotency_keys_of_a_deleted_list_can_be_used_again(store: Store) -> None:
    await create(store)
    before = await submit(store, [row("a")], key="monday")
    await delete_and_purge(store)
    await create(store)
    after = await submit(store, [row("a")], key="monday")
    assert (after.version, after.state) == (2, BatchState.PUBLISHED)
    assert after.id != before.id


async def test_of_concurrent_creations_of_a_deleted_name_one_wins(store: Store, other_store: Store) -> None:
    await versions(store, 1)
    await delete_and_purge(store)
    outcomes = await asyncio.gather(create(store), create(other_store), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {type(None), PriceListExists}
    assert (await store.price_lists.get("retail")).revision == 4
    assert await check(store) == []


# ---------------------------------------------------------------- refusals


async def test_a_list_that_was_published_a_short_time_ago_is_deleted_only_if_forced(store: Store) -> None:
    await versions(store, 2)
    with pytest.raises(PriceListInUse, match=r"version 2 was published at .* less than 24 hours ago"):
        await delete(store, force=False)
    assert await current(store) == 2
    await store.db["snapshots"].update_one({"_id.version": 2}, {"$set": {"publishedAt": LONG_AGO}})
    await delete(store, force=False)


async def test_a_list_that_was_rolled_back_counts_from_its_last_publication(store: Store) -> None:
    await versions(store, 2)
    await store.db["snapshots"].update_one({"_id.version": 1}, {"$set": {"publishedAt": LONG_AGO}})
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="test")
    with pytest.raises(PriceListInUse):
        await delete(store, force=False)


async def test_a_list_with_a_batch_in_progress_is_deleted_only_if_forced(store: Store) -> None:
    await create(store)
    await store.multipart.open(order())
    with pytest.raises(PriceListInUse, match="batches in progress: 1"):
        await delete(store, force=False)
    await delete(store)


async def test_a_deletion_needs_a_reason(store: Store) -> None:
    await create(store)
    with pytest.raises(InvalidArgument):
        await store.deleter.delete("retail", by="ops", reason=" ")


# ---------------------------------------------------------------- batches that arrive meanwhile


async def test_a_batch_that_was_opened_while_its_list_was_deleted_is_removed_when_it_is_finished(store: Store) -> None:
    await versions(store, 1)
    sealing = await left_sealing(store, rows(3), "late")
    late = await store.db["batches"].find_one({"_id": sealing.id})
    assert late is not None
    await delete_and_purge(store)
    await store.db["batches"].insert_one(late)
    await expire_leases(store)
    taken = await store.lifecycle.take_over(sealing.id)
    assert taken is not None
    with pytest.raises(PriceListNotFound):
        await store.lifecycle.finish(taken)
    await collect(store)
    assert await left(store) == {"price_lists": 1, "events": 3}


async def test_an_idle_batch_of_a_deleted_list_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "IDLE_SECONDS", 0.0)
    await create(store)
    opened = await store.multipart.open(order())
    await store.multipart.append(opened.id, 0, await source(rows(3)), [])
    late = await store.db["batches"].find_one({"_id": opened.id})
    assert late is not None
    await delete_and_purge(store)
    await store.db["batches"].insert_one(late)
    await collect(store)
    assert await left(store) == {"price_lists": 1, "events": 2}


async def test_the_layers_of_an_idle_batch_of_a_deleted_list_are_dropped_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(garbage_collection, "IDLE_SECONDS", 0.0)
    caplog.set_level("INFO", "pricebook.garbage_collection")
    await create(store)
    idle = await left_open(store, rows(3), "monday")
    late = await store.db["batches"].find_one({"_id": idle.id})
    assert late is not None
    await delete_and_purge(store)
    await store.db["batches"].insert_one(late)
    await store.layer_writer.create(f"{idle.id}-{idle.token}")
    await store.garbage_collector.collect()
    assert await layers(store) == set()
    assert await store.batches.find(idle.id) is None
    assert f"Removed idle batch {idle.id}: its price list was deleted." in caplog.text
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


async def test_a_part_of_a_batch_that_was_removed_leaves_nothing(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    opened = await store.multipart.open(order())
    write = store.staging.write

    async def deleting_meanwhile(*arguments: Any) -> Any:
        await delete(other_store)
        await other_store.deleter.purge("retail")
        return await write(*arguments)

    monkeypatch.setattr(store.staging, "write", deleting_meanwhile)
    with pytest.raises(BatchNotFound):
        await store.multipart.append(opened.id, 0, await source(rows(3)), [])
    assert not {*await left(store)} - {"price_lists", "events", "orphans"}


async def test_a_part_that_is_recorded_while_its_batch_is_removed_is_dropped(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    opened = await store.multipart.open(order())
    drop = other_store.parts.drop

    async def appending_afterwards(batch: str) -> None:
        await drop(batch)
        with pytest.raises(BatchNotOpen):
            await store.multipart._store(opened, 0, await source(rows(3)), [])

    monkeypatch.setattr(other_store.parts, "drop", appending_afterwards)
    await delete(other_store)
    await other_store.deleter.purge("retail")
    assert not {*await left(store)} - {"price_lists", "events", "orphans"}


@pytest.mark.parametrize("method", ["write", "freeze"])
async def test_a_batch_whose_list_is_deleted_while_it_is_stored_is_told_so(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    await create(store)
    original = getattr(store.layer_writer, method)

    async def deleting_meanwhile(*arguments: Any) -> Any:
        await delete(other_store)
        await other_store.deleter.purge("retail")
        return await original(*arguments)

    monkeypatch.setattr(store.layer_writer, method, deleting_meanwhile)
    with pytest.raises(PriceListNotFound):
        await submit(store, rows(3))
    await collect(store)
    assert await left(store) == {"price_lists": 1, "events": 2}


async def test_a_purge_that_was_late_leaves_a_list_of_the_same_name_alone(store: Store, other_store: Store) -> None:
    await versions(store, 2)
    await delete(store)
    newest = store.batches.newest

    async def late(*arguments: Any, **options: Any) -> Any:
        await other_store.deleter.purge("retail")
        await create(other_store)
        await published(other_store, [row("z")])
        return await newest(*arguments, **options)

    store.batches.newest = late  # type: ignore[method-assign]
    await store.deleter.purge("retail")
    assert await current(other_store) == 3
    assert [batch.version for batch in await newest(10)] == [3]
    assert await check(other_store) == []


# ---------------------------------------------------------------- races


async def in_parts(store: Store) -> None:
    opened = await store.multipart.open(order())
    await store.multipart.append(opened.id, 0, await source(rows(3)), [])
    committed, is_owner = await store.multipart.commit(opened.id, 1, 3)
    if is_owner:
        await store.worker.finish(committed)


async def expiring(store: Store) -> None:
    for _ in range(3):
        await store.expirer.expire("retail", by="ops")


async def compacting(store: Store) -> None:
    fold = await store.compactor.next_fold("retail")
    if fold:
        await store.compactor.fold(fold)


async def merging(store: Store) -> None:
    """Send a merge. It may end as ABORTED, because the list was deleted meanwhile."""
    await store.submitter.submit(replace(order(), mode=BatchMode.MERGE), await source([row("n")]))


async def approving(store: Store) -> None:
    for batch in await store.batches.newest(50):
        if batch.state is BatchState.HELD:
            await store.lifecycle.approve(batch.id, by="ops", reason="test")


@pytest.mark.parametrize("delay", range(6))
async def test_whatever_happens_during_a_deletion_ends_with_a_typed_error_and_leaves_nothing(
    store: Store, other_store: Store, delay: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.maintenance.compaction.MAX_LAYERS", 2)
    store.expirer._settle = other_store.expirer._settle = datetime.timedelta(0)
    await versions(store, 2)
    for number in range(4):
        await merge(store, [row(f"m-{number}")])
    await held(store, [row("waits")])
    await store.pointer_moves.unpin("retail", by="ops", reason="test")

    async def deleting() -> None:
        await asyncio.sleep(delay * 0.005)
        await delete(other_store)
        await other_store.deleter.purge("retail")

    acts: list[Awaitable[object]] = [
        deleting(),
        submit(store, [row("a", "9")]),
        submit(other_store, rows(3)),
        merging(store),
        store.pointer_moves.rollback("retail", 1, by="ops", reason="test", pin=False),
        in_parts(store),
        approving(store),
        compacting(store),
        expiring(store),
        store.price_list_editor.update("retail", "ops", lambda seen: seen),
    ]
    outcomes = await asyncio.gather(*acts, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [error for error in errors if not isinstance(error, PricebookError)] == []
    assert await check(store) == []
    await expire_leases(store)
    await collect(store)
    await collect(store)
    assert {*await left(store)} == {"price_lists", "events"}
    assert await check(store) == []


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize(
    "point",
    [
        "PriceListRepository.move:1:after",
        "EventRepository.append:1:after",
        "SnapshotRepository.purge:1:before",
        "SnapshotRepository.purge:1:after",
        "SnapshotRepository.purge:2:after",
        "BatchRemoval.remove:1:before",
        "BatchRepository.close:1:after",
        "PartRepository.drop:1:after",
        "StagingRepository.drop:1:after",
        "BatchRepository.remove:1:before",
        "BatchRepository.remove:1:after",
        "PriceListRepository.note_purged:1:before",
        "PriceListRepository.note_purged:1:after",
    ],
)
@pytest.mark.usefixtures("short_transactions")
async def test_a_deletion_is_completed_by_another_process_if_its_own_dies_at_any_step(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await filled(store)
    await run_until_killed(delete_and_die.main, mongodb_uri, store.db.name, point)
    assert await check(store) == []
    if await store.price_lists.find("retail"):
        assert point in ("PriceListRepository.move:1:after", "EventRepository.append:1:after"), "not committed"
        await delete(store)
    await collect(store)
    await expire_leases(store)
    await collect(store)
    assert {*await left(store)} == {"price_lists", "events"}
    assert [event.kind for event in await deletions(store)] == [EventKind.DELETED]
    await create(store)
    assert await check(store) == []


async def deletions(store: Store) -> list[Event]:
    return [event for event in await store.events.newest("retail", 100) if event.kind is EventKind.DELETED]
