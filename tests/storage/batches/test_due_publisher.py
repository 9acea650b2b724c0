"""A batch that is due is published once, in order and never early; what stands against it holds it for a review."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from unittest.mock import patch

import pytest

from storage import BatchMode, BatchState, EventKind, Gates, PriceListNotFound, PublishPolicy, Store
from storage.errors import Conflict, Corrupt
from tests.storage import publish_and_die
from tests.storage.batches.due import (
    assert_held_for_review,
    at,
    holds,
    newest_event,
    next_change,
    publish_due,
    scheduled,
    set_gates,
)
from tests.storage.dying import run_until_killed
from tests.storage.factories import (
    amounts,
    break_a_block,
    create,
    current,
    forget_blocks,
    order,
    row,
    rows,
    source,
    submit,
    versions,
)

pytestmark = pytest.mark.usefixtures("past_accepted")


async def test_a_batch_that_is_due_is_published_by_its_sender(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    [published] = await publish_due(store)
    assert (published.id, published.state, published.publish_at) == (batch.id, BatchState.PUBLISHED, batch.publish_at)
    assert await current(store) == published.version == 2
    event = await newest_event(store)
    assert (event.kind, event.by, event.batch, event.version) == (EventKind.PUBLISHED, "integrator", batch.id, 2)
    assert event.reason is not None
    assert "scheduled for" in event.reason
    assert batch.publish_at is not None
    assert event.at >= batch.publish_at
    assert await next_change(store) is None
    assert await publish_due(store) == []


async def test_no_batch_is_published_early(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    assert await publish_due(store) == []
    assert await store.batches.get(batch.id) == batch


async def test_batches_go_in_the_order_of_their_instants_then_of_creation(store: Store) -> None:
    await versions(store, 1)
    instant = await at(store, -1)
    second = await submit(store, [row("a", "2")], publish_at=instant)
    third = await submit(store, [row("a", "3")], publish_at=instant)
    first = await scheduled(store, -2)
    await scheduled(store, 1)
    assert [batch.id for batch in await publish_due(store)] == [first.id, second.id, third.id]
    assert await amounts(store, await current(store) or 0) == {"a": "3"}


async def test_of_several_processes_one_publishes_each_batch(store: Store, other_store: Store) -> None:
    await versions(store, 1)
    batches = [await scheduled(store, number - 20, [row("a", str(number))]) for number in range(8)]
    done = await asyncio.gather(*(publish_due(each) for each in (store, other_store, store, other_store)))
    assert sorted(batch.id for each in done for batch in each) == [batch.id for batch in batches]
    events = [event for event in await store.events.newest("retail", 100) if event.kind is EventKind.PUBLISHED]
    assert [event.batch for event in reversed(events)][1:] == [batch.id for batch in batches]


async def test_a_merge_is_laid_upon_the_version_that_is_current_when_it_is_due(store: Store) -> None:
    await versions(store, 1)
    merging = replace(order(publish_at=await at(store, -1)), mode=BatchMode.MERGE)
    merge = await store.submitter.submit(merging, await source([row("b", "7")]))
    await submit(store, [row("a", "2"), row("c", "3")])
    [published] = await publish_due(store)
    assert (published.base, published.version) == (3, 4)
    assert merge.version == 2
    assert await amounts(store, 4) == {"a": "2", "b": "7", "c": "3"}


async def test_a_comparison_before_it_is_due_is_used_and_kept_up_to_date(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    prepared = await store.due_publisher.prepare(batch.id)
    with patch.object(store.comparer, "_count", side_effect=AssertionError("compared again")):
        change = await store.due_publisher.publish_first_due("retail", prepared)
    assert change is not None
    assert change.batch.state is BatchState.PUBLISHED

    later = await scheduled(store, -1, [row("a", "4"), row("b", "5")])
    prepared = await store.due_publisher.prepare(later.id)
    await submit(store, [row("b", "1")])
    [published] = [(await store.due_publisher.publish_first_due("retail", prepared) or change).batch]
    assert published.summary is not None
    assert (published.summary.added, published.summary.changed) == (1, 1)


async def test_a_pin_holds_it_as_a_pin_holds_any_batch(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    [waiting] = await publish_due(store)
    await assert_held_for_review(store, waiting, "pin", by_pin=True)
    await store.lifecycle.publish_latest("retail", by="ops", reason="done")
    assert (await store.batches.get(batch.id)).state is BatchState.PUBLISHED


async def test_gates_hold_it_also_those_that_reject_other_batches(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    await set_gates(store, Gates(min_size=2))
    [waiting] = await publish_due(store)
    await assert_held_for_review(store, waiting, "minSize")
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="intended")
    assert approved.state is BatchState.PUBLISHED


async def test_a_gate_that_found_something_earlier_is_asked_again(store: Store) -> None:
    await create(store)
    await submit(store, rows(4))
    await set_gates(store, Gates(max_shrink_percent=Decimal(10)))
    batch = await scheduled(store, -1, rows(2))
    assert holds(batch) == ["maxShrinkPercent", "schedule"]
    await set_gates(store, Gates())
    [published] = await publish_due(store)
    assert published.state is BatchState.PUBLISHED


async def test_another_version_than_the_expected_one_holds_it(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1, expected_version=1)
    await submit(store, [row("b")])
    [waiting] = await publish_due(store)
    await assert_held_for_review(store, waiting, "expectedVersion")
    with pytest.raises(Conflict):
        await store.lifecycle.approve(batch.id, by="ops", reason="intended")


async def test_the_expected_version_may_be_current_when_it_is_due(store: Store) -> None:
    await versions(store, 1)
    await scheduled(store, -1, expected_version=1)
    [published] = await publish_due(store)
    assert published.state is BatchState.PUBLISHED


async def test_a_batch_that_nobody_approved_is_held(store: Store) -> None:
    await versions(store, 1)
    await scheduled(store, -1, publish=PublishPolicy.ON_APPROVAL)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    [waiting] = await publish_due(store)
    await assert_held_for_review(store, waiting, "onApproval", "pin")


async def test_a_batch_that_is_held_does_not_block_a_later_one(store: Store) -> None:
    await versions(store, 1)
    first = await scheduled(store, -2, publish=PublishPolicy.ON_APPROVAL)
    second = await scheduled(store, -1)
    assert [(batch.id, batch.state) for batch in await publish_due(store)] == [
        (first.id, BatchState.HELD),
        (second.id, BatchState.PUBLISHED),
    ]


async def test_schedules_that_ended_are_counted(store: Store) -> None:
    await versions(store, 1)
    await scheduled(store, -3, publish=PublishPolicy.ON_APPROVAL)
    await scheduled(store, -2, expected_version=1)
    await publish_due(store)
    await scheduled(store, -1, publish=PublishPolicy.ON_APPROVAL)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    await publish_due(store)
    assert dict(store.metrics.schedules_held) == {("retail", "approval"): 2, ("retail", "pin"): 1}
    assert sum(store.metrics.lateness.counts) == 1
    assert store.metrics.lateness.seconds >= 120
    assert store.metrics.batches["retail", BatchMode.REPLACE, BatchState.PUBLISHED] == 2


async def test_a_batch_that_cannot_be_read_is_held_for_review(store: Store) -> None:
    await versions(store, 1)
    broken = await scheduled(store, -2, publish=PublishPolicy.ON_APPROVAL)
    later = await scheduled(store, -1)
    assert broken.layer is not None
    await break_a_block(store, broken.layer.id)
    forget_blocks(store)
    with pytest.raises(Corrupt) as corrupt:
        await publish_due(store)
    await store.due_publisher.hold_unreadable(broken.id, corrupt.value)
    waiting = await store.batches.get(broken.id)
    assert (waiting.state, waiting.publish_at, holds(waiting)) == (BatchState.HELD, None, ["schedule"])
    assert waiting.findings[0].message == f"It cannot be published: {corrupt.value.message}"
    assert [batch.id for batch in await publish_due(store)] == [later.id]
    assert store.metrics.schedules_held["retail", "unreadable"] == 1
    await store.due_publisher.hold_unreadable(broken.id, corrupt.value)
    assert await store.batches.get(broken.id) == waiting


async def test_an_unexpected_error_is_not_shown_to_readers_of_the_batch(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    await store.due_publisher.hold_unreadable(batch.id, ValueError("mongodb://user:secret@host"))
    waiting = await store.batches.get(batch.id)
    event = await newest_event(store)
    for message in (waiting.findings[0].message, event.reason or ""):
        assert "the server" in message
        assert "secret" not in message
        assert "ValueError" not in message


async def test_a_damaged_record_does_not_block_the_others(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    await versions(store, 1)
    damaged = await scheduled(store, -2)
    later = await scheduled(store, -1)
    await store.db["batches"].update_one({"_id": damaged.id}, {"$set": {"mode": "UPSIDE_DOWN"}})
    assert [batch.id for batch in await publish_due(store)] == [later.id]
    assert damaged.id in caplog.text


@pytest.mark.usefixtures("short_transactions")
@pytest.mark.parametrize(
    "point",
    [
        "SnapshotRepository.mark_published:1:before",
        "PriceListRepository.move:1:after",
        "EventRepository.append:1:after",
        "BatchRepository.advance:1:after",
    ],
)
async def test_a_process_that_dies_while_it_publishes_leaves_it_to_another(
    store: Store, mongodb_uri: str, point: str
) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    await run_until_killed(publish_and_die.main, mongodb_uri, store.db.name, "retail", point)
    assert await current(store) == 1
    [published] = await publish_due(store)
    assert (published.id, published.version) == (batch.id, 2)


async def test_deleting_a_list_ends_its_schedules(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    deleted = await store.deleter.delete("retail", by="ops", reason="gone", force=True)
    assert deleted.next_change_at is None
    with pytest.raises(PriceListNotFound):
        await publish_due(store)
    await store.deleter.purge("retail")
    await create(store)
    assert await next_change(store) is None
    assert await publish_due(store) == []
    assert await store.batches.find(batch.id) is None
