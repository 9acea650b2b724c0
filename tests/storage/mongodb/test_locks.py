"""Locks: held by one process at a time, and free again after the lease of a silent holder has expired."""

import asyncio
import datetime
from dataclasses import replace

from storage import BatchMode, Store
from storage.mongodb.locks import Locks
from tests.storage.factories import create, order, row, snapshot, source
from tests.waiting import until


async def test_a_lock_has_one_holder_at_a_time(store: Store) -> None:
    other = Locks(store.db)
    async with store.locks.held("work") as first, other.held("work") as second:
        assert (first, second) == (True, False)
    async with other.held("work") as second:
        assert second


async def test_one_of_several_concurrent_attempts_acquires_a_new_lock(store: Store) -> None:
    all_tried = asyncio.Barrier(8)

    async def take() -> bool:
        async with store.locks.held("work") as held:
            await all_tried.wait()
            return held

    assert sum(await asyncio.gather(*(take() for _ in range(8)))) == 1


async def test_locks_of_different_names_do_not_block_each_other(store: Store) -> None:
    async with store.locks.held("one") as one, store.locks.held("other") as other:
        assert (one, other) == (True, True)


async def test_a_lock_with_an_expired_lease_can_be_acquired(store: Store) -> None:
    async with store.locks.held("work"):
        expired = datetime.datetime.fromtimestamp(0, datetime.UTC)
        await store.db["locks"].update_one({"_id": "work"}, {"$set": {"lease.until": expired}})
        async with Locks(store.db).held("work") as held:
            assert held


async def test_the_worker_compacts_under_a_lock(store: Store) -> None:
    await create(store)
    for amount in range(10):
        merge = replace(order(), mode=BatchMode.MERGE)
        await store.submitter.submit(merge, await source([row(f"{amount}")]))
    store.worker.start()

    async def compacted() -> bool:
        return len((await snapshot(store, 10)).layers) == 1

    try:
        await until(compacted, "compacted")
    finally:
        await store.worker.stop()
