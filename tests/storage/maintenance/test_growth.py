"""Maintenance, metrics and the check read no more than they find, however much has been kept for good."""

import datetime
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from bson.objectid import ObjectId

from storage import Gates, PublishPolicy, Retention, Store
from storage.mongodb.connection import Document, connect
from tests.storage.commands import Commands
from tests.storage.factories import create, held, published, rows, submit

PAST = 2000
"""Finished batches, events, expired versions and old notes of each kind."""

MAX_EXAMINED = 120
"""Documents that a command may examine: a page of versions, or what the database has beside its past."""

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)

READS = ("find", "aggregate", "count", "distinct", "update", "delete")
WRITES = ("update", "delete", "insert", "findAndModify", "create", "drop")


@pytest.fixture
async def commands(mongodb_uri: str, store: Store) -> AsyncIterator[tuple[Store, Commands]]:
    """A store with a long past, and the commands that it sends."""
    await create(store)
    await store.price_list_editor.update("retail", "ops", lambda each: each)
    for amount in ("1", "2", "3"):
        await published(store, rows(3, amount))
    await held(store, rows(4))
    await submit(store, rows(5), publish=PublishPolicy.ON_APPROVAL)
    await _fill(store)
    listener = Commands()
    client = await connect(mongodb_uri, [listener])
    yield Store(client, store.db.name, grace=0, restore=86_400), listener
    await client.close()


async def _fill(store: Store) -> None:
    """Copy a finished batch, an event and a manifest, as if there had been many."""
    now = datetime.datetime.now(datetime.UTC)
    batch = await store.db["batches"].find_one({"state": "PUBLISHED"})
    event = await store.db["events"].find_one()
    manifest = await store.db["snapshots"].find_one({"state": "PUBLISHED"})
    assert batch
    assert event
    assert manifest
    keys = [{"key": f"past-{number}"} if number % 2 else {"key": None, "usedKey": "x"} for number in range(PAST)]
    await store.db["batches"].insert_many({**batch, "_id": str(ObjectId()), "finishedAt": now, **key} for key in keys)
    await store.db["events"].insert_many(
        {**event, "_id": ObjectId(), "revision": number + 100} for number in range(PAST)
    )
    expired = {**manifest, "state": "RETIRED", "layers": [], "retiredAt": now}
    await store.db["expired_snapshots"].insert_many(
        {**expired, "_id": {"list": "retail", "version": number + 100}} for number in range(PAST)
    )
    await store.db["orphans"].insert_many({"_id": str(ObjectId()), "format": 1, "since": now} for _ in range(PAST))


async def assert_bounded(store: Store, sent: list[dict[str, Any]], max_keys: int = MAX_EXAMINED) -> None:
    """Explain every command on a collection of the main database. None may examine more than `max_keys` index keys."""
    explained = 0
    for command in sent:
        name = next(iter(command))
        collection = command[name]
        if (
            command["$db"] != store.db.name
            or name not in READS
            or collection in ("locks", "price_lists", "$cmd.aggregate")
        ):
            continue
        stats = await _explain(store, command)
        stages = list(_stages(stats))
        examined = sum(each.get("docsExamined", 0) for each in stages)
        assert "COLLSCAN" not in {each.get("stage") for each in stages} or collection == "snapshots", command
        assert examined <= MAX_EXAMINED, (examined, command)
        keys = sum(each.get("keysExamined", 0) for each in stages)
        assert keys <= max_keys, (keys, command)
        explained += 1
    assert explained


async def _explain(store: Store, command: dict[str, Any]) -> Document:
    session_fields = {"lsid", "$clusterTime", "txnNumber", "$db", "$readPreference", "readConcern", "writeConcern"}
    plain = {name: value for name, value in command.items() if name not in session_fields}
    if "aggregate" in plain:
        plain["cursor"] = {}
    explained: Document = await store.db.command({"explain": plain, "verbosity": "executionStats"})
    return explained


def _stages(node: Any) -> Iterator[Document]:
    """Yield the stages of an executed plan: those with a count of documents or keys."""
    if isinstance(node, list):
        for each in node:
            yield from _stages(each)
    elif isinstance(node, dict):
        if "stage" in node and "executionTimeMillisEstimate" in node:
            yield node
        for name, value in node.items():
            if name not in ("queryPlanner", "allPlansExecution"):
                yield from _stages(value)


async def test_garbage_collection_reads_what_it_works_on(commands: tuple[Store, Commands]) -> None:
    store, listener = commands
    await store.garbage_collector.collect()
    with listener.counted() as sent:
        await store.garbage_collector.collect()
    await assert_bounded(store, sent)
    assert [name for each in sent if (name := next(iter(each))) in WRITES] == [], "nothing is to be done"
    assert [each for each in sent if each["$db"] == store.layers_db.name] == [], "layers are listed rarely"


