"""Publishing the scheduled batches of one list, from a moment before the first is due until none is due soon.

A batch of a release is published with it (`storage.maintenance.release_runs`).
"""

import asyncio
import logging
from contextlib import suppress

from storage.batches.due_publisher import DuePublisher, Prepared
from storage.batches.repository import BatchRepository
from storage.errors import PricebookError, PriceListNotFound
from storage.maintenance.periodic import log_failure
from storage.maintenance.release_runs import LEAD_SECONDS, ReleaseRuns
from storage.maintenance.stand_by import MAX_ATTEMPTS, STAND_BY_POLL_SECONDS, StandBy, is_passing
from storage.mongodb.deadlines import is_cancelled
from storage.mongodb.locks import Locks

log = logging.getLogger("pricebook.schedule")

PREPARE_SECONDS = 5.0
"""How long before a batch is due its list is taken up, and the batch compared with the current version."""

MIN_WAIT_SECONDS = 0.001
"""Least wait for a batch that is almost due."""

MAX_CONCURRENT_PUBLISHES = 16
"""Number of lists of which a process compares or publishes a batch at once."""


class ListPublisher:
    """Publishes the scheduled batches of lists."""

    def __init__(
        self, batches: BatchRepository, due_publisher: DuePublisher, release_runs: ReleaseRuns, locks: Locks
    ) -> None:
        self._batches = batches
        self._due_publisher = due_publisher
        self._release_runs = release_runs
        self._locks = locks
        self._working = asyncio.Semaphore(MAX_CONCURRENT_PUBLISHES)
        self._waiting: dict[str, asyncio.Event] = {}
        self._attempts: dict[str, tuple[str, int]] = {}
        """By list, the batch that failed last, and how often it did."""

    def look_again(self, name: str) -> None:
        """End the wait for the next batch of a list, because another one may be the next."""
        if name in self._waiting:
            self._waiting[name].set()

    def stop(self) -> None:
        """End all waits."""
        for event in self._waiting.values():
            event.set()

    async def publish(self, name: str, stopping: asyncio.Event) -> float | None:
        """Publish the batches of a list that are due, or due soon, one after another.

        Returns in how many seconds the next one is due; None if no other is scheduled. Raises `PriceListNotFound`, the
        errors of the driver, and those of a batch that cannot be published.
        """
        looks_again = self._waiting[name] = asyncio.Event()
        try:
            while True:
                due_in = await self._publish_or_stand_by(name, stopping)
                if not looks_again.is_set() or stopping.is_set() or is_cancelled():
                    self._attempts.pop(name, None)
                    return due_in
        except PriceListNotFound:
            self._attempts.pop(name, None)
            raise
        finally:
            del self._waiting[name]

    async def _publish_or_stand_by(self, name: str, stopping: asyncio.Event) -> float | None:
        lock, stand_by = f"schedule/{name}", StandBy()
        while not (stopping.is_set() or is_cancelled()):
            self._waiting[name].clear()
            found = await self._batches.next_scheduled(name)
            if found is None or found.due_in > PREPARE_SECONDS:
                return found and found.due_in
            if stand_by.is_over(found):
                return await self._publish_all(name, stopping)
            if not await self._locks.is_held(lock):
                async with self._locks.held(lock) as token:
                    if token is not None:
                        return await self._publish_all(name, stopping)
            await self._wait(name, stand_by.seconds(found))
        return None

    async def _publish_all(self, name: str, stopping: asyncio.Event) -> float | None:
        prepared: Prepared | None = None
        is_throttled = False
        while not (stopping.is_set() or is_cancelled()):
            self._waiting[name].clear()
            asked_at = _now()
            found = await self._batches.next_scheduled(name)
            if found is None or found.due_in > PREPARE_SECONDS:
                return found and found.due_in
            due_at = (asked_at + _now()) / 2 + found.due_in  # the database answered about halfway
            if not found.release:  # those were compared when they were sealed
                prepared = await self._prepare(found.batch, prepared)
            lead = LEAD_SECONDS if found.release else 0.0
            if found.due_in > lead:
                await self._wait(name, max(due_at - lead - _now(), MIN_WAIT_SECONDS))
                continue
            if found.release:
                if not await self._release_runs.publish(found.release, stopping):
                    return PREPARE_SECONDS + STAND_BY_POLL_SECONDS  # lists whose batches go first may need the slot
                prepared = None
                continue
            if is_throttled:  # outside of the slot: the wait is no work
                await self._due_publisher.throttle(name)
            async with self._working:
                is_done = await self._publish_first(name, prepared)
            if not is_done:  # another process published it, or its schedule changed
                await self._wait(name, STAND_BY_POLL_SECONDS)
            prepared, is_throttled = None, True
        return None

    async def _prepare(self, batch_id: str, known: Prepared | None) -> Prepared | None:
        """Compare a batch before it is due. If that fails, it fails again when the batch is due."""
        if known and known.batch.id == batch_id:
            return known
        async with self._working:
            with suppress(PricebookError):
                return await self._due_publisher.prepare(batch_id)
        return None

    async def _publish_first(self, name: str, prepared: Prepared | None) -> bool:
        """Publish the first batch of a list that is due. One that fails again and again is held for review.

        Returns False if none is due any more.
        """
        try:
            change = await self._due_publisher.publish_first_due(name, prepared)
        except Exception as error:
            batch = None if is_passing(error) else await self._batches.first_due(name)
            if batch is None:
                raise
            failed, attempts = self._attempts.get(name, (batch.id, 0))
            attempts = attempts + 1 if failed == batch.id else 1
            self._attempts[name] = batch.id, attempts
            if attempts < MAX_ATTEMPTS:
                raise
            log_failure(log, f"Batch {batch.id} of {name} is held for review: it cannot be published", error)
            await self._due_publisher.hold_unreadable(batch.id, error)
            return True
        return change is not None

    async def _wait(self, name: str, seconds: float) -> None:
        """Wait until a list must be looked at again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._waiting[name].wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
