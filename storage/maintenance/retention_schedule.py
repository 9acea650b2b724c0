"""When lists are checked for versions to expire and for batches that another one superseded."""

import asyncio
import logging

from storage.batches.lifecycle import BatchLifecycle
from storage.errors import PriceListNotFound
from storage.maintenance.delay_queue import DelayQueue
from storage.maintenance.expiration import SnapshotExpirer
from storage.maintenance.periodic import log_failure
from storage.mongodb.deadlines import is_cancelled

log = logging.getLogger("pricebook.retention")

MIN_DELAY_SECONDS = 1.0
"""Least time between two checks of a list."""

MAX_CONCURRENT_LISTS = 4
"""Number of lists that are checked at once."""


class RetentionSchedule:
    """The lists whose versions may expire, and when."""

    def __init__(self, expirer: SnapshotExpirer, lifecycle: BatchLifecycle) -> None:
        self._expirer = expirer
        self._lifecycle = lifecycle
        self._queue = DelayQueue()
        self._busy: set[str] = set()

    def add(self, name: str, delay: float) -> None:
        """Check a list after `delay` seconds."""
        self._queue.add(name, delay)

    async def run(self) -> None:
        """Check the lists that are due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(MAX_CONCURRENT_LISTS):
                group.create_task(self._work(), name=f"retention {number}")

    async def _work(self) -> None:
        while not is_cancelled():
            [name] = await self._queue.take(1)
            if name in self._busy:
                self.add(name, MIN_DELAY_SECONDS)
                continue
            self._busy.add(name)
            try:
                await self._check(name)
            finally:
                self._busy.discard(name)

    async def _check(self, name: str) -> None:
        try:
            delay = await self._maintain(name)
        except PriceListNotFound:  # it was deleted
            self._queue.forget_errors(name)
        except Exception as error:  # continue with the other lists
            log_failure(log, f"Could not maintain {name}", error)
            self._queue.retry(name)
        else:
            self._queue.forget_errors(name)
            if delay is not None:
                self.add(name, max(MIN_DELAY_SECONDS, delay))

    async def _maintain(self, name: str) -> float | None:
        """Do what is due for a list. Returns in how many seconds more is due if its pointer does not move."""
        result = await self._expirer.expire(name, by="pricebook")
        await self._lifecycle.end_superseded(name)
        return (result.due - result.now).total_seconds() if result.due else None
