"""A scheduled batch is checked and sealed at once, and held until it is due; the list tells when it changes next."""

import datetime
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from unittest.mock import patch

import pytest

from storage import Batch, BatchMode, BatchState, Due, EventKind, Gates, PublishPolicy, Store
from storage.batches import admission
from storage.batches.publish_time import InvalidPublishAt
from storage.catalog.gates import Severity
from storage.errors import IdempotencyKeyReused
from storage.mongodb.connection import FORMAT, Document
from storage.mongodb.server_time import server_time
from tests.storage.factories import create, current, order, row, source, submit, versions


async def ahead(store: Store, hours: float) -> datetime.datetime:
    """An instant some hours ahead, by the time of the database."""
    return await server_time(store.client) + timedelta(hours=hours)


async def scheduled(store: Store, hours: float, price_list: str = "retail", amount: str = "9") -> Batch:
    batch = await submit(store, [row("a", amount)], price_list, publish_at=await ahead(store, hours))
    assert batch.is_scheduled, batch
    return batch


async def next_change(store: Store, price_list: str = "retail") -> datetime.datetime | None:
    return (await store.price_lists.get(price_list)).next_change_at


def gates_of(batch: Batch) -> list[tuple[str, Severity]]:
    return [(finding.gate, finding.severity) for finding in batch.findings]


def ids(batches: Sequence[Batch]) -> list[str]:
    return [batch.id for batch in batches]


async def test_a_scheduled_batch_is_sealed_and_held_with_a_finding_and_an_event(store: Store) -> None:
    await versions(store, 1)
    at = await ahead(store, 1)
    batch = await submit(store, [row("a", "9")], publish_at=at)
    assert (batch.state, batch.publish_at, batch.version, batch.held_by_pin) == (BatchState.HELD, at, 2, False)
    assert gates_of(batch) == [("schedule", Severity.HOLD)]
    assert at.isoformat(timespec="milliseconds").replace("+00:00", "Z") in batch.findings[0].message
    [event] = await store.events.newest("retail", 1)
    assert (event.kind, event.batch, event.version, event.moved) == (EventKind.HELD, batch.id, 2, False)
    assert event.reason is not None
    assert event.reason.startswith("It is scheduled for ")
    assert await current(store) == 1


async def test_a_batch_in_parts_is_scheduled_when_it_is_committed(store: Store) -> None:
    await versions(store, 1)
    at = await ahead(store, 1)
    opened = await store.multipart.open(order(publish_at=at))
    await store.multipart.append(opened.id, 0, await source([row("a", "9")]), ())
    assert await next_change(store) is None
    committed, _ = await store.multipart.commit(opened.id, 1, 1)
    assert (await store.lifecycle.finish(committed)).is_scheduled
    assert await next_change(store) == at


async def test_the_next_change_of_a_list_is_that_of_its_earliest_scheduled_batch(store: Store) -> None:
    await versions(store, 1)
    assert await next_change(store) is None
    later = await scheduled(store, 2)
    assert await next_change(store) == later.publish_at
    sooner = await scheduled(store, 1)
    await scheduled(store, 3)
    assert await next_change(store) == sooner.publish_at
    await store.lifecycle.reject(sooner.id, by="ops", reason="wrong")
    assert await next_change(store) == later.publish_at


