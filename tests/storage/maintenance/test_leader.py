"""One process leads the maintenance of a database; another takes over when it stops, dies or loses its lease."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from storage import Store
from storage.maintenance import leader
from storage.maintenance.compaction import MAX_LAYERS, Compactor, Fold
from storage.maintenance.delay_queue import DelayQueue
from storage.maintenance.expiration import ExpirationResult, SnapshotExpirer
from storage.maintenance.leader import LEADER_LOCK
from storage.mongodb import leases
from storage.mongodb.locks import Locks
from storage.mongodb.transaction import instant
from tests.storage.factories import grown, layers, snapshot
from tests.storage.maintaining import until_compacted, working
from tests.waiting import until

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a leader notice everything soon."""
    monkeypatch.setattr(leader, "LEADER_POLL_SECONDS", 0.05)
    monkeypatch.setattr(leader, "RETENTION_DELAY_SECONDS", 0.0)


def leads(*stores: Store) -> list[bool]:
    return [store.worker._leader._schedules is not None for store in stores]


async def until_one_leads(*stores: Store) -> None:
    async def one() -> bool:
        return sum(leads(*stores)) == 1

    await until(one, "led by one process")


# One leader


def test_a_dead_leader_is_replaced_within_15_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert leases.LEASE_SECONDS + leader.LEADER_POLL_SECONDS <= 15


async def test_one_process_leads_and_another_takes_over_when_it_stops(store: Store, other_store: Store) -> None:
    async with working(other_store):
        await until_one_leads(other_store)
        async with working(store):
            assert leads(store, other_store) == [False, True]
            await other_store.worker.stop()
            await until_one_leads(store)
            assert leads(store, other_store) == [True, False]


async def test_a_process_that_does_not_lead_does_not_try_to_take_the_lock(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, taken = asyncio.Event(), list[str]()
    original = Locks.is_held

    async def is_held(self: Locks, name: str) -> bool:
        held = await original(self, name)
        if self is store.locks:
            asked.set()
        return held

    async with working(other_store):
        await until_one_leads(other_store)
        monkeypatch.setattr(Locks, "is_held", is_held)
        monkeypatch.setattr(store.locks, "held", taken.append)
        async with working(store):
            for _ in range(3):
                asked.clear()
                await asked.wait()
            assert leads(store, other_store) == [False, True]
    assert taken == []


async def test_another_process_leads_after_the_leader_was_killed(mongodb_uri: str, store: Store) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.storage.maintenance.lead", mongodb_uri, store.db.name), cwd=ROOT
    )
    await until(lambda: store.locks.is_held(LEADER_LOCK), "led by the other process")
    await grown(store, "retail", MAX_LAYERS)
    await until_compacted(store)
    async with working(store):
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        assert leads(store) == [False], "its lease has not expired"
        await store.db["locks"].update_one({"_id": LEADER_LOCK}, [leases.release()])
        await grown(store, "other", MAX_LAYERS)
        await until_compacted(store, "other")
        assert leads(store) == [True]


async def test_a_lease_that_is_lost_ends_the_work_and_its_new_holder_leads(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grown(store, "retail", MAX_LAYERS)
    folding, ended = asyncio.Event(), asyncio.Event()
    original = Compactor.fold

    async def hanging(self: Compactor, fold: Fold) -> None:
        if self is not store.compactor:
            await original(self, fold)
            return
        folding.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(Compactor, "fold", hanging)
    async with working(store), asyncio.timeout(30):
        await folding.wait()
        await store.db["locks"].update_one({"_id": LEADER_LOCK}, [leases.release()])
        async with working(other_store):
            await until_one_leads(other_store)
            await ended.wait()
            await until_compacted(store)


async def test_a_fold_of_a_process_that_stops_leaves_no_layer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await grown(store, "retail", MAX_LAYERS)
    before, reached = await layers(store), asyncio.Event()

    async def hang(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(store.prover, "prove", hang)
        async with working(store):
            await reached.wait()
            assert len(await layers(store)) == len(before) + 1
    assert await layers(store) == before
    assert not await store.locks.is_held(LEADER_LOCK), "another process may lead at once"


async def test_the_leader_goes_on_when_it_cannot_read_its_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = asyncio.Event()

    async def fail(*_: Any) -> bool:
        failed.set()
        raise AutoReconnect

    monkeypatch.setattr(Locks, "has_token", fail)
    async with working(store):
        await failed.wait()
        await grown(store, "retail", MAX_LAYERS)
        await until_compacted(store)


async def test_a_leader_whose_work_fails_unexpectedly_begins_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await grown(store, "retail", MAX_LAYERS)
    original, calls = DelayQueue.take, 0

    async def take(self: DelayQueue, limit: int) -> list[str]:
        nonlocal calls
        calls += limit > 1  # that of compaction, which takes several lists
        if calls == 1 and limit > 1:
            raise ZeroDivisionError
        return await original(self, limit)

    monkeypatch.setattr(DelayQueue, "take", take)
    async with working(store):
        await until_compacted(store)
    assert "Could not lead the maintenance, and will retry: ExceptionGroup" in caplog.text
    assert "ZeroDivisionError" in caplog.text


# What it does


async def test_a_new_leader_checks_all_lists_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "LISTS_PER_PAGE", 2)
    names = [f"list-{number}" for number in range(3)]
    for name in names:
        await grown(store, name, MAX_LAYERS)
    async with working(store):
        for name in names:
            await until_compacted(store, name)


async def test_lists_are_checked_when_their_pointers_move(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expired: list[str] = []

    async def expire(_: Any, name: str, *, by: str) -> ExpirationResult:
        expired.append(name)
        return ExpirationResult(instant())

    async def find_nothing(*_: Any) -> list[tuple[str, int]]:
        return []

    monkeypatch.setattr(SnapshotExpirer, "expire", expire)
    monkeypatch.setattr(store.price_lists, "current_versions", find_nothing)  # so that only moves are followed
    async with working(store):
        await until_one_leads(store)
        await grown(store, "retail", MAX_LAYERS)
        await until_compacted(store)
        assert set(expired) == {"retail"}


async def test_the_leader_follows_pointers_while_the_stream_is_down(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise AutoReconnect

    monkeypatch.setattr(store.watcher, "_open", fail)
    polling = asyncio.create_task(store.watcher._run())
    store.worker.start()
    try:
        await until_one_leads(store)
        await grown(store, "retail", MAX_LAYERS)
        await until_compacted(store)
        assert not store.watcher.alive
    finally:
        polling.cancel()
        await store.worker.stop()


async def test_a_list_of_a_later_release_is_left_alone(store: Store) -> None:
    for name in ("bad", "retail"):
        await grown(store, name, MAX_LAYERS)
    await store.db["price_lists"].update_one({"_id": "bad"}, {"$set": {"format": 99}})
    async with working(store):
        await until_compacted(store)
    assert len((await snapshot(store, MAX_LAYERS + 1, "bad")).layers) == MAX_LAYERS + 1
