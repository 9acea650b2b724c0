"""Garbage collection discards idle releases, and opens empty ones that were due."""

from storage import ReleaseState, Store
from tests.storage.factories import create
from tests.storage.releases.scheduled import add, filled, opened, schedule


async def state(store: Store, release_id: str) -> ReleaseState:
    return (await store.releases.get(release_id)).state


async def test_an_open_release_that_nobody_used_for_days_is_discarded(store: Store, other_store: Store) -> None:
    await create(store)
    release, used = await filled(store, ["retail"]), await opened(store)
    days_ago = {"$dateSubtract": {"startDate": "$$NOW", "unit": "day", "amount": 31}}
    await store.db["releases"].update_one({"_id": release.id}, [{"$set": {"touchedAt": days_ago}}])
    other_store.garbage_collector._release_idle_days = 32
    await other_store.garbage_collector.collect()
    assert await state(store, release.id) is ReleaseState.OPEN
    await store.garbage_collector.collect()
    assert [await state(store, each.id) for each in (release, used)] == [ReleaseState.DISCARDED, ReleaseState.OPEN]


async def test_a_release_that_is_due_without_batches_is_open_again(store: Store) -> None:
    await create(store)
    empty, waiting = await schedule(store, await opened(store), -1), await schedule(store, await opened(store), 60)
    await add(store, waiting, "retail")
    await store.garbage_collector.collect()
    assert await state(store, empty.id) is ReleaseState.OPEN
    assert (await store.releases.get(empty.id)).publish_at is None
    assert await state(store, waiting.id) is ReleaseState.SCHEDULED


async def test_the_lock_of_a_release_is_removed_once_nobody_holds_it(store: Store) -> None:
    async with store.locks.held("release/some"):
        await store.garbage_collector.collect()
        assert await store.locks.is_held("release/some")
    await store.garbage_collector.collect()
    assert await store.db["locks"].count_documents({"_id": {"$regex": "^release/"}}) == 0
