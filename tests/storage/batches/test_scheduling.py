"""A held batch is given another instant, and a scheduled one is approved for its instant."""

import asyncio
import datetime
from decimal import Decimal
from unittest.mock import patch

import pytest

from storage import BatchState, EventKind, Gates, PublishPolicy, Store
from storage.batches import scheduling
from storage.batches.publish_time import InvalidPublishAt
from storage.catalog.gates import Severity
from storage.errors import BatchNotFound, BatchNotHeld, Conflict, InvalidArgument
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
from tests.storage.factories import (
    create,
    held,
    row,
    rows,
    submit,
    versions,
)

pytestmark = pytest.mark.usefixtures("past_accepted")


# Approving and keeping the schedule


async def test_what_was_known_when_it_was_approved_does_not_hold_it(store: Store) -> None:
    await create(store)
    await submit(store, rows(4))
    await set_gates(store, Gates(max_shrink_percent=Decimal(10)))
    batch = await scheduled(store, -1, rows(2), publish=PublishPolicy.ON_APPROVAL)
    approved = await store.scheduling.approve(batch.id, by="ops", reason="as agreed")
    assert (approved.is_scheduled, approved.publish_at) == (True, batch.publish_at)
    assert (approved.findings[-1].gate, approved.findings[-1].severity) == ("approved", Severity.INFO)
    assert await next_change(store) == batch.publish_at
    event = await newest_event(store)
    assert (event.kind, event.by, event.reason, event.moved) == (EventKind.APPROVED, "ops", "as agreed", False)
    [published] = await publish_due(store)
    assert published.state is BatchState.PUBLISHED


async def test_what_was_not_known_when_it_was_approved_holds_it(store: Store) -> None:
    await create(store)
    await submit(store, rows(4))
    await set_gates(store, Gates(max_shrink_percent=Decimal(10)))
    batch = await scheduled(store, -1, rows(2))
    await store.scheduling.approve(batch.id, by="ops", reason="as agreed")
    await set_gates(store, Gates(max_shrink_percent=Decimal(10), min_size=3))
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    [waiting] = await publish_due(store)
    await assert_held_for_review(store, waiting, "minSize", "pin")
    assert waiting.approval is None


async def test_the_expected_version_holds_it_although_it_was_approved(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1, expected_version=1)
    await submit(store, [row("b")])
    await publish_due(store)
    await store.scheduling.reschedule(batch.id, await at(store, -1), by="ops", reason="again")
    assert "expectedVersion" in holds(await store.batches.get(batch.id))
    approved = await store.scheduling.approve(batch.id, by="ops", reason="as agreed")
    assert approved.approval is not None
    assert approved.approval.gates == ()
    [waiting] = await publish_due(store)
    await assert_held_for_review(store, waiting, "expectedVersion")


async def test_an_approval_outlives_another_instant_but_not_the_schedule(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1, publish=PublishPolicy.ON_APPROVAL)
    await store.scheduling.approve(batch.id, by="ops", reason="as agreed")
    moved = await store.scheduling.reschedule(batch.id, await at(store, 2), by="ops", reason="later")
    assert moved.approval is not None
    assert (await store.scheduling.reschedule(batch.id, None, by="ops", reason="off")).approval is None


async def test_only_a_scheduled_batch_is_approved_to_keep_its_schedule(store: Store) -> None:
    await versions(store, 1)
    waiting = await submit(store, [row("a", "9")], publish=PublishPolicy.ON_APPROVAL)
    with pytest.raises(InvalidArgument, match="no schedule to keep"):
        await store.scheduling.approve(waiting.id, by="ops", reason="x")
    batch = await scheduled(store, 1)
    with pytest.raises(Conflict):
        await store.scheduling.approve(batch.id, by="ops", reason="x", expected_version=7)


# Rescheduling