async def test_a_batch_that_is_published_meanwhile_leaves_the_next_change(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    await submit(store, [row("b")])
    assert await next_change(store) == batch.publish_at


async def test_approval_publishes_a_scheduled_batch_now(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    later = await scheduled(store, 2)
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="sooner")
    assert approved.state is BatchState.PUBLISHED
    assert await current(store) == approved.version
    assert await next_change(store) == later.publish_at
    await store.lifecycle.approve(later.id, by="ops", reason="sooner")
    assert await next_change(store) is None


async def test_what_would_fail_later_is_found_now(store: Store) -> None:
    await store.price_list_editor.create("retail", None, Gates(allowed_currencies=("EUR",)), "ops")
    batch = await submit(store, [row("a", currency="USD")], publish_at=await ahead(store, 1))
    assert batch.state is BatchState.REJECTED
    assert await next_change(store) is None


async def test_a_dry_run_of_a_scheduled_batch_checks_everything(store: Store) -> None:
    await create(store)
    batch = await submit(store, [row("a")], publish=PublishPolicy.DRY_RUN, publish_at=await ahead(store, 1))
    assert batch.state is BatchState.ABORTED
    assert gates_of(batch) == [("schedule", Severity.HOLD)]
    assert await next_change(store) is None


@pytest.mark.parametrize(("hours", "message"), [(-1, "already"), (0, "already"), (366 * 24 + 1, "366 days ahead")])
async def test_an_instant_in_the_past_or_too_far_ahead_is_refused(store: Store, hours: float, message: str) -> None:
    await create(store)
    with pytest.raises(InvalidPublishAt, match=message) as refused:
        await submit(store, [row("a")], publish_at=await ahead(store, hours))
    assert (refused.value.code, refused.value.path) == ("INVALID_PUBLISH_AT", ("input", "publishAt"))
    with pytest.raises(InvalidPublishAt, match=message):
        await store.multipart.open(order(publish_at=await ahead(store, hours)))
    assert await store.batches.count() == 0


@pytest.mark.parametrize(
    "publish_at",
    [
        datetime.datetime(2026, 11, 28),
        datetime.datetime.max.replace(tzinfo=datetime.timezone(timedelta(hours=-1))),
        datetime.datetime.min.replace(tzinfo=datetime.timezone(timedelta(hours=1))),
    ],
)
async def test_a_time_that_is_no_instant_is_refused(store: Store, publish_at: datetime.datetime) -> None:
    await create(store)
    with pytest.raises(InvalidPublishAt):
        await submit(store, [row("a")], publish_at=publish_at)


async def test_the_instant_is_part_of_what_the_key_stands_for(store: Store) -> None:
    await versions(store, 1)
    at = await ahead(store, 1)
    first = await submit(store, [row("a", "9")], key="sale", publish_at=at)
    elsewhere = at.astimezone(datetime.timezone(timedelta(hours=5, minutes=30)))
    assert await submit(store, [row("a", "9")], key="sale", publish_at=elsewhere) == first
    for other in (None, at + timedelta(seconds=1)):
        with pytest.raises(IdempotencyKeyReused):
            await submit(store, [row("a", "9")], key="sale", publish_at=other)


async def test_the_same_key_returns_the_batch_after_its_instant_has_passed(store: Store) -> None:
    await versions(store, 1)
    at = await ahead(store, -1)
    with patch.object(admission, "server_time", return_value=at - timedelta(hours=1)):
        first = await submit(store, [row("a", "9")], key="sale", publish_at=at)
    assert await submit(store, [row("a", "9")], key="sale", publish_at=at) == first


async def test_unpin_with_publish_latest_leaves_scheduled_batches_alone(store: Store) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    before = await scheduled(store, 1)
    assert gates_of(before) == [("schedule", Severity.HOLD), ("pin", Severity.HOLD)]
    waiting = await submit(store, [row("b")])
    await store.lifecycle.publish_latest("retail", by="ops", reason="done")
    await store.lifecycle.end_superseded("retail")
    assert (await store.batches.get(waiting.id)).state is BatchState.PUBLISHED
    assert (await store.batches.get(before.id)).is_scheduled
    assert await next_change(store) == before.publish_at


async def test_upcoming_batches_come_in_the_order_in_which_they_are_published(store: Store) -> None:
    await versions(store, 1)
    await versions(store, 1, "other")
    at = await ahead(store, 2)
    second = await submit(store, [row("a", "1")], publish_at=at)
    third = await submit(store, [row("a", "2")], publish_at=at)
    first = await scheduled(store, 1)
    elsewhere = await scheduled(store, 1.5, "other")
    assert ids(await store.batches.upcoming("retail", 10)) == [first.id, second.id, third.id]
    assert ids(await store.batches.upcoming("retail", 1, Due(at, None, second.id))) == [third.id]
    assert ids(await store.batches.upcoming("retail", 10, Due(at, None, third.id))) == []
    assert await store.batches.count_upcoming("retail") == 3
    assert ids(await store.batches.due_before(at, 10)) == [first.id, elsewhere.id]
    assert ids(await store.batches.due_before(at + timedelta(seconds=1), 3)) == [first.id, elsewhere.id, second.id]


async def test_the_next_batch_is_a_sound_one_but_may_be_of_a_later_release(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await versions(store, 1)
    damaged, newer = await scheduled(store, 1), await scheduled(store, 2)
    await store.db["batches"].update_one({"_id": damaged.id}, {"$set": {"mode": 7}})
    await store.db["batches"].update_one({"_id": newer.id}, {"$set": {"format": FORMAT + 1}})
    await scheduled(store, 3)
    found = await store.batches.next_scheduled("retail")
    assert found is not None
    assert (found.batch, found.rows) == (newer.id, 1)
    assert found.due_in == pytest.approx(2 * 3600, abs=60)
    assert f"Batch {damaged.id} cannot be published" in caplog.text


async def test_the_queries_of_scheduled_batches_use_their_indexes(store: Store) -> None:
    await versions(store, 1)
    await scheduled(store, 1)

    async def stages(query: Document, index: str) -> str:
        order = {"release": 1, "_id": 1} if index == "list_scheduled" else {"_id": 1}
        command = {"explain": {"find": "batches", "filter": query, "sort": {"publishAt": 1, **order}}}
        plan = await store.db.command(command)
        return str(plan["queryPlanner"]["winningPlan"])

    by_type: Document = {"state": "HELD", "publishAt": {"$type": "date"}}
    due = {"$expr": {"$lte": ["$publishAt", "$$NOW"]}}
    for query, index in (
        ({"list": "retail", **by_type}, "list_scheduled"),
        ({"list": "retail", **by_type, **due}, "list_scheduled"),
        ({"list": "retail", **by_type, "_id": {"$nin": ["damaged"]}}, "list_scheduled"),
        ({**by_type, **due}, "due"),
        ({**by_type, "$and": [{"publishAt": {"$lt": datetime.datetime.now(UTC)}}]}, "due"),
    ):
        plan = await stages(query, index)
        assert f"'indexName': '{index}'" in plan, plan
        assert "'stage': 'SORT'" not in plan, plan


async def test_a_merge_can_be_scheduled(store: Store) -> None:
    await versions(store, 1)
    merging = replace(order(publish_at=await ahead(store, 1)), mode=BatchMode.MERGE)
    assert (await store.submitter.submit(merging, await source([row("b")]))).is_scheduled
