"""An unpin with `publishLatest` publishes the newest waiting batch; the others are superseded."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from pymongo.asynchronous.client_session import AsyncClientSession

from storage import Batch, BatchMode, BatchState, EventKind, Gates, PriceList, PublishPolicy, Store
from storage.batches.assessment import LatestHeld
from storage.catalog.snapshots import SnapshotState
from storage.errors import LeaseLost, NotPinned, Refused
from tests.storage.factories import (
    Crash,
    amounts,
    create,
    current,
    held,
    left_sealing,
    order,
    row,
    snapshot,
    source,
    submit,
    versions,
)


async def publish_latest(store: Store) -> PriceList:
    return await store.lifecycle.publish_latest("retail", by="ops", reason="the prices are right")


async def state(store: Store, batch: Batch) -> BatchState:
    return (await store.batches.get(batch.id)).state


async def merge(store: Store, *prices: dict[str, str]) -> Batch:
    return await store.submitter.submit(replace(order(), mode=BatchMode.MERGE), await source(prices))


async def test_the_newest_batch_is_published_and_the_others_are_superseded(store: Store) -> None:
    await versions(store, 1)
    first, second, third = [await held(store, [row("a", amount)]) for amount in ("2", "3", "4")]
    moved = await publish_latest(store)
    assert (moved.current_version, moved.pin, moved.superseded_before) == (4, None, 4)
    assert await amounts(store, 4) == {"a": "4"}
    await store.lifecycle.end_superseded("retail")
    assert (await store.price_lists.get("retail")).superseded_before is None
    assert [await state(store, batch) for batch in (first, second, third)] == [
        BatchState.REJECTED,
        BatchState.REJECTED,
        BatchState.PUBLISHED,
    ]
    refusal = (await store.batches.get(first.id)).refusal
    assert refusal is not None
    assert refusal.code == "SUPERSEDED"
    assert third.id in refusal.message
    assert [(await snapshot(store, version)).state for version in (2, 3, 4)] == [
        SnapshotState.RETIRED,
        SnapshotState.RETIRED,
        SnapshotState.PUBLISHED,
    ]


async def test_every_change_has_an_event(store: Store) -> None:
    await versions(store, 1)
    first, second = await held(store, [row("a", "2")]), await held(store, [row("a", "3")])
    moved = await publish_latest(store)
    await store.lifecycle.end_superseded("retail")
    events = await store.events.newest("retail", 3)
    assert [(event.kind, event.batch, event.by) for event in events] == [
        (EventKind.REJECTED, first.id, "pricebook"),
        (EventKind.PUBLISHED, second.id, "ops"),
        (EventKind.UNPINNED, None, "ops"),
    ]
    assert events[1].reason == events[2].reason == "the prices are right"
    assert (events[1].revision, events[1].from_version, events[1].to_version) == (moved.revision, 1, 3)
    assert (events[0].revision, events[0].from_version, events[0].to_version) == (moved.revision + 1, 3, 3)


async def test_without_a_waiting_batch_the_list_is_only_unpinned(store: Store) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    moved = await publish_latest(store)
    assert (moved.current_version, moved.pin) == (1, None)


async def test_a_batch_that_also_waits_for_an_approval_stays_held(store: Store) -> None:
    await versions(store, 1)
    waiting = await held(store, [row("a", "2")])
    reviewed = await submit(store, [row("a", "3")], publish=PublishPolicy.ON_APPROVAL)
    assert (await publish_latest(store)).current_version == 2
    assert [await state(store, batch) for batch in (waiting, reviewed)] == [BatchState.PUBLISHED, BatchState.HELD]
    assert (await store.lifecycle.approve(reviewed.id, by="ops", reason="x")).version == 4


async def test_a_merge_changes_the_version_that_was_rolled_back_to(store: Store) -> None:
    await versions(store, 2)
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="wrong prices")
    waiting = await merge(store, row("b", "7"))
    assert (waiting.state, waiting.base) == (BatchState.HELD, 1)
    await publish_latest(store)
    assert await amounts(store, 3) == {"a": "1", "b": "7"}


async def test_a_waiting_merge_is_rebased_onto_the_version_that_is_current(store: Store) -> None:
    await versions(store, 2)
    await store.pointer_moves.pin("retail", 2, by="ops", reason="audit")
    waiting = await merge(store, row("b", "7"))
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="wrong prices")
    moved = await publish_latest(store)
    assert moved.current_version == 4
    assert await amounts(store, 4) == {"a": "1", "b": "7"}
    assert (await store.batches.get(waiting.id)).version == 4
    assert (await snapshot(store, 3)).state is SnapshotState.RETIRED


async def test_a_finding_of_a_gate_leaves_everything_unchanged(store: Store) -> None:
    await create(store)
    await submit(store, [row("a")])
    await submit(store, [row(sku) for sku in "abcd"])
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    first, second = await submit(store, [row("a", "2")]), await submit(store, [row("a", "3")])
    gates = Gates(max_shrink_percent=Decimal(10))
    await store.price_list_editor.update("retail", "ops", lambda found: msgspec.structs.replace(found, gates=gates))
    await store.pointer_moves.rollback("retail", 2, by="ops", reason="x")
    before = await store.price_lists.get("retail")
    with pytest.raises(LatestHeld, match="shrink"):
        await publish_latest(store)
    assert await store.price_lists.get("retail") == before
    assert [await state(store, batch) for batch in (first, second)] == [BatchState.HELD] * 2


async def test_a_batch_that_expects_another_version_is_not_published(store: Store) -> None:
    await versions(store, 2)
    await store.pointer_moves.pin("retail", 2, by="ops", reason="x")
    await submit(store, [row("a", "3")], expected_version=2)
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    with pytest.raises(LatestHeld, match="Version 2"):
        await publish_latest(store)


async def test_a_list_that_is_not_pinned_is_refused_even_if_a_batch_waits(store: Store) -> None:
    await versions(store, 1)
    waiting = await held(store, [row("a", "2")])
    await store.pointer_moves.unpin("retail", by="ops", reason="x")
    with pytest.raises(NotPinned):
        await publish_latest(store)
    assert (await state(store, waiting), await current(store)) == (BatchState.HELD, 1)


async def test_a_failure_within_the_transaction_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await versions(store, 1)
    batches = [await held(store, [row("a", amount)]) for amount in ("2", "3")]
    before = await store.price_lists.get("retail")

    async def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(store.snapshots, "mark_published", crash)
        with pytest.raises(Crash):
            await publish_latest(store)
    assert await store.price_lists.get("retail") == before
    assert [await state(store, batch) for batch in batches] == [BatchState.HELD] * 2
    assert (await publish_latest(store)).current_version == 3


async def test_a_batch_that_is_held_during_the_transaction_is_the_newest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    first = await held(store, [row("a", "2")])
    late: list[Batch] = []
    waiting = store.batches.waiting

    async def hold_another(price_list: PriceList, limit: int, session: AsyncClientSession) -> list[Batch]:
        found = await waiting(price_list, limit, session=session)
        if not late:
            late.append(await submit(store, [row("a", "3")]))
        return found

    monkeypatch.setattr(store.batches, "waiting", hold_another)
    await publish_latest(store)
    await store.lifecycle.end_superseded("retail")
    assert await amounts(store, 3) == {"a": "3"}
    assert [await state(store, batch) for batch in (first, *late)] == [BatchState.REJECTED, BatchState.PUBLISHED]


async def test_of_concurrent_unpins_one_succeeds(store: Store) -> None:
    await versions(store, 1)
    batches = [await held(store, [row("a", amount)]) for amount in ("2", "3")]
    acts = [
        *(publish_latest(store) for _ in range(3)),
        store.lifecycle.approve(batches[0].id, by="ops", reason="x"),
        store.lifecycle.reject(batches[1].id, by="ops", reason="x"),
    ]
    outcomes = await asyncio.gather(*acts, return_exceptions=True)
    await store.lifecycle.end_superseded("retail")
    assert all(isinstance(each, (PriceList, Batch, Refused, LeaseLost)) for each in outcomes), outcomes
    assert sum(isinstance(each, PriceList) for each in outcomes) == 1
    found = await store.price_lists.get("retail")
    events = await store.events.newest("retail", 100)
    assert [event.revision for event in events] == list(range(found.revision, 0, -1))
    assert found.pin is None
    assert [await state(store, batch) for batch in batches].count(BatchState.HELD) == 0


async def test_a_batch_that_is_still_being_sealed_does_not_wait(store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    sealing = await left_sealing(store, [row("a", "3")], "sealing")
    await publish_latest(store)
    assert await current(store) == 2
    assert await state(store, sealing) is BatchState.SEALING
