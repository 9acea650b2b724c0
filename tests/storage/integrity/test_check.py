"""The check reports every change made without Pricebook, and nothing in a sound database."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from unittest.mock import patch

import pytest
from bson.objectid import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from pymongo.errors import AutoReconnect

from storage import Batch, BatchMode, BatchState, PriceListNotFound, PublishPolicy, Store
from storage.catalog.snapshots import SnapshotRepository
from storage.integrity import layers
from storage.integrity.check import CheckProgress
from storage.integrity.findings import Finding, FindingCode
from storage.layers.block import BLOCK_FORMAT, Block, BlockEntry, BlockStats, encode_block
from storage.layers.directory import Root, compress_page, encode_page
from storage.layers.writer import LayerWriter
from storage.maintenance.compaction import LAYER_LOCKS
from storage.maintenance.garbage_collection import batch_of
from storage.mongodb.connection import FORMAT, Collection, Document
from tests.storage import factories
from tests.storage.batches.test_merges import ACTS, Act, run
from tests.storage.factories import (
    Row,
    compact,
    create,
    order,
    published,
    row,
    rows,
    snapshot,
    source,
    submit,
    versions,
)

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


async def check(store: Store, price_list: str | None = None) -> list[Finding]:
    return [finding async for finding in store.integrity_check().run(price_list)]


async def codes(store: Store) -> list[tuple[FindingCode, int | None]]:
    """The codes of the findings with their versions. Every finding has a message and advice."""
    found = await check(store)
    assert all(finding.message and finding.advice for finding in found)
    return [(finding.code, finding.version) for finding in found]


async def merged(store: Store, prices: Sequence[Row], removed: Sequence[str] = ()) -> None:
    request = order()
    batch = await store.submitter.submit(
        type(request)("retail", BatchMode.MERGE, request.key, "integrator"), await source(prices), removed
    )
    assert batch.state is BatchState.PUBLISHED


async def layered(store: Store, merges: int = 3) -> None:
    """A list of ten prices, then merges that each add, change and remove one."""
    await create(store)
    await published(store, rows(10))
    for n in range(merges):
        await merged(store, [row(f"new-{n}"), row(f"sku-00000{n}", "2.00")], [f"sku-00000{9 - n}"])


async def layer_of(store: Store, version: int) -> str:
    return (await snapshot(store, version)).layers[0].id


# Nothing is wrong


async def test_an_empty_database_is_sound(store: Store) -> None:
    assert await check(store) == []


async def test_a_list_without_a_version_is_sound(store: Store) -> None:
    await create(store)
    assert await check(store) == []


async def test_the_database_is_sound_after_every_operation(store: Store) -> None:
    await layered(store, merges=9)
    await compact(store, await snapshot(store, 10))
    await merged(store, [row("late")], ["sku-000005"])
    await submit(store, [row("bad", "-1")])
    await submit(store, rows(3), publish=PublishPolicy.DRY_RUN)
    for policy in (store.lifecycle.approve, store.lifecycle.reject):
        waits = await submit(store, rows(4), publish=PublishPolicy.ON_APPROVAL)
        await policy(waits.id, by="ops", reason="x")
    await submit(store, rows(5), publish_at=in_an_hour())
    approved = await submit(store, rows(6), publish_at=in_an_hour())
    await store.lifecycle.approve(approved.id, by="ops", reason="x")
    await store.pointer_moves.rollback("retail", 3, by="ops", reason="x")
    await factories.held(store, rows(5))
    await factories.held(store, rows(6))
    await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    await factories.held(store, rows(7))
    await factories.left_sealing(store, rows(6), "left")
    await factories.left_open(store, rows(6), "open")
    assert await check(store) == []


@given(st.lists(ACTS, min_size=2, max_size=10), st.integers(1, 5))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_is_sound_after_any_history(store: Store, acts: list[Act], page: int) -> None:
    await run(store, acts, page)
    assert await check(store) == []


async def test_a_layer_that_versions_share_is_read_once(store: Store) -> None:
    await layered(store, merges=4)
    progress = CheckProgress()

    def note(checked: CheckProgress) -> None:
        nonlocal progress
        progress = checked

    assert [finding async for finding in store.integrity_check(note).run()] == []
    assert progress == CheckProgress(lists=1, total_lists=1, versions=5, total_versions=5, rows=10 + 4 * 3)


async def test_a_version_that_can_be_restored_is_sound(store: Store) -> None:
    await layered(store)
    await in_manifest(2, state="RETIRED", retiredAt=LONG_AGO)(store)
    assert await check(store) == []


async def test_a_deleted_list_with_a_scheduled_batch_is_sound(store: Store) -> None:
    await layered(store)
    await submit(store, rows(4), publish_at=in_an_hour())
    await store.deleter.delete("retail", by="ops", reason="x", force=True)
    assert await check(store) == []
    await store.deleter.purge("retail")
    await create(store)
    await published(store, rows(3))
    assert await check(store) == []


async def test_one_list_can_be_checked_alone(store: Store) -> None:
    await versions(store, 1)
    await versions(store, 1, "other")
    await store.db["price_lists"].update_one({"_id": "other"}, {"$set": {"version": 9}})
    assert await check(store, "retail") == []
    assert [finding.code for finding in await check(store, "other")] == [FindingCode.POINTER_TO_MISSING]


async def test_an_unknown_list_cannot_be_checked(store: Store) -> None:
    with pytest.raises(PriceListNotFound):
        await check(store, "retail")


async def test_an_old_layer_that_a_version_names_is_no_orphan(store: Store) -> None:
    await layered(store)
    with patch("storage.integrity.orphans.ORPHAN_SECONDS", -1.0):
        assert await check(store) == []


async def test_a_recorded_orphan_is_not_reported_before_it_is_due(store: Store) -> None:
    await create(store)
    await leave_the_layer_of_a_failed_batch(store)
    [finding] = await check(store)
    assert (finding.code, finding.layer is not None) == (FindingCode.LAYER_ORPHANED, True)
    await store.orphans.note([finding.layer or ""])
    assert await check(store) == []


async def test_a_recent_layer_is_no_orphan(store: Store) -> None:
    await store.layer_writer.create(str(ObjectId()))
    assert await check(store) == []


async def test_a_layer_of_an_active_batch_is_no_orphan(store: Store) -> None:
    await create(store)
    await make_old(store, await factories.left_open(store, rows(3), "open"))
    assert await check(store) == []


async def test_a_layer_of_a_batch_that_just_failed_is_no_orphan(store: Store) -> None:
    await create(store)
    await make_old(store, await factories.failed(store))
    assert await check(store) == []


async def test_a_layer_that_a_compaction_writes_is_no_orphan(store: Store) -> None:
    layer = str(ObjectId.from_datetime(LONG_AGO))
    await store.layer_writer.create(layer)
    async with store.locks.held(f"{LAYER_LOCKS}{layer}"):
        assert await check(store) == []
    assert [finding.code for finding in await check(store)] == [FindingCode.LAYER_ORPHANED]


async def test_staged_rows_of_batches_in_progress_and_of_a_batch_that_just_failed_are_no_orphans(store: Store) -> None:
    await create(store)
    for batch in (await factories.failed(store), await factories.left_open(store, rows(3), "open")):
        await store.db.create_collection(f"staging.{batch.id}")
    assert await check(store) == []


# Changes during the check


async def test_a_version_that_is_compacted_during_the_check_is_no_finding(store: Store) -> None:
    await layered(store)
    is_sealed = store.layer_writer.is_sealed
    compacted = 0

    async def compacted_meanwhile(layer_writer: LayerWriter, layer: str) -> bool | None:
        nonlocal compacted
        newest = await snapshot(store, 4)
        if layer == newest.layers[0].id and len(newest.layers) > 1:
            compacted += 1
            await compact(store, newest)
            await store.layer_writer.drop(layer)
        return await is_sealed(layer)

    with patch.object(LayerWriter, "is_sealed", compacted_meanwhile):
        assert await check(store) == []
    assert compacted == 1


async def test_a_layer_is_read_again_after_an_election(store: Store) -> None:
    await layered(store)
    broken_off = 0
    original = layers._problem

    def in_an_election(*arguments: Any) -> layers.Problem | None:
        nonlocal broken_off
        broken_off += 1
        if broken_off <= 2:
            raise AutoReconnect
        return original(*arguments)

    with patch("storage.integrity.layers._problem", in_an_election):
        assert await check(store) == []
    assert broken_off > 2


async def test_a_version_that_is_retired_after_another_is_current_is_no_finding(store: Store) -> None:
    await layered(store)
    numbers = store.snapshots.version_numbers
    published_meanwhile = 0

    async def published_and_retired(snapshots: SnapshotRepository, name: str) -> list[int]:
        nonlocal published_meanwhile
        found = await numbers(name)
        if not published_meanwhile:
            published_meanwhile += 1
            await published(store, rows(3))
            await in_manifest(4, state="RETIRED")(store)
        return found

    with patch.object(SnapshotRepository, "version_numbers", published_and_retired):
        assert await check(store) == []
    assert published_meanwhile == 1


async def test_a_list_in_use_is_always_sound(store: Store) -> None:
    await layered(store)

    async def use() -> None:
        for n in range(12):
            await merged(store, [row(f"busy-{n}"), row("new-0", str(n))], ["sku-000003"])
            held = await submit(store, rows(2), publish=PublishPolicy.ON_APPROVAL)
            act = store.lifecycle.approve if n % 3 == 0 else store.lifecycle.reject
            await act(held.id, by="ops", reason="x")
            await store.pointer_moves.rollback("retail", 1 + n % 3, by="ops", reason="x", pin=False)
            current = await factories.current(store)
            assert current
            if len((now := await snapshot(store, current)).layers) > 2:
                await compact(store, now)
            await store.garbage_collector.collect()

    using, checks = asyncio.create_task(use()), 0
    while not using.done():
        assert await check(store) == []
        checks += 1
    await using
    assert checks > 3


# Inconsistencies: each function breaks a list of four versions that share layers

Break = Callable[[Store], Awaitable[object]]


async def collection_of(store: Store, version: int) -> Collection:
    """The collection of the newest layer of a version."""
    return store.layers_db[f"layer.{await layer_of(store, version)}"]


async def change(layer: Collection, key: str | int, **fields: object) -> None:
    """Change a document of a sealed layer."""
    result = await layer.update_one({"_id": key}, {"$set": fields}, bypass_document_validation=True)
    assert result.modified_count


async def flip_a_byte(layer: Collection, key: str | int) -> None:
    found = await layer.find_one({"_id": key})
    assert found is not None
    data = bytearray(found["data"])
    data[len(data) // 2] ^= 1
    await change(layer, key, data=bytes(data))


async def flip_a_byte_of_a_block(store: Store) -> None:
    await flip_a_byte(await collection_of(store, 1), "sku-000000")


async def flip_a_byte_of_a_page(store: Store) -> None:
    await flip_a_byte(await collection_of(store, 2), 0)


async def swap_a_block(store: Store) -> None:
    other = await (await collection_of(store, 1)).find_one({"_id": "sku-000000"})
    assert other is not None
    await change(await collection_of(store, 2), "new-0", data=other["data"])


async def empty_a_block(store: Store) -> None:
    await (await collection_of(store, 2)).update_one(
        {"_id": "new-0"}, {"$unset": {"data": 1}}, bypass_document_validation=True
    )


async def empty_a_page(store: Store) -> None:
    await (await collection_of(store, 2)).update_one(
        {"_id": 0}, {"$unset": {"data": 1}}, bypass_document_validation=True
    )


async def lose_a_block(store: Store) -> None:
    await (await collection_of(store, 2)).delete_one({"_id": "new-0"})


async def lose_a_page(store: Store) -> None:
    await (await collection_of(store, 2)).delete_one({"_id": 0})


def add(document: Document) -> Break:
    async def insert(store: Store) -> None:
        await (await collection_of(store, 2)).insert_one(document, bypass_document_validation=True)

    return insert


def of_a_later_release(key: str | int) -> Break:
    async def rewrite(store: Store) -> None:
        await change(await collection_of(store, 2), key, format=BLOCK_FORMAT + 1)

    return rewrite


def described_as(**fields: Any) -> Break:
    """Rewrite the directory of the first layer, and all manifests, so that only its rows contradict them."""

    async def rewrite(store: Store) -> None:
        block = encode_block(*await first_block(store))
        await rewrite_first(store, block, block.entry._replace(**fields))

    return rewrite


async def disorder_a_block(store: Store) -> None:
    skus, rows = await first_block(store)
    block = encode_block([*skus[1:], skus[0]], rows)
    await rewrite_first(store, block, block.entry._replace(first=skus[0]))


async def first_block(store: Store) -> tuple[list[str], list[bytes]]:
    layer = await store.layer_reader.layer((await snapshot(store, 1)).layers[0])
    [content] = await store.layer_reader.contents(layer, [0])
    return content.skus, content.rows()


async def rewrite_first(store: Store, block: Block, entry: BlockEntry) -> None:
    page, root = encode_page([entry]), Root()
    root.add(page)
    layer = await collection_of(store, 1)
    await change(layer, 0, data=compress_page(page))
    await layer.update_one({"_id": entry.first}, {"$set": {"data": block.frame}}, bypass_document_validation=True)
    await store.db["snapshots"].update_many(
        {},
        {"$set": {"layers.$[it].checksum": root.hex, "layers.$[it].count": entry.rows}},
        array_filters=[{"it.id": await layer_of(store, 1)}],
    )


async def drop_a_layer(store: Store) -> None:
    await (await collection_of(store, 2)).drop()


async def unseal_a_layer(store: Store) -> None:
    await store.layers_db.command({"collMod": f"layer.{await layer_of(store, 3)}", "validator": {}})


async def seal_a_layer_with_a_warning_only(store: Store) -> None:
    await store.layers_db.command({"collMod": f"layer.{await layer_of(store, 3)}", "validationAction": "warn"})


def in_manifest(version: int, /, **fields: object) -> Break:
    async def change(store: Store) -> None:
        query = {"_id": {"list": "retail", "version": version}}
        assert (await store.db["snapshots"].update_one(query, {"$set": fields})).modified_count

    return change


def in_pointer(**fields: object) -> Break:
    async def change(store: Store) -> None:
        assert (await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": fields})).modified_count

    return change


def in_batch(version: int, /, **fields: object) -> Break:
    async def change(store: Store) -> None:
        query = {"list": "retail", "version": version}
        assert (await store.db["batches"].update_one(query, {"$set": fields})).modified_count

    return change


def without(collection: str, query: dict[str, object]) -> Break:
    async def delete(store: Store) -> None:
        assert (await store.db[collection].delete_one(query)).deleted_count

    return delete


async def point_to_a_held_version(store: Store) -> None:
    batch = await submit(store, rows(4), publish=PublishPolicy.ON_APPROVAL)
    await in_pointer(version=batch.version)(store)


async def point_to_a_rejected_version(store: Store) -> None:
    batch = await submit(store, rows(4), publish=PublishPolicy.ON_APPROVAL)
    await store.lifecycle.reject(batch.id, by="ops", reason="x")
    await in_pointer(version=batch.version)(store)


async def schedule_without_the_pointer(store: Store) -> None:
    batch = await submit(store, rows(4), publish=PublishPolicy.ON_APPROVAL)
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"publishAt": in_an_hour()}})


async def forget_the_next_change(store: Store) -> None:
    await submit(store, rows(4), publish_at=in_an_hour())
    assert await check(store) == []
    await in_pointer(nextChangeAt=None)(store)


async def grant_a_preview_of_a_later_release(store: Store) -> None:
    batch = await submit(store, rows(4), publish=PublishPolicy.ON_APPROVAL)
    await store.previews.grant(batch.id, in_an_hour(), by="ops", reason="x")
    assert await check(store) == []
    await store.db["previews"].update_one({}, {"$set": {"format": FORMAT + 1}})


def in_an_hour() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)


async def name_a_layer_of_another_version(store: Store) -> None:
    first = await snapshot(store, 1)
    await in_manifest(3, layers=[asdict(layer) for layer in first.layers], size=first.size)(store)


async def leave_an_orphan(store: Store) -> None:
    layer = str(ObjectId.from_datetime(LONG_AGO))
    await store.layer_writer.create(layer)


async def leave_an_orphan_with_a_foreign_name(store: Store) -> None:
    await store.layer_writer.create("mine")


async def make_old(store: Store, batch: Batch, **fields: object) -> str:
    """Give a batch an id of long ago and an unnamed layer, and return its id."""
    old = str(ObjectId.from_datetime(LONG_AGO))
    document = await store.db["batches"].find_one_and_delete({"_id": batch.id})
    assert document is not None
    await store.db["batches"].insert_one({**document, "_id": old, **fields})
    for layer in await store.layer_writer.all():
        if batch_of(layer) == batch.id:
            await store.layer_writer.drop(layer)
    await store.layer_writer.create(f"{old}-1")
    return old


async def leave_the_layer_of_a_failed_batch(store: Store) -> None:
    await make_old(store, await factories.failed(store), finishedAt=LONG_AGO)


async def leave_staged_rows(store: Store) -> None:
    await store.db.create_collection(f"staging.{ObjectId.from_datetime(LONG_AGO)}")


async def leave_staged_rows_of_an_old_batch(store: Store) -> None:
    old = await make_old(store, await factories.failed(store), finishedAt=LONG_AGO)
    await store.layer_writer.drop(f"{old}-1")
    await store.db.create_collection(f"staging.{old}")


F = FindingCode

BREAKS: list[tuple[Break, FindingCode, int | None]] = [
    (flip_a_byte_of_a_block, F.BLOCK_DAMAGED, 1),
    (flip_a_byte_of_a_page, F.LAYER_CHANGED, 2),
    (swap_a_block, F.BLOCK_DAMAGED, 2),
    (empty_a_block, F.BLOCK_DAMAGED, 2),
    (empty_a_page, F.LAYER_CHANGED, 2),
    (lose_a_block, F.BLOCK_MISSING, 2),
    (lose_a_page, F.LAYER_MISSING, 2),
    (drop_a_layer, F.LAYER_MISSING, 2),
    (add({"_id": "new-1", "x": 1}), F.BLOCK_SURPLUS, 2),
    (add({"_id": "a", "x": 1}), F.BLOCK_SURPLUS, 2),
    (add({"_id": ObjectId(), "x": 1}), F.BLOCK_SURPLUS, 2),
    (add({"_id": -1, "x": 1}), F.BLOCK_SURPLUS, 2),
    (of_a_later_release("new-0"), F.FORMAT_UNKNOWN, 2),
    (of_a_later_release(0), F.FORMAT_UNKNOWN, 2),
    (described_as(rows=11), F.BLOCK_DAMAGED, 1),
    (described_as(tombstones=1), F.BLOCK_DAMAGED, 1),
    (described_as(row_bytes=1), F.BLOCK_DAMAGED, 1),
    (described_as(stats=BlockStats("5", "6", ("EUR",), None, None)), F.BLOCK_DAMAGED, 1),
    (disorder_a_block, F.BLOCK_DAMAGED, 1),
    (unseal_a_layer, F.LAYER_NOT_SEALED, 3),
    (seal_a_layer_with_a_warning_only, F.LAYER_NOT_SEALED, 3),
    (in_manifest(4, **{"layers.0.count": 4}), F.LAYER_CHANGED, 4),
    (in_manifest(4, **{"layers.3.checksum": "0" * 64}), F.LAYER_CHANGED, 4),
    (in_manifest(3, size=11), F.VERSION_SIZE_WRONG, 3),
    (in_manifest(2, state="RETIRED", retiredAt=LONG_AGO, size=99), F.VERSION_SIZE_WRONG, 2),
    (in_manifest(1, size=9), F.VERSION_SIZE_WRONG, 1),
    (in_manifest(2, batch="none"), F.VERSION_BATCH_WRONG, 2),
    (in_manifest(2, format=FORMAT + 1), F.FORMAT_UNKNOWN, 2),
    (in_manifest(2, state="LOST"), F.DOCUMENT_UNREADABLE, 2),
    (name_a_layer_of_another_version, F.VERSION_BATCH_WRONG, 3),
    (in_batch(2, **{"layer.checksum": "0" * 64}), F.VERSION_BATCH_WRONG, 2),
    (in_batch(2, version=7), F.VERSION_BATCH_WRONG, 2),
    (in_batch(2, state="HELD"), F.VERSION_BATCH_WRONG, 2),
    (in_batch(2, state="SEALING"), F.VERSION_UNSEALED, 2),
    (in_batch(4, state="SEALING"), F.POINTER_TO_UNSEALED, 4),
    (in_batch(4, format=FORMAT + 1), F.FORMAT_UNKNOWN, None),
    (without("snapshots", {"_id.version": 4}), F.POINTER_TO_MISSING, 4),
    (in_pointer(version=9), F.POINTER_TO_MISSING, 9),
    (in_pointer(version=2), F.POINTER_UNEXPLAINED, 2),
    (in_pointer(lastVersion=3), F.POINTER_BEHIND, None),
    (in_pointer(revision=4), F.POINTER_BEHIND, None),
    (in_pointer(revision=7), F.EVENTS_MISSING, None),
    (in_pointer(format=FORMAT + 1), F.FORMAT_UNKNOWN, None),
    (in_pointer(pin={"version": 1, "reason": "x", "by": "x", "at": LONG_AGO}), F.PIN_ELSEWHERE, 4),
    (in_pointer(nextChangeAt=LONG_AGO), F.NEXT_CHANGE_WRONG, None),
    (schedule_without_the_pointer, F.NEXT_CHANGE_WRONG, None),
    (forget_the_next_change, F.NEXT_CHANGE_WRONG, None),
    (in_manifest(4, replacedAt=LONG_AGO), F.REPLACED_AT_WRONG, 4),
    (in_manifest(2, replacedAt=None), F.REPLACED_AT_WRONG, 2),
    (grant_a_preview_of_a_later_release, F.FORMAT_UNKNOWN, None),
    (point_to_a_held_version, F.POINTER_TO_UNPUBLISHED, 5),
    (point_to_a_rejected_version, F.POINTER_TO_RETIRED, 5),
    (without("price_lists", {"_id": "retail"}), F.LIST_MISSING, None),
    (without("events", {"revision": 3}), F.EVENTS_MISSING, None),
    (leave_an_orphan, F.LAYER_ORPHANED, None),
    (leave_an_orphan_with_a_foreign_name, F.LAYER_ORPHANED, None),
    (leave_the_layer_of_a_failed_batch, F.LAYER_ORPHANED, None),
    (leave_staged_rows, F.STAGING_ORPHANED, None),
    (leave_staged_rows_of_an_old_batch, F.STAGING_ORPHANED, None),
]


@pytest.mark.parametrize(("act", "code", "version"), BREAKS, ids=[f"{each[1]}-{n}" for n, each in enumerate(BREAKS)])
async def test_an_inconsistency_is_reported_and_nothing_else(
    store: Store, act: Break, code: FindingCode, version: int | None
) -> None:
    await layered(store)
    assert await check(store) == []
    await act(store)
    assert await codes(store) == [(code, version)]


@pytest.mark.parametrize(
    ("act", "first"), [(flip_a_byte_of_a_block, "sku-000000"), (lose_a_block, "new-0"), (swap_a_block, "new-0")]
)
async def test_a_finding_names_the_block_by_its_first_sku(store: Store, act: Break, first: str) -> None:
    await layered(store)
    await act(store)
    [finding] = await check(store)
    assert f"The block {first!r}" in finding.message
    assert finding.layer
    assert finding.layer in finding.message


async def test_all_damaged_blocks_of_a_layer_are_named_up_to_a_limit(store: Store) -> None:
    await create(store)
    await published(store, rows(2000))
    layer = await collection_of(store, 1)
    blocks = [each["_id"] async for each in layer.find({"_id": {"$gte": ""}}, {"_id": 1}).sort("_id", 1)]
    for block in blocks[3:9]:
        await flip_a_byte(layer, block)
    found = await check(store)
    assert [finding.code for finding in found] == [FindingCode.BLOCK_DAMAGED] * 6
    assert all(repr(block) in finding.message for block, finding in zip(blocks[3:9], found, strict=True))
    with patch("storage.integrity.layers.MAX_NAMED_BLOCKS", 2):
        *named, more = await check(store)
    assert [finding.code for finding in (*named, more)] == [FindingCode.BLOCK_DAMAGED] * 3
    assert "4 more blocks" in more.message
