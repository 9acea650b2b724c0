"""The records of batches, and their lease: only its holder can write, and only to a state that may follow."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from storage import Batch, BatchState, Store
from storage.batches.batch import Refusal
from storage.batches.states import FOLLOWS, IN_PROGRESS
from storage.errors import BatchNotFound, LeaseLost
from storage.mongodb.connection import Document
from tests.storage import factories
from tests.storage.factories import create, expire_leases, order, row, submit, versions


async def opened(store: Store, key: str = "monday") -> Batch:
    """A batch whose lease this process holds."""
    batch, made = await store.batches.open(order(key=key), "fingerprint", 7, None)
    assert made
    return batch


async def document(store: Store, batch: Batch) -> Document:
    found = await store.db["batches"].find_one({"_id": batch.id})
    assert found is not None
    return found


@pytest.fixture
async def stalled(store: Store) -> Batch:
    """A batch in SEALING as a stalled process remembers it, after another process took its lease."""
    await versions(store, 1)
    batch = await factories.left_sealing(store, [row("a", "2")], "monday")
    assert await store.batches.take_over(batch.id) is not None
    return batch


# The lease


async def test_a_new_batch_is_leased_by_its_creator(store: Store) -> None:
    batch = await opened(store)
    assert (batch.state, batch.expected, batch.received, batch.token) == (BatchState.OPEN, 7, 0, 1)
    assert await store.batches.take_over(batch.id) is None


async def test_a_batch_with_an_expired_lease_is_taken_over_once_with_a_new_token(store: Store) -> None:
    batch = await opened(store)
    await expire_leases(store)
    taken = await store.batches.take_over(batch.id)
    assert taken is not None
    assert taken.token == batch.token + 1
    assert await store.batches.take_over(batch.id) is None


async def test_a_released_lease_can_be_taken_at_once(store: Store) -> None:
    batch = await opened(store)
    await store.batches.release(batch)
    assert await store.batches.take_over(batch.id) is not None


async def test_renewing_keeps_the_lease_and_stores_the_progress(store: Store) -> None:
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


async def test_a_worker_that_lost_its_lease_changes_nothing(store: Store, stalled: Batch) -> None:
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


async def test_two_workers_with_the_same_batch_publish_it_once(store: Store) -> None:
    await versions(store, 1)
    batch = await factories.left_sealing(store, [row("a", "2")], "monday")
    await store.lifecycle.finish(batch)
    with pytest.raises(LeaseLost):
        await store.lifecycle.finish(batch)
    assert await store.snapshots.count("retail") == 2


# States


def test_only_final_states_have_no_followers() -> None:
    assert FOLLOWS.keys() == set(BatchState)
    final = {state for state, followers in FOLLOWS.items() if not followers}
    assert final == {BatchState.PUBLISHED, BatchState.REJECTED, BatchState.ABORTED, BatchState.FAILED}
    assert {BatchState.OPEN, BatchState.SEALING} == IN_PROGRESS


async def test_a_state_that_may_not_follow_is_refused(store: Store) -> None:
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


async def test_batches_are_listed_newest_first_by_list_and_state(store: Store) -> None:
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
