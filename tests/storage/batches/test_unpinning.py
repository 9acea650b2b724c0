"""Superseded batches are rejected after the unpin, in small transactions, even if a process dies meanwhile."""

import asyncio
import copy

import pytest
from bson.objectid import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import AutoReconnect

from storage import Batch, BatchMode, BatchState, EventKind, PriceList, PublishPolicy, SnapshotState, Store
from storage.batches import admission
from storage.batches.unpinning import MAX_ENDED_AT_ONCE
from storage.errors import BatchNotHeld, BatchSuperseded
from storage.mongodb import transaction
from storage.mongodb.connection import Document
from storage.mongodb.transaction import in_transaction
from tests.storage.commands import Commands
from tests.storage.dying import die_at, run_until_killed
from tests.storage.factories import amounts, current, held, row, snapshot, submit, versions

MANY = 3500
"""Held batches that an unpin supersedes."""


async def publish_latest(store: Store) -> PriceList:
    return await store.lifecycle.publish_latest("retail", by="ops", reason="the prices are right")


async def hold(store: Store, count: int) -> list[str]:
    """Hold batches in a pinned list: copies of the documents of one that was held. Returns their ids, oldest first."""
    template = await held(store, [row("a", "2")])
    assert template.version is not None
    batch = await store.db["batches"].find_one({"_id": template.id})
    manifest = await store.db["snapshots"].find_one({"_id.version": template.version})
    event = await store.db["events"].find_one({"batch": template.id})
    assert batch
    assert manifest
    assert event
    ids = [template.id, *(str(ObjectId()) for _ in range(count - 1))]
    batches, manifests, events = list[Document](), list[Document](), list[Document]()
    for number, batch_id in enumerate(ids[1:], 1):
        version = template.version + number
        batches.append({**copy.deepcopy(batch), "_id": batch_id, "key": batch_id, "version": version})
        manifests.append({**manifest, "_id": {"list": "retail", "version": version}, "batch": batch_id})
        events.append({**event, "_id": ObjectId(), "revision": event["revision"] + number, "batch": batch_id})
    for name, documents in (("batches", batches), ("snapshots", manifests), ("events", events)):
        if documents:
            await store.db[name].insert_many(documents)
    moved = {"lastVersion": template.version + count - 1, "revision": event["revision"] + count - 1}
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": moved})
    return ids


async def states(store: Store, ids: list[str]) -> list[BatchState]:
    return [batch.state for batch in await store.batches.get_many(ids) if isinstance(batch, Batch)]


async def check_ended(store: Store, ids: list[str]) -> None:
    """Check that all but the newest batch were rejected once, each with its event."""
    *others, latest = ids
    assert set(await states(store, others)) == {BatchState.REJECTED}
    assert await states(store, [latest]) == [BatchState.PUBLISHED]
    found = await store.price_lists.get("retail")
    assert found.superseded_before is None
    events = await store.events.newest("retail", len(ids) * 3)
    assert [event.revision for event in events] == list(range(found.revision, 0, -1))
    assert [event.batch for event in events[::-1] if event.kind is EventKind.REJECTED] == others
    assert await store.batches.count(state=BatchState.HELD) == 0


async def test_an_unpin_over_thousands_of_held_batches_is_one_small_transaction(
    store: Store, watched: tuple[Store, Commands]
) -> None:
    await versions(store, 1)
    ids = await hold(store, MANY)
    other, commands = watched
    moved = await publish_latest(other)
    assert (moved.current_version, moved.pin, moved.superseded_before) == (MANY + 1, None, MANY + 1)
    assert len(commands.sent) < 40, commands.names
    assert await states(store, [ids[0], ids[-1]]) == [BatchState.HELD, BatchState.PUBLISHED]

    commands.sent.clear()
    assert await other.lifecycle._end_some_superseded("retail")
    assert len(commands.sent) < 15, commands.names
    assert await store.batches.count(state=BatchState.HELD) == MANY - 1 - MAX_ENDED_AT_ONCE
    await other.lifecycle.end_superseded("retail")
    await check_ended(store, ids)
    assert (await snapshot(store, 2)).state is SnapshotState.RETIRED
    assert await amounts(store, MANY + 1) == {"a": "2"}


async def test_the_newest_waiting_batch_is_found_by_an_index(store: Store) -> None:
    await versions(store, 1)
    await hold(store, 300)
    await submit(store, [row("a", "3")], publish=PublishPolicy.ON_APPROVAL)
    query = {"list": "retail", "state": "HELD", "heldByPin": True, "version": {"$gte": 0}}
    plan = await store.db.command(
        {
            "explain": {"find": "batches", "filter": query, "sort": {"version": -1}, "limit": 2},
            "verbosity": "executionStats",
        }
    )
    assert plan["executionStats"]["totalDocsExamined"] == 2


