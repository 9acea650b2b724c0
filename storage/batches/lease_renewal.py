"""Renewing the lease of a batch while a process works on it, and releasing it if the work fails.

An open batch in parts has no lease. It is touched instead, so that it is not aborted as idle.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pymongo
from pymongo.errors import PyMongoError

from storage.batches.batch import Batch
from storage.batches.intake import Intake
from storage.batches.repository import BatchRepository
from storage.mongodb import leases
from storage.mongodb.deadlines import is_cancelled

TOUCH_INTERVAL_SECONDS = 60.0
"""Interval at which an open batch is touched while one of its parts arrives."""


@asynccontextmanager
async def keep_open(batches: BatchRepository, batch: Batch) -> AsyncIterator[None]:
    """Touch an open batch regularly: one part may take longer than a batch may be idle."""

    async def touch() -> None:
        while not is_cancelled():
            await asyncio.sleep(TOUCH_INTERVAL_SECONDS)
            with suppress(PyMongoError):  # the next touch is in time
                await batches.touch(batch.id)

    touching = asyncio.create_task(touch())
    try:
        yield
    finally:
        touching.cancel()


@asynccontextmanager
async def keep_lease(batches: BatchRepository, batch: Batch, intake: Intake | None = None) -> AsyncIterator[None]:
    """Renew the lease of a batch, and store the progress of `intake` with each renewal. Release it on an error."""

    async def renew() -> None:
        while not is_cancelled():
            await asyncio.sleep(leases.RENEW_INTERVAL_SECONDS)
            # The lease outlasts a missed renewal; its token fences a holder that lost it.
            with suppress(PyMongoError), pymongo.timeout(leases.RENEW_INTERVAL_SECONDS):
                if intake is None:
                    await batches.renew(batch, batch.received, batch.stored)
                else:
                    await batches.renew(batch, intake.received, intake.accepted)

    renewing = asyncio.create_task(renew())
    try:
        yield
    except BaseException:
        with suppress(PyMongoError), pymongo.timeout(leases.RELEASE_TIMEOUT_SECONDS):
            await batches.release(batch)
        raise
    finally:
        renewing.cancel()