async def test_a_scheduled_batch_is_given_another_instant(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    other = await scheduled(store, 2)
    instant = await at(store, 3)
    moved = await store.scheduling.reschedule(batch.id, instant, by="ops", reason="the shop asked")
    assert (moved.state, moved.publish_at) == (BatchState.HELD, instant)
    assert holds(moved) == ["schedule"]
    event = await newest_event(store)
    expected = (EventKind.RESCHEDULED, "ops", "the shop asked", batch.id, False)
    assert (event.kind, event.by, event.reason, event.batch, event.moved) == expected
    assert await next_change(store) == other.publish_at
    assert await store.scheduling.reschedule(batch.id, instant, by="ops", reason="again") == moved
    assert await newest_event(store) == event
    await store.scheduling.reschedule(batch.id, await at(store, -1), by="ops", reason="now")
    assert [each.id for each in await publish_due(store)] == [batch.id]


async def test_without_a_schedule_it_waits_for_review(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    waiting = await store.scheduling.reschedule(batch.id, None, by="ops", reason="the sale is off")
    assert (waiting.state, waiting.publish_at, holds(waiting)) == (BatchState.HELD, None, [])
    assert "ops took its schedule away: the sale is off" in waiting.findings[-1].message
    assert await next_change(store) is None
    assert await publish_due(store) == []
    assert (await store.lifecycle.approve(batch.id, by="ops", reason="on again")).state is BatchState.PUBLISHED


async def test_a_held_batch_without_a_schedule_is_given_one(store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "9")])
    assert batch.held_by_pin
    instant = await at(store, -1)
    moved = await store.scheduling.reschedule(batch.id, instant, by="ops", reason="tonight")
    assert (moved.is_scheduled, moved.held_by_pin) == (True, False)
    assert await next_change(store) == instant
    await store.pointer_moves.unpin("retail", by="ops", reason="done")
    assert [each.state for each in await publish_due(store)] == [BatchState.PUBLISHED]


async def test_only_a_held_batch_is_rescheduled(store: Store) -> None:
    await versions(store, 1)
    published = await submit(store, [row("b")])
    with pytest.raises(BatchNotHeld) as refused:
        await store.scheduling.reschedule(published.id, await at(store, 1), by="ops", reason="later")
    assert refused.value.code == "BATCH_NOT_HELD"
    with pytest.raises(BatchNotFound):
        await store.scheduling.reschedule("none", await at(store, 1), by="ops", reason="later")
    batch = await scheduled(store, 1)
    with pytest.raises(InvalidArgument):
        await store.scheduling.reschedule(batch.id, None, by="ops", reason=" ")


async def test_a_batch_is_not_rescheduled_to_an_instant_that_is_invalid(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    patch.stopall()
    with (
        patch.object(scheduling, "check_publish_at", side_effect=InvalidPublishAt("no")) as checked,
        pytest.raises(InvalidPublishAt),
    ):
        await store.scheduling.reschedule(batch.id, await at(store, 2), by="ops", reason="later")
    checked.assert_called_once()
    with pytest.raises(InvalidPublishAt, match="no offset"):
        await store.scheduling.reschedule(batch.id, datetime.datetime(2030, 1, 1), by="ops", reason="x")
    assert await store.batches.get(batch.id) == batch


async def test_a_reschedule_and_a_publish_at_the_same_moment_exclude_each_other(
    store: Store, other_store: Store
) -> None:
    await versions(store, 1)
    for _ in range(5):
        batch = await scheduled(store, -1)
        later = await at(store, 10)
        published, moved = await asyncio.gather(
            publish_due(other_store),
            store.scheduling.reschedule(batch.id, later, by="ops", reason="later"),
            return_exceptions=True,
        )
        found = await store.batches.get(batch.id)
        if found.state is BatchState.PUBLISHED:
            assert isinstance(moved, BatchNotHeld)
        else:
            assert (published, found.publish_at) == ([], later)
            await store.lifecycle.reject(batch.id, by="ops", reason="next")
