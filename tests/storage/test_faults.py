"""Members that die and primaries that change: what was acknowledged stays, the rest comes to an end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect

from storage import Batch, BatchState, EventKind, Store, Unavailable, Watcher, explain
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet, Member
from storage.mongodb.connection import Document
from tests.storage.catalog.recording_watcher import PointerRecorder
from tests.storage.factories import (
    amounts,
    current,
    expire_leases,
    published,
    read_back,
    row,
    rows,
    snapshot,
    submit,
    versions,
)
from tests.waiting import until

ROWS = rows(30_000, "2.00")


@pytest.fixture
async def store(own_devset: EmbeddedReplicaSet) -> AsyncIterator[Store]:
    """A store on a replica set whose members may be killed, with one version of the list `retail`."""
    store = await Store.open(own_devset.uri, "faults")
    await versions(store, 1)
    yield store
    await store.client.drop_database("faults")
    await store.close()


@contextmanager
def at_call(owner: object, method: str, number: int, act: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Do something right after that call of an asynchronous method, counted from 1."""
    original = getattr(owner, method)
    calls = 0

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls
        result = await original(*args, **kwargs)
        if mine == number:
            await act()
        return result

    with patch.object(owner, method, wrapped):
        yield
    assert calls >= number, f"{method} was called {calls} times"


class PrimaryLoss:
    """A primary that is killed when the test says so."""

    def __init__(self, devset: EmbeddedReplicaSet) -> None:
        self._devset = devset
        self.member: Member | None = None

    async def kill(self) -> None:
        self.member = self._devset.primary()
        await asyncio.to_thread(self._devset.kill, self.member, signal.SIGKILL)


@contextmanager
def primary_loss(devset: EmbeddedReplicaSet) -> Iterator[PrimaryLoss]:
    """A primary that may be killed; it is started again at the end."""
    loss = PrimaryLoss(devset)
    yield loss
    if loss.member:
        devset.restart(loss.member)


def ask(member: Member) -> AsyncMongoClient[Document]:
    """A client of this member alone, whatever its role."""
    return AsyncMongoClient("127.0.0.1", member.port, directConnection=True)


async def submit_until_told(store: Store, key: str) -> Batch:
    """Send the batch again for as long as the database is away, as an integrator would."""
    while True:
        try:
            return await submit(store, ROWS, key=key)
        except Exception as error:
            if not isinstance(explain(error), Unavailable):
                raise
            await until(lambda: answers(store), "answering")
            await expire_leases(store)


async def answers(store: Store) -> bool:
    try:
        await store.ping()
    except Exception as error:
        if not isinstance(explain(error), Unavailable):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("owner", "method", "number"),
    [
        ("layers._inserts", "send", 5),
        ("layers", "freeze", 1),
        ("publisher._batches", "advance", 1),
    ],
)
async def test_a_batch_outlasts_the_death_of_the_primary(
    own_devset: EmbeddedReplicaSet, store: Store, owner: str, method: str, number: int
) -> None:
    part: Any = store
    for name in owner.split("."):
        part = getattr(part, name)
    with primary_loss(own_devset) as loss:
        with at_call(part, method, number, loss.kill):
            batch = await submit_until_told(store, "monday")
        assert (batch.state, batch.version, batch.rows) == (BatchState.PUBLISHED, 2, 30_000)
        assert await current(store) == 2
        stored = await read_back(store, batch.layer)
        assert (stored.count, stored.hex) == (30_000, (await snapshot(store, 2)).layers[0].checksum)
        assert await amounts(store, 1) == {"a": "1"}, "what was acknowledged before is there"
        assert await submit(store, ROWS, key="monday") == batch
        assert (await published(store, [row("a", "3")])).version == 3
        kinds = [event.kind for event in await store.events.newest("retail", 10)]
        assert kinds == [EventKind.PUBLISHED] * 3 + [EventKind.CREATED]

    async def has_all_rows() -> bool:
        assert loss.member is not None
        async with ask(loss.member) as client:
            with suppress(AutoReconnect):  # it is recovering
                return await client["faults"][f"layer.{batch.layer}"].count_documents({}) == 30_000
        return False

    await until(has_all_rows, "caught up")


async def test_what_was_acknowledged_survives_the_primary_and_what_was_not_is_never_half_there(
    own_devset: EmbeddedReplicaSet, store: Store
) -> None:
    await published(store, [row("a", "2")])
    primary, secondaries = own_devset.primary(), own_devset.secondaries()

    async def primary_alone_has_moved() -> bool:
        async with ask(primary) as client:
            found = await client["faults"]["price_lists"].find_one({"_id": "retail"})
        return moving.done() or (found is not None and found["version"] == 1)

    for member in secondaries:
        own_devset.kill(member, signal.SIGSTOP)
    moving = asyncio.create_task(store.pointer_moves.rollback("retail", 1, by="ops", reason="x"))
    await until(primary_alone_has_moved, "moved")
    acknowledged = moving.done()
    own_devset.kill(primary, signal.SIGKILL)
    for member in secondaries:
        own_devset.kill(member, signal.SIGCONT)
    found = await moved_or_not(store)
    assert found == (1, 3) or (found == (2, 2) and not acknowledged), "the pointer and its event agree"
    await asyncio.wait_for(moving, 60)
    assert await moved_or_not(store) == (1, 3), "the driver made sure that it was done, and done once"
    own_devset.restart(primary)


async def moved_or_not(store: Store) -> tuple[int | None, int]:
    """The current version as the new primary has it, and how many moves were told of."""
    await until(lambda: answers(store), "answering")
    # Until a majority has something of the new primary's, it reads what it knew a majority had before.
    await store.db["notes"].insert_one({})
    return await current(store), len(await store.events.newest("retail", 10)) - 1


async def test_a_watcher_outlasts_a_change_of_the_primary(own_devset: EmbeddedReplicaSet, store: Store) -> None:
    recorder = PointerRecorder()
    watcher = Watcher(store.db, recorder)
    await watcher.start()
    with suppress(AutoReconnect):  # the primary hangs up on whoever sent it this
        await store.client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=10)
    moved = await store.pointer_moves.pin("retail", 1, by="ops", reason="x")
    await recorder.until_revision(moved.revision)
    with primary_loss(own_devset) as loss:
        await loss.kill()
        moved = await store.pointer_moves.unpin("retail", by="ops", reason="x")
        await recorder.until_revision(moved.revision)
    assert recorder.revisions() == sorted(recorder.revisions())
    await watcher.stop()
