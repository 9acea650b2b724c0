"""Members die and primaries change: acknowledged changes survive, and batches are finished."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect

from storage import Batch, BatchState, EventKind, Store, Unavailable, explain
from storage.batches import runs
from storage.layers import durable_inserts
from storage.mongodb.connection import Document
from tests.stack.replica_set import BreakableReplicaSet, Member
from tests.storage.catalog.recording_watcher import PointerRecorder, watching
from tests.storage.factories import (
    amounts,
    current,
    expire_leases,
    prove,
    published,
    row,
    rows,
    snapshot,
    submit,
    versions,
)
from tests.waiting import until

ROWS = rows(30_000, "2.00")


@pytest.fixture
async def store(own_replica_set: BreakableReplicaSet) -> AsyncIterator[Store]:
    """A store on a replica set whose members a test may kill, with one version of the list `retail`."""
    store = await Store.open(own_replica_set.uri, "faults")
    await versions(store, 1)
    yield store
    await until(lambda: is_dropped(store), "dropped")
    await store.close()


async def is_dropped(store: Store) -> bool:
    """Drop the databases. Returns False while a member that was restarted interrupts it."""
    with suppress(AutoReconnect):
        await store.client.drop_database("faults")
        await store.client.drop_database("faults_layers")
        return True
    return False


@contextmanager
def at_call(owner: object, method: str, number: int, act: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Run `act` right after the given call of an asynchronous method, counted from 1."""
    original = getattr(owner, method)
    calls = 0

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        this_call = calls
        result = await original(*args, **kwargs)
        if this_call == number:
            await act()
        return result

    with patch.object(owner, method, wrapped):
        yield
    assert calls >= number, f"{method} was called {calls} times"


class PrimaryLoss:
    """Kills the primary when the test calls `kill`."""

    def __init__(self, replica_set: BreakableReplicaSet) -> None:
        self._replica_set = replica_set
        self.member: Member | None = None

    async def kill(self) -> None:
        self.member = self._replica_set.primary()
        await asyncio.to_thread(self._replica_set.kill, self.member, signal.SIGKILL)


@contextmanager
def primary_loss(replica_set: BreakableReplicaSet) -> Iterator[PrimaryLoss]:
    """Restart the primary at the end, if the test killed it."""
    loss = PrimaryLoss(replica_set)
    yield loss
    if loss.member:
        replica_set.restart(loss.member)


def client_of(member: Member) -> AsyncMongoClient[Document]:
    """A client of one member, whatever its role."""
    return AsyncMongoClient("127.0.0.1", member.port, directConnection=True)


async def submit_with_retries(store: Store, key: str) -> Batch:
    """Send the batch again while the database is unavailable, as an integrator would."""
    while True:
        try:
            return await submit(store, ROWS, key=key)
        except Exception as error:
            if not isinstance(explain(error), Unavailable):
                raise
            await until(lambda: is_available(store), "available")
            await expire_leases(store)


async def is_available(store: Store) -> bool:
    try:
        await store.ping()
    except Exception as error:
        if not isinstance(explain(error), Unavailable):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("run_rows", "owner", "method", "number"),
    [
        (runs.MAX_RUN_ROWS, "layer_writer", "create", 1),
        (runs.MAX_RUN_ROWS, "layer_writer", "freeze", 1),
        (runs.MAX_RUN_ROWS, "batches", "advance", 1),
        (2000, "staging", "write", 5),
        (2000, "layer_writer", "create", 1),
        (2000, "prover", "prove", 1),
    ],
)
async def test_a_batch_survives_the_death_of_the_primary(
    own_replica_set: BreakableReplicaSet,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    run_rows: int,
    owner: str,
    method: str,
    number: int,
) -> None:
    monkeypatch.setattr(runs, "MAX_RUN_ROWS", run_rows)
    monkeypatch.setattr(durable_inserts, "MAX_INSERT_BYTES", 10_000)
    with primary_loss(own_replica_set) as loss:
        with at_call(getattr(store, owner), method, number, loss.kill):
            batch = await submit_with_retries(store, "monday")
        assert (batch.state, batch.version, batch.rows) == (BatchState.PUBLISHED, 2, 30_000)
        assert await current(store) == 2
        assert (await snapshot(store, 2)).layers == (batch.layer,)
        await prove(store, batch.layer)
        assert await amounts(store, 1) == {"a": "1"}, "the version that was acknowledged before is kept"
        assert await submit(store, ROWS, key="monday") == batch
        assert (await published(store, [row("a", "3")])).version == 3
        kinds = [event.kind for event in await store.events.newest("retail", 10)]
        assert kinds == [EventKind.PUBLISHED] * 3 + [EventKind.CREATED]

    assert batch.layer is not None
    collection = f"layer.{batch.layer.id}"
    blocks = await store.layers_db[collection].count_documents({})

    async def has_all_blocks() -> bool:
        assert loss.member is not None
        async with client_of(loss.member) as client:
            with suppress(AutoReconnect):  # it is recovering
                return await client["faults_layers"][collection].count_documents({}) == blocks
        return False

    await until(has_all_blocks, "caught up")


async def test_a_move_survives_the_primary_if_it_was_acknowledged_and_is_never_half_done(
    own_replica_set: BreakableReplicaSet, store: Store
) -> None:
    await published(store, [row("a", "2")])
    primary, secondaries = own_replica_set.primary(), own_replica_set.secondaries()

    async def only_the_primary_has_moved() -> bool:
        async with client_of(primary) as client:
            found = await client["faults"]["price_lists"].find_one({"_id": "retail"})
        return moving.done() or (found is not None and found["version"] == 1)

    for member in secondaries:
        own_replica_set.kill(member, signal.SIGSTOP)
    moving = asyncio.create_task(store.pointer_moves.rollback("retail", 1, by="ops", reason="x"))
    await until(only_the_primary_has_moved, "moved")
    acknowledged = moving.done()
    own_replica_set.kill(primary, signal.SIGKILL)
    for member in secondaries:
        own_replica_set.kill(member, signal.SIGCONT)
    found = await version_and_moves(store)
    assert found == (1, 3) or (found == (2, 2) and not acknowledged), "the pointer and its event agree"
    await asyncio.wait_for(moving, 60)
    assert await version_and_moves(store) == (1, 3), "the driver retried the commit, which applies once"
    own_replica_set.restart(primary)


async def version_and_moves(store: Store) -> tuple[int | None, int]:
    """The current version on the new primary, and the number of events after the first."""
    await until(lambda: is_available(store), "available")
    # A new primary reads the last majority-committed state that it received, until a write of its term is committed.
    await store.db["notes"].insert_one({})
    return await current(store), len(await store.events.newest("retail", 10)) - 1


async def test_a_watcher_survives_a_change_of_the_primary(own_replica_set: BreakableReplicaSet, store: Store) -> None:
    recorder = PointerRecorder()
    watcher = watching(store.db, recorder)
    await watcher.start()
    with suppress(AutoReconnect):  # the primary closes the connection of this command
        await store.client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=10)
    moved = await store.pointer_moves.pin("retail", 1, by="ops", reason="x")
    await recorder.until_revision(moved.revision)
    with primary_loss(own_replica_set) as loss:
        await loss.kill()
        moved = await store.pointer_moves.unpin("retail", by="ops", reason="x")
        await recorder.until_revision(moved.revision)
    assert recorder.revisions() == sorted(recorder.revisions())
    await watcher.stop()
