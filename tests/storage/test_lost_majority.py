"""Without a majority every change fails within its deadline, prices are still read, and nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from pymongo import MongoClient

from storage import Batch, BatchState, EventKind, Store, Unavailable, explain
from storage.batches import runs
from storage.mongodb.connection import Document
from tests.stack.replica_set import BreakableReplicaSet, Member
from tests.storage.factories import (
    amounts,
    create,
    current,
    expire_leases,
    order,
    row,
    rows,
    snapshot,
    source,
    submit,
    versions,
)
from tests.waiting import until

TIMEOUT_MS = 1500
GUARD_SECONDS = 60
"""How long a change may take here at most. Without a deadline it would wait for the majority."""


@pytest.fixture
async def store(own_replica_set: BreakableReplicaSet) -> AsyncIterator[Store]:
    """A store whose operations have a short deadline, on a replica set of its own."""
    separator = "&" if "?" in own_replica_set.uri else "?"
    store = await Store.open(f"{own_replica_set.uri}{separator}timeoutMS={TIMEOUT_MS}", "majority")
    yield store
    await store.close()
    async with (await Store.open(own_replica_set.uri, "majority")).client as client:
        await client.drop_database("majority")
        await client.drop_database("majority_layers")


@contextmanager
def locked(members: list[Member]) -> Iterator[None]:
    """Lock members against writes, as a backup by snapshots of their volumes does."""
    clients = [MongoClient[Document]("127.0.0.1", member.port, directConnection=True) for member in members]
    try:
        for client in clients:
            client.admin.command("fsync", lock=True)
        yield
    finally:
        for client in clients:
            client.admin.command("fsyncUnlock")
            client.close()


async def refused(act: Awaitable[object]) -> str:
    """Return the message with which a change is UNAVAILABLE, or fail."""
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            result = await act
    except TimeoutError:
        raise AssertionError("The change has no deadline.") from None
    except Exception as error:
        known = explain(error)
        if isinstance(known, Unavailable):
            return known.message
        raise
    raise AssertionError(f"The change was confirmed without a majority: {result}")


async def test_without_a_majority_every_change_is_unavailable_in_time_and_prices_are_read(
    own_replica_set: BreakableReplicaSet, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_RUN_ROWS", 2000)
    for name in ("pin", "unpin", "rollback", "edit", "small", "large", "parts", "commit", "restore"):
        await versions(store, 2, name)
    waiting = {}
    for name in ("approve", "latest"):
        await versions(store, 1, name)
        await store.pointer_moves.pin(name, 1, by="ops", reason="audit")
        waiting[name] = await submit(store, [row("a", "3")], name)
    await store.pointer_moves.unpin("approve", by="ops", reason="x")
    await store.pointer_moves.pin("unpin", 2, by="ops", reason="x")
    async with store.client.start_session() as session:
        await store.expirations.expire("restore", 1, session)
    open_batch, committed = [await store.multipart.open(order(name, "parts")) for name in ("parts", "commit")]
    await store.multipart.append(committed.id, 0, await source([row("a", "3")]), [])
    tasks = len(asyncio.all_tasks())

    moves: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: create(store, "created"),
        "edit": lambda: store.price_list_editor.update("edit", "ops", lambda seen: seen),
        "pin": lambda: store.pointer_moves.pin("pin", 1, by="ops", reason="x"),
        "unpin": lambda: store.pointer_moves.unpin("unpin", by="ops", reason="x"),
        "rollback": lambda: store.pointer_moves.rollback("rollback", 1, by="ops", reason="x"),
        "restore": lambda: store.expirer.restore("restore", 1, by="ops", reason="x"),
        "approve": lambda: store.lifecycle.approve(waiting["approve"].id, by="ops", reason="x"),
        "latest": lambda: store.lifecycle.publish_latest("latest", by="ops", reason="x"),
    }
    intake: dict[str, Callable[[], Awaitable[object]]] = {
        "small": lambda: submit(store, [row("a", "3")], "small", key="small"),
        "large": lambda: submit(store, rows(5000), "large", key="large"),
        "open": lambda: store.multipart.open(order("small", "open")),
        "append": lambda: _append(store, open_batch),
        "commit": lambda: store.multipart.commit(committed.id, 1, 1),
    }
    with locked(own_replica_set.secondaries()):
        messages = await asyncio.gather(*(refused(act()) for act in (*moves.values(), *intake.values())))
        assert await amounts(store, 2, "pin") == {"a": "2"}
        assert await current(store, "pin") == 2, "what no majority has is not seen"
    for name, message in zip((*moves, *intake), messages, strict=True):
        assert ("It may still take effect" in message) == (name in moves), f"{name}: {message}"

    await until(lambda: _is_writable(store), "writable")
    await expire_leases(store)
    batch = await submit(store, [row("a", "3")], "small", key="small")
    assert (batch.state, batch.version) == (BatchState.PUBLISHED, 3)
    assert await submit(store, [row("a", "3")], "small", key="small") == batch
    large = await submit(store, rows(5000), "large", key="large")
    assert (large.state, large.version, (await snapshot(store, 3, "large")).size) == (BatchState.PUBLISHED, 3, 5000)
    await _append(store, open_batch)
    for name, kind, version in (
        ("pin", EventKind.PINNED, 1),
        ("unpin", EventKind.UNPINNED, 2),
        ("rollback", EventKind.ROLLED_BACK, 1),
        ("edit", EventKind.UPDATED, 2),
        ("restore", EventKind.RESTORED, 2),
        ("approve", EventKind.APPROVED, 2),
    ):
        assert [event.kind for event in await store.events.newest(name, 100)].count(kind) <= 2
        assert (await store.events.newest(name, 1))[0].kind is kind, "it took effect once the majority was back"
        assert await current(store, name) == version

    async def no_task_is_left() -> bool:
        return len(asyncio.all_tasks()) <= tasks

    await until(no_task_is_left, "finished")


async def _append(store: Store, batch: Batch) -> None:
    await store.multipart.append(batch.id, 0, await source([row("a", "3")]), [])


async def _is_writable(store: Store) -> bool:
    try:
        await store.db["notes"].insert_one({})
    except Exception as error:
        if not isinstance(explain(error), Unavailable):
            raise
        return False
    return True