async def test_a_superseded_batch_can_be_neither_approved_nor_rejected(store: Store) -> None:
    await versions(store, 1)
    superseded, _ = await held(store, [row("a", "2")]), await held(store, [row("a", "3")])
    await publish_latest(store)
    assert (await store.batches.get(superseded.id)).state is BatchState.HELD
    for review in (store.lifecycle.approve, store.lifecycle.reject):
        with pytest.raises(BatchSuperseded, match="superseded"):
            await review(superseded.id, by="ops", reason="x")
    assert await current(store) == 3
    await store.lifecycle.end_superseded("retail")
    with pytest.raises(BatchNotHeld, match="REJECTED"):
        await store.lifecycle.approve(superseded.id, by="ops", reason="x")


async def test_batches_that_a_gate_held_or_a_later_pin_holds_are_not_superseded(store: Store) -> None:
    await versions(store, 1)
    reviewed = await submit(store, [row("a", "9")], publish=PublishPolicy.ON_APPROVAL)
    first, second = await held(store, [row("a", "2")]), await held(store, [row("a", "3")])
    await publish_latest(store)
    later = await held(store, [row("a", "4")])
    await store.lifecycle.end_superseded("retail")
    assert await states(store, [reviewed.id, first.id, second.id, later.id]) == [
        BatchState.HELD,
        BatchState.REJECTED,
        BatchState.PUBLISHED,
        BatchState.HELD,
    ]
    assert (await publish_latest(store)).current_version == 5


async def test_a_second_unpin_before_the_end_of_the_first_supersedes_both(store: Store) -> None:
    await versions(store, 1)
    early = [await held(store, [row("a", amount)]) for amount in ("2", "3")]
    await publish_latest(store)
    late = [await held(store, [row("a", amount)]) for amount in ("4", "5")]
    assert (await publish_latest(store)).superseded_before == 5
    await store.lifecycle.end_superseded("retail")
    assert await states(store, [batch.id for batch in (*early, *late)]) == [
        BatchState.REJECTED,
        BatchState.PUBLISHED,
        BatchState.REJECTED,
        BatchState.PUBLISHED,
    ]


async def test_an_unpin_with_only_superseded_batches_publishes_none_of_them(store: Store) -> None:
    await versions(store, 1)
    ids = await hold(store, 3)
    await publish_latest(store)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    moved = await publish_latest(store)
    assert (moved.current_version, moved.pin, moved.superseded_before) == (1, None, 4)
    await store.lifecycle.end_superseded("retail")
    assert await states(store, ids) == [BatchState.REJECTED, BatchState.REJECTED, BatchState.PUBLISHED]


async def test_several_processes_end_superseded_batches_together(store: Store, other_store: Store) -> None:
    await versions(store, 1)
    ids = await hold(store, 4 * MAX_ENDED_AT_ONCE)
    await publish_latest(store)
    await asyncio.gather(
        *(each.lifecycle.end_superseded("retail") for each in (store, other_store, store, other_store))
    )
    await check_ended(store, ids)


async def end_and_die(uri: str, database: str) -> None:
    store = await Store.open(uri, database)
    die_at("EventRepository.append_all:3:after")
    await store.lifecycle.end_superseded("retail")


@pytest.mark.usefixtures("short_transactions")
async def test_a_process_that_is_killed_while_it_ends_them_loses_nothing(store: Store, mongodb_uri: str) -> None:
    await versions(store, 1)
    ids = await hold(store, 4 * MAX_ENDED_AT_ONCE)
    await publish_latest(store)
    await run_until_killed(end_and_die, mongodb_uri, store.db.name)
    assert await store.batches.count(state=BatchState.HELD) == len(ids) - 1 - 2 * MAX_ENDED_AT_ONCE
    await store.lifecycle.end_superseded("retail")
    await check_ended(store, ids)


async def test_superseded_batches_leave_room_for_new_ones(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_HELD_BATCHES", 3)
    await versions(store, 1)
    await hold(store, 4)
    await publish_latest(store)
    assert (await submit(store, [row("a", "7")])).state is BatchState.PUBLISHED


# A commit whose outcome is unknown


@pytest.mark.parametrize("waiting", [0, 1, 2])
async def test_an_unpin_whose_response_was_lost_is_looked_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    for amount in range(waiting):
        await submit(store, [row("a", str(amount + 5))])

    async def lose_response(*args: object) -> None:
        await in_transaction(*args)  # type: ignore[arg-type]
        raise AutoReconnect("The response was lost.")

    monkeypatch.setattr(transaction, "in_transaction", lose_response)
    moved = await publish_latest(store)
    assert (moved.pin, moved.current_version) == (None, 1 + waiting)
    assert store.metrics.batches["retail", BatchMode.REPLACE, BatchState.PUBLISHED] == 1 + bool(waiting)


async def test_an_unpin_that_was_not_committed_is_not_reported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await versions(store, 1)
    waiting: Batch = await held(store, [row("a", "2")])

    async def fail(client: object, act: object) -> None:
        async def aborted(session: AsyncClientSession) -> None:
            await act(session)  # type: ignore[operator]
            await session.abort_transaction()
            raise AutoReconnect("The transaction was aborted.")

        await in_transaction(client, aborted)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction, "in_transaction", fail)
    with pytest.raises(AutoReconnect):
        await publish_latest(store)
    assert await states(store, [waiting.id]) == [BatchState.HELD]
    assert (await store.price_lists.get("retail")).pin
