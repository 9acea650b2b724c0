"""A batch is judged in the transaction that ends it: by the gates, the pin and the current version of that moment."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from storage import Batch, BatchState, Gates, PublishPolicy, Store
from storage.batches.assessment import LatestHeld
from storage.errors import Conflict, Pinned
from tests.storage.factories import amounts, create, current, held, published, rows, submit

Act = Callable[[Store], Awaitable[object]]


def set_gates(gates: Gates) -> Act:
    """Return the act that replaces the gates of the list."""

    async def act(store: Store) -> object:
        return await store.price_list_editor.update(
            "retail", "ops", lambda found: msgspec.structs.replace(found, gates=gates)
        )

    return act


async def pin(store: Store) -> object:
    return await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")


async def publish_another(store: Store) -> object:
    return await published(store, rows(10, "3.00"))


def hold_before_the_transaction(monkeypatch: pytest.MonkeyPatch, store: Store, other: Store, act: Act) -> None:
    """Let another process act once, after the batch was compared and before its transaction begins."""
    publish, acted = store.lifecycle._publish, list[Act]()

    async def held_up(batch: Batch, *arguments: Any) -> Batch:
        if not acted:
            acted.append(act)
            await act(other)
        return await publish(batch, *arguments)

    monkeypatch.setattr(store.lifecycle, "_publish", held_up)


def hold_within_the_transaction(monkeypatch: pytest.MonkeyPatch, store: Store, other: Store, act: Act) -> None:
    """Let another process act once, after the transaction read the pointer and before it writes."""
    find, acted = store.snapshots.current, list[Act]()

    async def held_up(name: str, version: int | None, session: Any = None) -> object:
        if session is not None and not acted:
            acted.append(act)
            await act(other)
        return await find(name, version, session)

    monkeypatch.setattr(store.snapshots, "current", held_up)


HOLDS = [hold_before_the_transaction, hold_within_the_transaction]
SHRINK = Gates(max_shrink_percent=Decimal(10))


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize(
    ("before", "act", "state", "finding"),
    [
        (Gates(), set_gates(SHRINK), BatchState.HELD, "maxShrinkPercent"),
        (Gates(), set_gates(Gates(min_size=6)), BatchState.REJECTED, "minSize"),
        (SHRINK, set_gates(Gates()), BatchState.PUBLISHED, None),
        (Gates(min_size=6), set_gates(SHRINK), BatchState.HELD, "maxShrinkPercent"),
        (Gates(), pin, BatchState.HELD, "pin"),
    ],
)
async def test_the_gates_and_the_pin_of_the_commit_decide(
    store: Store,
    other_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    hold: Callable[..., None],
    before: Gates,
    act: Act,
    state: BatchState,
    finding: str | None,
) -> None:
    await store.price_list_editor.create("retail", None, before, "ops")
    await published(store, rows(10))
    hold(monkeypatch, store, other_store, act)
    batch = await submit(store, rows(5, "2.00"))
    assert batch.state is state
    assert [each.gate for each in batch.findings] == ([finding] if finding else [])
    assert await current(store) == (2 if state is BatchState.PUBLISHED else 1)


@pytest.mark.parametrize("hold", HOLDS)
async def test_the_current_version_of_the_commit_is_compared_with_the_expected_one(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch, hold: Callable[..., None]
) -> None:
    await create(store)
    await published(store, rows(10))
    hold(monkeypatch, store, other_store, publish_another)
    batch = await submit(store, rows(5, "2.00"), expected_version=1)
    assert (batch.state, batch.refusal and batch.refusal.code) == (BatchState.REJECTED, "CONFLICT")
    assert (batch.base, await current(store)) == (2, 2)


# Held batches


@pytest.mark.parametrize(("act", "error"), [(pin, Pinned), (publish_another, Conflict)])
async def test_an_approval_obeys_the_pin_and_the_current_version_of_the_commit(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch, act: Act, error: type[Exception]
) -> None:
    await create(store)
    await published(store, rows(10))
    batch = await submit(store, rows(5), publish=PublishPolicy.ON_APPROVAL, expected_version=1)
    hold_within_the_transaction(monkeypatch, store, other_store, act)
    with pytest.raises(error):
        await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert (await store.batches.get(batch.id)).state is BatchState.HELD


async def test_an_approval_compares_with_the_current_version_of_the_commit(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await published(store, rows(10))
    batch = await submit(store, rows(5), publish=PublishPolicy.ON_APPROVAL)
    hold_within_the_transaction(monkeypatch, store, other_store, publish_another)
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert (approved.base, approved.summary and approved.summary.changed) == (3, 5)


@pytest.mark.parametrize("gates", [SHRINK, Gates(min_size=6)])
async def test_an_unpin_obeys_the_gates_of_the_commit(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch, gates: Gates
) -> None:
    await create(store)
    await published(store, rows(10))
    batch = await held(store, rows(5))
    hold_within_the_transaction(monkeypatch, store, other_store, set_gates(gates))
    with pytest.raises(LatestHeld):
        await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    assert (await store.batches.get(batch.id)).state is BatchState.HELD
    assert (await store.price_lists.get("retail")).pin is not None


async def test_an_unpin_with_gates_that_were_lifted_before_the_commit_publishes(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await published(store, rows(10))
    await held(store, rows(5))
    await set_gates(SHRINK)(store)
    hold_within_the_transaction(monkeypatch, store, other_store, set_gates(Gates()))
    await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    assert len(await amounts(store, 2)) == 5
