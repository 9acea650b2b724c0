"""Processes that kill themselves at a point of their work.

A point is `Class.method:call:when`: the process kills itself `before` or `after` a call of the method, counted from 1.
Nothing is cleaned up: no `finally`, no handler, no message to the server.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from storage.batches.lifecycle import BatchLifecycle
from storage.batches.parts import PartRepository
from storage.batches.removal import BatchRemoval
from storage.batches.repository import BatchRepository
from storage.batches.sealing import BatchSealer
from storage.batches.staging import StagingRepository
from storage.catalog.events import EventRepository
from storage.catalog.orphans import OrphanRepository
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.releases import ReleaseRepository
from storage.catalog.snapshots import SnapshotRepository
from storage.layers.proof import LayerProver
from storage.layers.writer import LayerWriter
from storage.releases.publication import ReleasePublication
from storage.releases.publishing import ReleasePublisher

_PROCESSES = multiprocessing.get_context("forkserver")
"""Starts processes from one that has imported this module: the imports take longer than what a process does."""
_PROCESSES.set_forkserver_preload([__name__])

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
        ReleasePublication,
        ReleasePublisher,
        ReleaseRepository,
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


async def run_until_killed(main: Callable[..., Coroutine[Any, Any, object]], *arguments: str) -> None:
    """Run a function of a module in another process, and wait until the process has killed itself."""
    process = _PROCESSES.Process(target=_run, args=(main, arguments))
    process.start()
    await asyncio.to_thread(process.join)
    assert process.exitcode == -signal.SIGKILL, "the process did not reach the point"
    process.close()


def _run(main: Callable[..., Coroutine[Any, Any, object]], arguments: tuple[str, ...]) -> None:
    asyncio.run(main(*arguments))
