"""Locks: held by one process at a time, and free again after the lease of a silent holder has expired."""

import asyncio
import datetime
from contextlib import suppress
from typing import Any

import pytest
from pymongo.asynchronous.collection import AsyncCollection

from storage import Store
from storage.mongodb import leases
from storage.mongodb.connection import Document
from storage.mongodb.locks import Locks
from storage.mongodb.transaction import in_transaction


async def expire(store: Store) -> None:
    """Expire all locks, as if their holders were silent."""
    long_ago = datetime.datetime.fromtimestamp(0, datetime.UTC)
    await store.db["locks"].update_many({}, {"$set": {"lease.until": long_ago}})


async def test_a_lock_has_one_holder_at_a_time(store: Store) -> None:
    other = Locks(store.db)
    async with store.locks.held("work") as first, other.held("work") as second:
        assert (first, second) == (1, None)
    async with other.held("work") as second:
        assert second == 2, "each holder has a token of its own"


async def test_one_of_several_concurrent_attempts_acquires_a_new_lock(store: Store) -> None:
    all_tried = asyncio.Barrier(8)

    async def take() -> bool:
        async with store.locks.held("work") as held:
            await all_tried.wait()
            return held is not None

    assert sum(await asyncio.gather(*(take() for _ in range(8)))) == 1


async def test_a_new_lock_is_acquired_although_expired_ones_are_removed_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, created = AsyncCollection.update_one, list[str]()

    async def create_and_remove(
        collection: AsyncCollection[Document], query: Document, *given: Any, **more: Any
    ) -> Any:
        result = await create(collection, query, *given, **more)
        if more.get("upsert"):
            created.append(query["_id"])
            if len(created) == 1:
                await store.locks.remove_expired_with_prefix("layer/")
        return result

    monkeypatch.setattr(AsyncCollection, "update_one", create_and_remove)
    async with store.locks.held("layer/new") as token:
        assert token == 1
    assert created == ["layer/new"] * 2


async def test_locks_of_different_names_do_not_block_each_other(store: Store) -> None:
    async with store.locks.held("one") as one, store.locks.held("other") as other:
        assert one
        assert other


async def test_a_lock_with_an_expired_lease_can_be_acquired(store: Store) -> None:
    async with store.locks.held("work"):
        await expire(store)
        async with Locks(store.db).held("work") as held:
            assert held


async def test_a_lock_is_confirmed_in_a_transaction_unless_it_was_lost(store: Store) -> None:
    async def confirm(token: int) -> bool:
        return await in_transaction(store.client, lambda session: store.locks.confirm("work/1", token, session))

    async with store.locks.held("work/1") as token:
        assert token
        assert [await confirm(token), await confirm(token + 1)] == [True, False]
        await expire(store)
        assert await confirm(token), "it has expired, but was not removed"
        assert await store.locks.names("work/") == {"work/1"}
        await expire(store)
        await store.locks.remove_expired_with_prefix("work/")
        assert not await confirm(token)


async def test_only_expired_locks_with_the_prefix_are_removed(store: Store) -> None:
    async with store.locks.held("work/1"), store.locks.held("other/1"):
        await expire(store)
        async with store.locks.held("work/2"):
            await store.locks.remove_expired_with_prefix("work/")
            assert await store.locks.names("work/") == {"work/2"}
            assert await store.locks.names("work") == {"work/2"}
            assert {each["_id"] async for each in store.db["locks"].find()} == {"work/2", "other/1"}


async def test_a_lock_is_removed_by_its_name_alone_and_only_if_it_is_expired(store: Store) -> None:
    async with store.locks.held("work"), store.locks.held("work-2"):
        await store.locks.remove_if_expired("work")
        assert await store.locks.names("work") == {"work", "work-2"}
        await expire(store)
        await store.locks.remove_if_expired("work")
        assert {each["_id"] async for each in store.db["locks"].find()} == {"work-2"}


async def test_a_renewal_that_loses_its_cancellation_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_INTERVAL_SECONDS", 0)
    sending = asyncio.Event()

    async def swallow(*_: object, **__: object) -> None:
        sending.set()
        with suppress(asyncio.CancelledError):  # as the driver does if the cancellation arrives while it sends
            await asyncio.sleep(60)

    before = asyncio.all_tasks()
    async with store.locks.held("work"):
        with monkeypatch.context() as patched:
            patched.setattr(type(store.db["locks"]), "update_one", swallow)
            await sending.wait()
            [renewing] = asyncio.all_tasks() - before
            renewing.cancel()
            async with asyncio.timeout(20):
                await asyncio.wait([renewing])
