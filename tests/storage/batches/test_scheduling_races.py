"""Schedules that change while something else works on the batch or its list."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from pymongo.errors import AutoReconnect

from storage import Batch, BatchMode, BatchState, EventKind, SnapshotState, Store
from storage.mongodb import transaction
from storage.mongodb.transaction import in_transaction
from tests.storage.batches.due import at, next_change, publish_due, scheduled
from tests.storage.factories import amounts, current, held, order, row, snapshot, source, submit, versions

pytestmark = pytest.mark.usefixtures("past_accepted")


async def publish_latest(store: Store) -> None:
    await store.lifecycle.publish_latest("retail", by="ops", reason="done")
    await store.lifecycle.end_superseded("retail")


# Reviews


@pytest.mark.parametrize("review", ["approve", "reject"])
async def test_a_review_ends_a_schedule_that_the_batch_was_given_meanwhile(store: Store, review: str) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "9")])
    await store.pointer_moves.unpin("retail", by="ops", reason="done")
    instant, found = await at(store, 60), store.lifecycle._held

    async def reschedule_after(batch_id: str) -> Batch:
        before = await found(batch_id)
        await store.scheduling.reschedule(batch_id, instant, by="bob", reason="later")
        return before

    with patch.object(store.lifecycle, "_held", reschedule_after):
        await getattr(store.lifecycle, review)(batch.id, by="ann", reason="x")
    assert await next_change(store) is None


async def test_a_list_forgets_a_change_that_no_batch_is_scheduled_for(store: Store) -> None:
    await versions(store, 1)
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": {"nextChangeAt": await at(store, 60)}})
    await submit(store, [row("a", "9")])
    assert await next_change(store) is None


# A pin


async def test_a_batch_that_a_pin_holds_when_it_is_due_is_newer_than_those_held_before(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1, [row("a", "5")])
    earlier = await held(store, [row("a", "6")])
    [waiting] = await publish_due(store)
    assert (waiting.id, waiting.version, waiting.held_by_pin) == (batch.id, 4, True)
    assert (await snapshot(store, 2)).state is SnapshotState.RETIRED
    assert (await store.price_lists.get("retail")).last_version == 4
    [event] = await store.events.newest("retail", 1)
    assert (event.kind, event.batch, event.version) == (EventKind.HELD, batch.id, 4)
    assert await amounts(store, 4) == {"a": "5"}
    await publish_latest(store)
    assert await amounts(store, await current(store) or 0) == {"a": "5"}
    assert (await store.batches.get(earlier.id)).state is BatchState.REJECTED


async def test_a_mark_of_an_earlier_unpin_does_not_reject_a_batch_that_is_due_later(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1, [row("a", "5")])
    for amount in ("6", "7"):
        await held(store, [row("a", amount)])
    await store.lifecycle.publish_latest("retail", by="ops", reason="done")
    await store.pointer_moves.pin("retail", 4, by="ops", reason="again")
    assert [waiting.held_by_pin for waiting in await publish_due(store)] == [True]
    await store.lifecycle.end_superseded("retail")
    assert (await store.batches.get(batch.id)).state is BatchState.HELD
    await publish_latest(store)
    assert await amounts(store, await current(store) or 0) == {"a": "5"}


async def test_a_merge_that_a_pin_holds_when_it_is_due_is_laid_upon_the_version_that_is_current_then(
    store: Store,
) -> None:
    await versions(store, 1)
    merging = replace(order(publish_at=await at(store, -1)), mode=BatchMode.MERGE)
    await store.submitter.submit(merging, await source([row("b", "7")]))
    await submit(store, [row("a", "2"), row("c", "3")])
    await store.pointer_moves.pin("retail", 3, by="ops", reason="audit")
    [waiting] = await publish_due(store)
    assert (waiting.version, waiting.base) == (4, 3)
    assert waiting.summary is not None
    assert (waiting.summary.added, waiting.summary.unchanged) == (1, 2)
    assert await amounts(store, 4) == {"a": "2", "b": "7", "c": "3"}


async def test_a_batch_that_is_the_newest_already_keeps_its_version(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    [waiting] = await publish_due(store)
    assert waiting.version == batch.version == 2


# Turns


async def test_a_prepared_batch_that_is_due_does_not_wait_for_the_turn_of_another(
    store: Store, other_store: Store
) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    prepared = await store.due_publisher.prepare(batch.id)
    async with other_store.locks.held("publish/retail") as token, asyncio.timeout(5):
        assert token is not None
        change = await store.due_publisher.publish_first_due("retail", prepared)
    assert change is not None
    assert change.batch.state is BatchState.PUBLISHED


# Commits that are not acknowledged


async def test_a_reschedule_that_was_committed_although_the_answer_was_lost_succeeds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    instant = await at(store, 2)

    async def lose_answer(*arguments: Any) -> None:
        await in_transaction(*arguments)
        raise AutoReconnect("The answer was lost.")

    monkeypatch.setattr(transaction, "in_transaction", lose_answer)
    moved = await store.scheduling.reschedule(batch.id, instant, by="ops", reason="later")
    assert moved == await store.batches.get(batch.id)
    assert moved.publish_at == instant


async def test_a_reschedule_does_not_take_another_change_of_the_batch_for_its_own(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    instant = await at(store, 60)

    async def publish_instead(client: Any, act: Any) -> None:
        async def abort_after(session: Any) -> None:
            await act(session)
            raise AutoReconnect("The primary died.")

        monkeypatch.setattr(transaction, "in_transaction", in_transaction)
        try:
            await in_transaction(client, abort_after)
        finally:
            assert [each.state for each in await publish_due(other_store)] == [BatchState.PUBLISHED]

    monkeypatch.setattr(transaction, "in_transaction", publish_instead)
    with pytest.raises(AutoReconnect):
        await store.scheduling.reschedule(batch.id, instant, by="ops", reason="later")


# Deleted lists


async def test_batches_of_a_deleted_list_are_not_overdue(store: Store) -> None:
    await versions(store, 1)
    await versions(store, 1, "other")
    await scheduled(store, -2)
    await scheduled(store, -2, price_list="other")
    assert await store.batches.count_overdue(60) == 2
    await store.deleter.delete("retail", by="ops", reason="gone", force=True)
    assert await store.batches.count_overdue(60) == 1
    assert [*await store.batches.next_due_by_list(60)] == ["other"]
