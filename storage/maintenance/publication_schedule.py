"""The schedule of a process: when the next batch of each list is due, and the work of publishing it.

Every process keeps it. The pointers, which are pushed to each of them, have the time of the next change of their list;
a rare poll finds what was missed. A process takes a list up a moment before its next batch is due, compares the batch
with the current version, and waits. The lock of the list keeps the other processes from doing the same: they stand by,
and go on without the lock if a batch is not published in time. Correctness does not depend on any of this: the
transaction decides what is due, by the time of the database, and publishes it once (`storage.batches.due_publisher`,
`storage.releases.due`).
"""

import asyncio
import datetime
import logging
import random
from collections.abc import Sequence

from storage.batches.due_publisher import DuePublisher
from storage.batches.metrics import StorageMetrics
from storage.batches.repository import BatchRepository
from storage.catalog.price_lists import PriceList
from storage.catalog.watcher import Watcher
from storage.errors import PriceListNotFound
from storage.maintenance.delay_queue import DelayQueue
from storage.maintenance.list_publisher import PREPARE_SECONDS, ListPublisher
from storage.maintenance.periodic import is_set_within, log_failure
from storage.maintenance.release_runs import ReleaseRuns
from storage.mongodb.connection import Client
from storage.mongodb.database_clock import DatabaseClock
from storage.mongodb.deadlines import is_cancelled
from storage.mongodb.locks import Locks
from storage.releases.due import DueReleasePublisher

log = logging.getLogger("pricebook.schedule")

POLL_INTERVAL_SECONDS = 30.0
"""Interval at which the database is asked for batches that are due soon, and for its time."""

OVERDUE_SECONDS = 5.0
"""How late a batch is before it counts as overdue."""

MAX_CONCURRENT_LISTS = 200
"""Number of lists that a process takes up at once. Most of them only wait until they are due."""

SHUFFLE_SECONDS = 1.0
"""Lists of one instant are taken up within this time, in another order in each process: so they share the work."""

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.25, 5.0
"""How long a list is left alone after an error, and after many. The time doubles with each."""


class PublicationSchedule:
    """The lists with scheduled batches, and the tasks of those that are due soon."""

    def __init__(
        self,
        client: Client,
        watcher: Watcher,
        batches: BatchRepository,
        due_publisher: DuePublisher,
        due_releases: DueReleasePublisher,
        locks: Locks,
        metrics: StorageMetrics,
    ) -> None:
        self._batches = batches
        self._metrics = metrics
        self._publisher = ListPublisher(batches, due_publisher, ReleaseRuns(due_releases, locks), locks)
        self._clock = DatabaseClock(client)
        self._salt = random.random()  # noqa: S311 - no secret
        self._next: dict[str, datetime.datetime] = {}
        self._queue = DelayQueue((FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS))
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LISTS)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        watcher.subscribe(self._follow_all)

    def _follow_all(self, pointers: Sequence[PriceList]) -> None:
        for pointer in pointers:
            self._follow(pointer)

    def _follow(self, pointer: PriceList) -> None:
        """Note when a list changes next."""
        name, at = pointer.name, pointer.next_change_at
        if at is None:
            self._next.pop(name, None)
        elif at == self._next.get(name) and self._clock.seconds_until(at) >= 0:
            return
        else:  # of a batch that was not published when it was due, others follow at any time
            self._next[name] = at
            self._add(name, at)
        self._publisher.look_again(name)

    def _add(self, name: str, at: datetime.datetime) -> None:
        """Queue a list to be taken up before an instant. The poll does it again after the first sample of the clock."""
        if self._clock.is_sampled:
            self._queue.add(name, self._clock.seconds_until(at) - PREPARE_SECONDS + self._later(name))

    def _later(self, name: str) -> float:
        """Return how much later than others a list is taken up."""
        return hash((self._salt, name)) % 1000 / 1000 * SHUFFLE_SECONDS

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish what is due, until `stopping` is set."""
        taking = asyncio.create_task(self._take_up(stopping), name="take up lists with scheduled batches")
        polling = asyncio.create_task(self._poll(stopping), name="find scheduled batches")
        try:
            await stopping.wait()
        finally:
            taking.cancel()
            self._publisher.stop()
            tasks = [taking, polling, *self._tasks.values()]
            if is_cancelled():
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_up(self, stopping: asyncio.Event) -> None:
        """Start a task for each list that is due soon, as long as there are few enough, until cancelled."""
        while not (stopping.is_set() or is_cancelled()):
            try:
                await self._take_up_next(stopping)
            except Exception as error:  # the poll queues the lists again
                log_failure(log, "Could not take up lists with scheduled batches, and will retry", error)
                await is_set_within(MAX_RETRY_SECONDS, stopping)

    async def _take_up_next(self, stopping: asyncio.Event) -> None:
        [name] = await self._queue.take(1)
        if name not in self._tasks:  # otherwise it looks again before it ends
            await self._slots.acquire()
            self._tasks[name] = asyncio.create_task(self._publish(name, stopping), name=f"publish {name} when due")

    async def _publish(self, name: str, stopping: asyncio.Event) -> None:
        try:
            due_in = await self._publisher.publish(name, stopping)
        except PriceListNotFound:  # it was deleted
            self._next.pop(name, None)
            self._queue.forget_errors(name)
        except Exception as error:  # continue with the other lists
            log_failure(log, f"Could not publish the scheduled batches of {name} yet", error)
            self._queue.retry(name)
        else:
            self._queue.forget_errors(name)
            if due_in is None:
                self._next.pop(name, None)
            else:
                self._queue.add(name, due_in - PREPARE_SECONDS + self._later(name))
        finally:
            del self._tasks[name]
            self._slots.release()

    async def _poll(self, stopping: asyncio.Event) -> None:
        while not (stopping.is_set() or is_cancelled()):
            interval = POLL_INTERVAL_SECONDS
            try:
                await self._look()
            except Exception as error:
                log_failure(log, "Could not look for scheduled batches, and will retry", error)
                interval = MAX_RETRY_SECONDS
            await is_set_within(interval, stopping)

    async def _look(self) -> None:
        """Ask the database for its time, for what is due soon, and for what is late."""
        await self._clock.sample()
        for name, at in (await self._batches.next_due_by_list(2 * POLL_INTERVAL_SECONDS)).items():
            if name not in self._next or at < self._next[name]:
                self._next[name] = at
                self._publisher.look_again(name)
        for name, at in self._next.items():  # again, by the time of this sample
            self._add(name, at)
        self._metrics.overdue = await self._batches.count_overdue(OVERDUE_SECONDS)
