"""Submits a batch and dies at a point of its life: `python -m tests.storage.crash_at URI DATABASE KEY BATCH POINT`.

A point is `Class.method:call:when`: the process kills itself `before` or `after` that call of the method, counted
from 1. Nothing is cleaned up: no `finally`, no handler, no goodbye to the server.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from storage import Store, decode, layers
from storage.batches import Batches
from storage.inserts import Inserts
from storage.layers import Layers
from storage.publish import Publisher
from tests.storage.factories import Row, order, row, rows, source

SLICE_ROWS = 100
BATCHES: dict[str, list[Row]] = {
    "good": rows(5 * SLICE_ROWS, "2.00"),
    "bad": [*rows(5 * SLICE_ROWS, "2.00"), row("bad", "-1")],
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str) -> None:
    """Replace the method by one that dies at its time."""
    name, call, when = point.split(":")
    owner, method = name.split(".")
    cls = {each.__name__: each for each in (Batches, Inserts, Layers, Publisher)}[owner]
    original: Callable[..., Any] = getattr(cls, method)
    calls = count(1)

    async def deadly(*args: Any, **kwargs: Any) -> Any:
        doomed = next(calls) == int(call)
        if doomed and when == "before":
            die()
        result = await original(*args, **kwargs)
        if doomed:
            die()
        return result

    setattr(cls, method, deadly)


async def main(uri: str, database: str, key: str, batch: str, point: str) -> None:
    store = await Store.open(uri, database)
    decode.SLICE_ROWS = layers.INSERT_ROWS = SLICE_ROWS
    die_at(point)
    await store.intake.submit(order(key=key), await source(BATCHES[batch]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
