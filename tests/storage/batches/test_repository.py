"""The records of batches, and the lease: only who holds it can write, and only what may follow."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from storage import Batch, BatchState, Store
from storage.batches.repository import Refusal
from storage.batches.states import FOLLOWS, IN_PROGRESS
from storage.errors import BatchNotFound, LeaseLost
from storage.mongodb.connection import Document
from tests.storage import factories
from tests.storage.factories import create, expire_leases, order, row, submit, versions


async def opened(store: Store, key: str = "monday") -> Batch:
    """A batch whose lease this process holds."""
    batch, made = await store.batches.open(order(key=key), "fingerprint", 7)
    assert made
    return batch


async def document(store: Store, batch: Batch) -> Document:
    found = await store.db["batches"].find_one({"_id": batch.id})
    assert found is not None
    return found


@pytest.fixture
async def stalled(store: Store) -> Batch:
    """A sealed batch as its process has it in memory, which stalled, and whose lease another took since."""
    await versions(store, 1)
    batch = await factories.left_sealing(store, [row("a", "2")], "monday")
    assert await store.batches.take_over(batch.id) is not None
    return batch


# The lease


async def test_a_new_batch_is_held_by_who_made_it(store: Store) -> None:
    batch = await opened(store)
    assert (batch.state, batch.expected, batch.received, batch.token) == (BatchState.OPEN, 7, 0, 1)
    assert await store.batches.take_over(batch.id) is None


async def test_a_batch_is_taken_over_when_its_lease_is_over_by_one_and_with_a_new_token(store: Store) -> None:
    batch = await opened(store)
    await expire_leases(store)
    taken = await store.batches.take_over(batch.id)
    assert taken is not None
    assert taken.token == batch.token + 1
    assert await store.batches.take_over(batch.id) is None


async def test_a_lease_that_was_let_go_is_taken_at_once(store: Store) -> None:
    batch = await opened(store)
    await store.batches.release(batch)
    assert await store.batches.take_over(batch.id) is not None


async def test_renewing_keeps_the_lease_and_notes_the_progress(store: Store) -> None:
    batch = await opened(store)
    await expire_leases(store)
    assert await store.batches.renew(batch, 7, 5)
    assert await store.batches.take_over(batch.id) is None
    found = await store.batches.get(batch.id)
    assert (found.received, found.stored) == (7, 5)


async def test_a_finished_batch_is_not_taken_over(store: Store) -> None:
    await create(store)
    batch = await submit(store, [row("a")])
    await expire_leases(store)
    assert await store.batches.take_over(batch.id) is None


async def test_a_worker_that_comes_back_after_its_lease_was_taken_changes_nothing(store: Store, stalled: Batch) -> None:
    before, pointer = await document(store, stalled), await store.price_lists.get("retail")
    with pytest.raises(LeaseLost):
        await store.lifecycle.finish(stalled)
    with pytest.raises(LeaseLost):
        await store.lifecycle.fail(stalled, Refusal("X", "x"))
    with pytest.raises(LeaseLost):
        await store.batches.advance(stalled, BatchState.FAILED)
    assert not await store.batches.renew(stalled, 9, 9)
    await store.batches.release(stalled)
    assert await document(store, stalled) == before
    assert await store.price_lists.get("retail") == pointer
    assert await store.snapshots.count("retail") == 1
    assert [event.revision for event in await store.events.newest("retail", 10)] == [2, 1]


async def test_two_who_think_that_they_hold_a_batch_publish_it_once(store: Store) -> None:
    await versions(store, 1)
    batch = await factories.left_sealing(store, [row("a", "2")], "monday")
    await store.lifecycle.finish(batch)
    with pytest.raises(LeaseLost):
        await store.lifecycle.finish(batch)
    assert await store.snapshots.count("retail") == 2


# States


def test_every_state_has_its_followers_and_the_final_ones_have_none() -> None:
    assert FOLLOWS.keys() == set(BatchState)
    final = {state for state, followers in FOLLOWS.items() if not followers}
    assert final == {BatchState.PUBLISHED, BatchState.REJECTED, BatchState.ABORTED, BatchState.FAILED}
    assert {BatchState.OPEN, BatchState.SEALING} == IN_PROGRESS


async def test_a_state_that_may_not_follow_is_a_mistake(store: Store) -> None:
    batch = await opened(store)
    before = await document(store, batch)
    for state, followers in FOLLOWS.items():
        for follower in set(BatchState) - followers:
            with pytest.raises(AssertionError, match=f"from {state} to {follower}"):
                await store.batches.advance(replace(batch, state=state), follower)
    assert await document(store, batch) == before


# Reading


async def test_a_batch_is_found_by_id_and_by_key(store: Store) -> None:
    batch = await opened(store)
    assert await store.batches.get(batch.id) == await store.batches.by_key("retail", "monday") == batch
    assert await store.batches.find("nope") is None
    assert await store.batches.by_key("retail", "nope") is None
    assert await store.batches.by_key("wholesale", "monday") is None
    with pytest.raises(BatchNotFound):
        await store.batches.get("nope")
    assert await store.batches.get_many(["nope", batch.id, batch.id]) == [None, batch, batch]


async def test_batches_are_listed_newest_first_and_by_what_they_are(store: Store) -> None:
    await versions(store, 2)
    await create(store, "wholesale")
    bad = await factories.failed(store)
    other = await submit(store, [row("a")], "wholesale")
    every = await store.batches.newest(10)
    assert [batch.id for batch in every[:2]] == [other.id, bad.id]
    assert all(newer.id > older.id for newer, older in pairwise(every))
    assert await store.batches.newest(10, before=bad.id) == every[2:]
    assert await store.batches.newest(10, price_list="retail") == every[1:]
    assert await store.batches.newest(10, state=BatchState.FAILED) == [bad]
    assert await store.batches.newest(1, price_list="retail", state=BatchState.PUBLISHED) == [every[2]]
    assert [
        await store.batches.count(),
        await store.batches.count(price_list="retail"),
        await store.batches.count(state=BatchState.PUBLISHED),
    ] == [4, 3, 3]
