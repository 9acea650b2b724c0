"""Locks: one process at a time, and another one after the lease of one that went silent is over."""

import asyncio
import datetime

from storage import Store
from storage.mongodb.locks import Locks
from tests.storage.factories import create, order, row, snapshot, source
from tests.waiting import until


async def test_one_holds_it_at_a_time(store: Store) -> None:
    other = Locks(store.db)
    async with store.locks.held("work") as mine, other.held("work") as others:
        assert (mine, others) == (True, False)
    async with other.held("work") as others:
        assert others


async def test_of_many_that_want_a_new_one_at_once_one_has_it(store: Store) -> None:
    all_tried = asyncio.Barrier(8)

    async def take() -> bool:
        async with store.locks.held("work") as mine:
            await all_tried.wait()
            return mine

    assert sum(await asyncio.gather(*(take() for _ in range(8)))) == 1


async def test_others_are_not_kept_waiting_by_it(store: Store) -> None:
    async with store.locks.held("one") as one, store.locks.held("other") as other:
        assert (one, other) == (True, True)


async def test_one_whose_holder_went_silent_is_free_again(store: Store) -> None:
    async with store.locks.held("work"):
        over = datetime.datetime.fromtimestamp(0, datetime.UTC)
        await store.db["locks"].update_one({"_id": "work"}, {"$set": {"lease.until": over}})
        async with Locks(store.db).held("work") as others:
            assert others


async def test_the_worker_compacts_under_one(store: Store) -> None:
    await create(store)
    for amount in range(10):
        asked = order()
        merging = type(asked)(asked.price_list, "MERGE", asked.key, asked.by)  # type: ignore[arg-type]
        await store.submitter.submit(merging, await source([row(f"{amount}")]))
    store.worker.start()

    async def folded() -> bool:
        return len((await snapshot(store, 10)).layers) == 1

    try:
        await until(folded, "folded")
    finally:
        await store.worker.stop()