async def test_the_listing_of_all_layers_reads_only_versions_that_can_be_read(
    commands: tuple[Store, Commands],
) -> None:
    store, listener = commands
    with listener.counted() as sent:
        await store.garbage_collector.find_orphans()
    await assert_bounded(store, sent)


async def test_retention_reads_what_may_expire_and_writes_only_what_does(commands: tuple[Store, Commands]) -> None:
    store, listener = commands
    with listener.counted() as sent:
        result = await store.expirer.expire("retail", by="ops")
        await store.expirer.plan("retail")
    assert result.retirements == []
    await assert_bounded(store, sent)
    assert [name for each in sent if (name := next(iter(each))) in WRITES] == [], "nothing is due"


@pytest.mark.parametrize("thin", [False, True])
async def test_retention_reads_nothing_of_versions_that_are_kept(commands: tuple[Store, Commands], thin: bool) -> None:
    store, listener = commands
    manifest = await store.db["snapshots"].find_one({"state": "PUBLISHED"})
    assert manifest
    now = datetime.datetime.now(datetime.UTC)
    await store.db["snapshots"].insert_many(
        {**manifest, "_id": {"list": "kept", "version": 1 + number}, "publishedAt": LONG_AGO, "replacedAt": now}
        for number in range(PAST)
    )
    await store.price_list_editor.create("kept", None, Gates(), "ops", Retention(1, 30, thin))
    with listener.counted() as sent:
        result = await store.expirer.expire("kept", by="ops")
    await assert_bounded(store, sent)
    assert result.due is not None
    assert (result.due - now) >= datetime.timedelta(hours=23)


async def test_each_page_of_retention_reads_the_versions_of_its_list(commands: tuple[Store, Commands]) -> None:
    store, listener = commands
    manifest = await store.db["snapshots"].find_one({"state": "PUBLISHED"})
    assert manifest
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    keep = {"until": now + datetime.timedelta(days=1), "reason": "x", "by": "ops", "at": now}
    for name, count, kept in (("large", PAST, PAST), ("small", PAST, 3)):
        await store.db["snapshots"].insert_many(
            {**manifest, "_id": {"list": name, "version": 1 + number}, "replacedAt": now}
            | ({"keep": keep} if number < kept else {})
            for number in range(count)
        )
    with listener.counted() as sent:
        for since in (None, LONG_AGO, now):
            assert len(await store.expirations.replaced("small", PAST, 20, since, [1, 2])) == 20
        assert [each.version for each in await store.expirations.kept("small", now, 20)] == [1, 2, 3]
    await assert_bounded(store, sent)


async def test_the_queries_of_batches_read_what_they_find(commands: tuple[Store, Commands]) -> None:
    store, listener = commands
    with listener.counted() as sent:
        assert await store.batches.stalled() == []
        assert await store.batches.idle(3600) == []
        assert await store.batches.held() == {"retail": 2}
        assert (await store.batches.unfinished("retail")).held == 2
        assert await store.batches.in_progress("integrator") == 0
        assert await store.batches.by_key("retail", "none") is None
        assert await store.snapshots.counts() == {"retail": 5}
        assert len(await store.batches.waiting(await store.price_lists.get("retail"), 2)) == 1
    await assert_bounded(store, sent)


async def test_batches_in_progress_and_waiting_are_found_without_the_others_that_are_held(
    commands: tuple[Store, Commands],
) -> None:
    store, listener = commands
    held_batch = await store.db["batches"].find_one({"state": "HELD"})
    assert held_batch
    copies = ({**held_batch, "_id": str(ObjectId()), "key": f"held-{number}"} for number in range(PAST))
    await store.db["batches"].insert_many(copies)
    retail = await store.price_lists.get("retail")
    with listener.counted() as sent:
        assert await store.batches.in_progress("integrator") == 0
        assert len(await store.batches.waiting(retail, 2)) == 1
        assert await store.batches.count_waiting(retail) == 1
        assert await store.batches.superseded("retail", 1, 10) == []
        assert await store.batches.count_superseded("retail", 1) == 0
        assert await store.batches.stalled() == []
        assert await store.batches.idle(3600) == []
        async with store.client.start_session() as session:
            assert await store.batches.in_progress_of_release("none", 10, session) == []
    await assert_bounded(store, sent)


async def test_the_check_of_formats_reads_no_document_of_this_release(commands: tuple[Store, Commands]) -> None:
    store, listener = commands
    with listener.counted() as sent:
        assert await store.integrity_check()._unknown_formats("retail") == []
        assert await store.snapshots.highest_version("retail") == 100 + PAST - 1
        assert await store.snapshots.version_numbers("retail") == [1, 2, 3, 4, 5]
    await assert_bounded(store, sent, PAST + MAX_EXAMINED)
