"""Submits a batch and dies at a point: `python -m tests.storage.crash_at URI DATABASE KEY BATCH POINT`.

The batch is `good` or `bad`, in one request; or `staged`, the good one in five runs; or `parts`, in two parts; or
`aborted`, in two parts that are aborted when they are stored.

A point is `Class.method:call:when`: the process kills itself `before` or `after` a call of the method, counted from 1.
Nothing is cleaned up: no `finally`, no handler, no message to the server.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from storage import Batch, BatchState, Store
from storage.batches import runs
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.parts import PartRepository
from storage.batches.removal import BatchRemoval
from storage.batches.repository import BatchRepository
from storage.batches.sealing import BatchSealer
from storage.batches.staging import StagingRepository
from storage.catalog.events import EventRepository
from storage.catalog.orphans import OrphanRepository
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import SnapshotRepository
from storage.layers import durable_inserts
from storage.layers.proof import LayerProver
from storage.layers.writer import LayerWriter
from storage.prices import row_decoder
from tests.storage.factories import Row, order, row, rows, source

SLICE_ROWS = 100
BATCHES: dict[str, list[Row]] = {
    "good": rows(5 * SLICE_ROWS, "2.00"),
    "bad": [*rows(5 * SLICE_ROWS, "2.00"), row("bad", "-1")],
}

BATCHES["staged"] = BATCHES["good"]

OWNERS = {
    owner.__name__: owner
    for owner in (
        BatchLifecycle,
        BatchRemoval,
        BatchRepository,
        BatchSealer,
        EventRepository,
        LayerProver,
        LayerWriter,
        OrphanRepository,
        PartRepository,
        PriceListRepository,
        SnapshotRepository,
        StagingRepository,
    )
}
"""The classes of the methods that a point can name."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str) -> None:
    """Replace a method by one that kills the process at a point."""
    name, call, when = point.split(":")
    owner, method = name.split(".")
    cls = OWNERS[owner]
    original: Callable[..., Any] = getattr(cls, method)
    calls = count(1)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        is_deadly = next(calls) == int(call)
        if is_deadly and when == "before":
            die()
        result = await original(*args, **kwargs)
        if is_deadly:
            die()
        return result

    setattr(cls, method, wrapped)


async def main(uri: str, database: str, key: str, batch: str, point: str) -> None:
    store = await Store.open(uri, database)
    row_decoder.SLICE_ROWS = SLICE_ROWS
    durable_inserts.MAX_INSERT_BYTES = 1000
    if batch == "staged":
        runs.MAX_RUN_ROWS = SLICE_ROWS
    die_at(point)
    if batch in BATCHES:
        await store.submitter.submit(order(key=key), await source(BATCHES[batch]))
    else:
        await in_parts(store, key, is_aborted=batch == "aborted")


async def in_parts(store: Store, key: str, *, is_aborted: bool = False) -> Batch:
    """Send the good batch in two parts, as far as they are missing, and finish it."""
    batch = await store.multipart.open(order(key=key))
    if batch.state is BatchState.OPEN:
        for sequence, prices in enumerate((BATCHES["good"][:200], BATCHES["good"][200:])):
            await store.multipart.append(batch.id, sequence, await source(prices), ())
    if is_aborted:
        return await store.multipart.abort(batch.id, by="integrator", reason=None)
    batch, must_finish = await store.multipart.commit(batch.id, 2, len(BATCHES["good"]))
    return await store.worker.finish(batch) if must_finish else batch


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
