"""Holding a batch: its lease is renewed while the work goes on, and let go when the work is broken off.

A batch that comes in parts has no holder while it is open. It is kept from being taken for abandoned.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pymongo.errors import PyMongoError

from storage.batches.repository import Batch, BatchRepository
from storage.layers.writer import Filled
from storage.mongodb import leases

# How often an open batch is touched while a part of it comes in, in seconds.
TOUCH_INTERVAL_SECONDS = 60.0


@asynccontextmanager
async def keeping_open(batches: BatchRepository, batch: Batch) -> AsyncIterator[None]:
    """Touch an open batch from time to time, for one part may take longer than it may be idle."""

    async def touch() -> None:
        while True:
            await asyncio.sleep(TOUCH_INTERVAL_SECONDS)
            with suppress(PyMongoError):  # the next one is in time
                await batches.touch(batch.id)

    touching = asyncio.create_task(touch())
    try:
        yield
    finally:
        touching.cancel()


@asynccontextmanager
async def holding(batches: BatchRepository, batch: Batch, filled: Filled | None = None) -> AsyncIterator[None]:
    """Hold the lease of a batch, noting the progress of `filled` with each renewal."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(leases.RENEW_INTERVAL_SECONDS)
            with suppress(PyMongoError):  # the lease outlasts a missed renewal; the fence stops a holder who lost it
                if filled is None:
                    await batches.renew(batch, batch.received, batch.stored)
                else:
                    await batches.renew(batch, filled.received, filled.stored.count)

    renewing = asyncio.create_task(renew())
    try:
        yield
    except BaseException:
        with suppress(PyMongoError):
            await batches.release(batch)
        raise
    finally:
        renewing.cancel()
