"""When lists are looked at for versions to expire and for batches that another one superseded."""

import asyncio
import logging

from pymongo.errors import PyMongoError

from storage.batches.lifecycle import BatchLifecycle
from storage.errors import PricebookError
from storage.maintenance.agenda import Agenda
from storage.maintenance.expiration import SnapshotExpirer
from storage.mongodb.connection import is_cancelled

log = logging.getLogger("pricebook.retention")

MIN_DELAY_SECONDS = 1.0
"""Least time between two looks at a list."""

MAX_CONCURRENT_LISTS = 4
"""Number of lists that are looked at at once."""


class RetentionSchedule:
    """The lists whose versions may expire, and when."""

    def __init__(self, expirer: SnapshotExpirer, lifecycle: BatchLifecycle) -> None:
        self._expirer = expirer
        self._lifecycle = lifecycle
        self._agenda = Agenda()
        self._busy: set[str] = set()

    def add(self, name: str, delay: float) -> None:
        """Look at a list after `delay` seconds."""
        self._agenda.add(name, delay)

    async def run(self) -> None:
        """Look at the lists that are due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(MAX_CONCURRENT_LISTS):
                group.create_task(self._work(), name=f"retention {number}")

    async def _work(self) -> None:
        while not is_cancelled():
            [name] = await self._agenda.take(1)
            if name in self._busy:
                self.add(name, MIN_DELAY_SECONDS)
                continue
            self._busy.add(name)
            try:
                await self._look(name)
            finally:
                self._busy.discard(name)

    async def _look(self, name: str) -> None:
        try:
            delay = await self._maintain(name)
        except Exception as error:  # continue with the other lists
            expected = isinstance(error, PricebookError | PyMongoError)
            log.warning(
                "Could not expire versions of %s: %s: %s", name, type(error).__name__, error, exc_info=not expected
            )
            self._agenda.retry(name)
        else:
            self._agenda.succeed(name)
            if delay is not None:
                self.add(name, max(MIN_DELAY_SECONDS, delay))

    async def _maintain(self, name: str) -> float | None:
        """Do what is due for a list. Returns in how many seconds more is due if its pointer does not move."""
        result = await self._expirer.expire(name, by="pricebook")
        while await self._lifecycle.end_superseded(name):
            pass
        return (result.due - result.now).total_seconds() if result.due else None
