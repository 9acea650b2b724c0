"""A backup in the order of docs/backup.md is sound even if batches are published; in another order it is not.

The copies are made by the driver, collection after collection, as mongodump and mongorestore make them: without a
snapshot, with the options and indexes of each collection, and past the validator of a sealed layer.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import BatchMode, BatchState, PublishPolicy, Store
from storage.integrity.findings import Finding, FindingCode
from storage.layers.block import collection_of
from storage.mongodb.connection import Document, prepare
from tests.storage import factories
from tests.storage.factories import amounts, create, order, published, row, rows, source, submit
from tests.waiting import until

MANUAL = (Path(__file__).parents[2] / "docs" / "backup.md").read_text(encoding="utf-8")

Dump = dict[str, list[Document]]


def commands() -> list[tuple[str, Document]]:
    """The collections that docs/backup.md dumps one by one, in this order, each with its query."""
    [manual] = re.findall(r"<!-- backup: dump -->\n```sh\n(.*?)```", MANUAL, re.DOTALL)
    found = re.findall(r"mongodump .* -c (\w+)(?: -q '(.*)')? -o", manual)
    return [(collection, json.loads(query or "{}")) for collection, query in found]


@pytest.fixture
async def restored(mongodb_uri: str, store: Store) -> AsyncIterator[Store]:
    """A store on an empty database to restore to."""
    other = Store(store.client, f"{store.db.name}_r")
    yield other
    await drop(other)


async def drop(store: Store) -> None:
    for db in (store.db, store.layers_db):
        await store.client.drop_database(db.name)


async def dump(store: Store, collection: str, query: Document) -> list[Document]:
    return [document async for document in store.db[collection].find(query)]


async def dump_records(store: Store) -> Dump:
    """The collections that one transaction writes together: read again until no pointer moved in between."""
    while True:
        dumped = [(collection, await dump(store, collection, query)) for collection, query in commands()]
        if dumped[0] == dumped[-1]:
            return dict(dumped)


async def dump_layers(store: Store) -> Dump:
    return {
        name: await store.layers_db[name].find().to_list() for name in await store.layers_db.list_collection_names()
    }


async def restore(store: Store, restored: Store, records: Dump, layers: Dump) -> None:
    """Create each collection with its validator, and insert the dumped documents in spite of it."""
    for db, other, dumped in (
        (store.db, restored.db, records),
        (store.layers_db, restored.layers_db, layers),
    ):
        async for each in await db.list_collections():
            if each["name"] in dumped:
                await other.create_collection(each["name"], **each["options"])
        for name, documents in dumped.items():
            if documents:
                await other[name].insert_many(documents, bypass_document_validation=True)
    await prepare(restored.db)


async def findings(store: Store) -> list[Finding]:
    return [finding async for finding in store.integrity_check().run()]


async def publish_continuously(store: Store, moved: asyncio.Event) -> None:
    """Publish batches of every kind, one after the other."""
    for n in itertools.count():
        await published(store, rows(20 + n % 5, f"{n}.00"))
        request = order()
        merge = type(request)("retail", BatchMode.MERGE, request.key, "integrator")
        await store.submitter.submit(merge, await source([row(f"new-{n}")]), ["sku-000003"])
        held = await submit(store, rows(5, f"{n}.50"), publish=PublishPolicy.ON_APPROVAL)
        act = store.lifecycle.reject if n % 2 else store.lifecycle.approve
        await act(held.id, by="ops", reason="x")
        await submit(store, [row("bad", "-1")])
        moved.set()


async def others_are_published(store: Store) -> None:
    """Wait until further batches were published, held and rejected."""
    revision = (await store.price_lists.get("retail")).revision

    async def moved() -> bool:
        return (await store.price_lists.get("retail")).revision > revision + 5

    await until(moved, "published")


@pytest.fixture
async def busy(store: Store) -> AsyncIterator[Store]:
    """A store in which batches are published continuously."""
    await create(store)
    moved = asyncio.Event()
    publishing = asyncio.create_task(publish_continuously(store, moved))
    await moved.wait()
    yield store
    while not publishing.done():  # the driver may swallow a cancellation
        publishing.cancel()
        await asyncio.wait([publishing], timeout=1)
    assert publishing.cancelled(), publishing.exception()


def test_the_manual_dumps_the_pointers_before_and_after_their_records() -> None:
    collections = [collection for collection, _ in commands()]
    assert collections[0] == collections[-1] == "price_lists"
    assert sorted(collections[1:-1]) == [
        "api_keys",
        "batches",
        "events",
        "expired_snapshots",
        "item_errors",
        "releases",
        "snapshots",
    ]
    assert collections.index("snapshots") < collections.index("expired_snapshots")


async def test_a_backup_in_the_order_of_the_manual_is_sound(busy: Store, restored: Store) -> None:
    for _ in range(3):
        records = await dump_records(busy)
        await others_are_published(busy)
        await restore(busy, restored, records, await dump_layers(busy))
        assert await findings(restored) == []
        await drop(restored)


async def test_a_version_that_is_rejected_before_its_layer_is_dumped_is_in_the_backup(
    store: Store, restored: Store
) -> None:
    await create(store)
    await published(store, rows(3))
    waiting = await factories.held(store, rows(4))
    records = await dump_records(store)
    await store.lifecycle.reject(waiting.id, by="ops", reason="x")
    await store.garbage_collector.collect()
    await restore(store, restored, records, await dump_layers(store))
    assert await findings(restored) == []
    await restored.pointer_moves.unpin("retail", by="ops", reason="x")
    assert (await restored.lifecycle.approve(waiting.id, by="ops", reason="x")).state is BatchState.PUBLISHED


async def test_records_that_were_dumped_while_a_pointer_moved_are_reported(busy: Store, restored: Store) -> None:
    pointers = await dump(busy, "price_lists", {})
    await others_are_published(busy)
    records = await dump_records(busy)
    await restore(busy, restored, {**records, "price_lists": pointers}, await dump_layers(busy))
    assert FindingCode.POINTER_BEHIND in {finding.code for finding in await findings(restored)}


async def test_layers_that_were_dumped_before_their_manifests_are_reported(busy: Store, restored: Store) -> None:
    layers = await dump_layers(busy)
    await others_are_published(busy)
    records = await dump_records(busy)
    await restore(busy, restored, records, layers)
    assert {finding.code for finding in await findings(restored)} == {FindingCode.LAYER_MISSING}


async def test_a_restored_list_continues_with_unused_versions(store: Store, restored: Store) -> None:
    await create(store)
    await published(store, rows(3))
    records = await dump_records(store)
    await published(store, rows(4))
    await restore(store, restored, records, await dump_layers(store))
    await restored.db["price_lists"].update_many({}, {"$inc": {"lastVersion": 1000}})
    assert await findings(restored) == []
    batch = await submit(restored, rows(5))
    assert (batch.state, batch.version) == (BatchState.PUBLISHED, 1002)
    assert await findings(restored) == []


async def test_a_damaged_layer_is_restored_from_a_backup(store: Store) -> None:
    await create(store)
    await published(store, rows(3))
    [layer] = await store.layer_writer.all()
    dumped, collection = await dump_layers(store), store.layers_db[collection_of(layer)]
    await collection.database.command({"collMod": collection.name, "validator": {}})
    await collection.update_one({"_id": "sku-000000"}, {"$set": {"data": b"damaged"}})
    assert {finding.code for finding in await findings(store)} > {FindingCode.BLOCK_DAMAGED}
    await collection.drop()
    assert FindingCode.LAYER_MISSING in {finding.code for finding in await findings(store)}
    await collection.insert_many(dumped[collection.name])
    await store.layer_writer.freeze(layer)
    assert await findings(store) == []


async def test_unfinished_batches_can_be_sent_again(store: Store, restored: Store) -> None:
    await create(store)
    await published(store, rows(3))
    sent = {"open": rows(6, "6.00"), "sealing": rows(7, "7.00")}
    await factories.left_open(store, sent["open"], "open")
    await factories.left_sealing(store, sent["sealing"], "sealing")
    records = await dump_records(store)
    for key, prices in sent.items():
        assert (await submit(store, prices, key=key)).state is BatchState.PUBLISHED
    await restore(store, restored, records, await dump_layers(store))
    for version, (key, prices) in enumerate(sent.items(), 2):
        async with asyncio.timeout(30):
            batch = await submit(restored, prices, key=key)
        assert (batch.state, batch.version) == (BatchState.PUBLISHED, version)
        assert await amounts(restored, version) == {each["sku"]: each["amount"] for each in prices}
    assert await findings(restored) == []
