"""The schedule of a process: when the next batch of each list is due, and the work of publishing it.

Every process keeps it. The pointers, which are pushed to each of them, have the time of the next change of their list;
a rare poll finds what was missed. A process takes a list up a moment before its next batch is due, compares the batch
with the current version, and waits. The lock of the list keeps the other processes from doing the same: they stand by,
and go on without the lock if a batch is not published in time. Correctness does not depend on any of this: the
transaction decides what is due, by the time of the database, and publishes it once (`storage.batches.scheduling`).
"""

import asyncio
import datetime
import logging
import random
from contextlib import suppress

from storage.batches.metrics import StorageMetrics
from storage.batches.repository import BatchRepository
from storage.batches.scheduling import BatchScheduling
from storage.catalog.price_lists import PriceList
from storage.catalog.watcher import Watcher
from storage.errors import PriceListNotFound
from storage.maintenance.list_publisher import PREPARE_SECONDS, ListPublisher
from storage.maintenance.periodic import is_set_within, log_failure
from storage.mongodb.connection import Client
from storage.mongodb.deadlines import is_cancelled
from storage.mongodb.locks import Locks
from storage.mongodb.server_time import server_time

log = logging.getLogger("pricebook.schedule")

POLL_INTERVAL_SECONDS = 30.0
"""Interval at which the database is asked for batches that are due soon, and for its time."""

OVERDUE_SECONDS = 5.0
"""How late a batch is before it counts as overdue."""

MAX_CONCURRENT_LISTS = 200
"""Number of lists that a process takes up at once. Most of them only wait until they are due."""

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.25, 5.0
"""How long a list is left alone after an error, and after many. The time doubles with each."""


class PublicationSchedule:
    """The lists with scheduled batches, and the tasks of those that are due soon."""

    def __init__(
        self,
        client: Client,
        watcher: Watcher,
        batches: BatchRepository,
        scheduling: BatchScheduling,
        locks: Locks,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._batches = batches
        self._metrics = metrics
        self._publisher = ListPublisher(batches, scheduling, locks)
        self._next: dict[str, datetime.datetime] = {}
        self._left_alone: dict[str, float] = {}
        self._errors: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._clock_ahead = 0.0
        watcher.subscribe(self._follow)

    def _follow(self, pointer: PriceList) -> None:
        """Note when a list changes next."""
        if pointer.next_change_at == self._next.get(pointer.name):
            return
        self._left_alone.pop(pointer.name, None)
        if pointer.next_change_at is None:
            del self._next[pointer.name]
        else:
            self._next[pointer.name] = pointer.next_change_at
        self._publisher.look_again(pointer.name)
        self._changed.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish what is due, until `stopping` is set."""
        helpers = [
            asyncio.create_task(self._poll(stopping), name="find scheduled batches"),
            asyncio.create_task(self._wake(stopping), name="stop the schedule"),
        ]
        try:
            while not (stopping.is_set() or is_cancelled()):
                self._changed.clear()
                seconds = self._start_due(stopping)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._changed.wait()
        finally:
            tasks = [*helpers, *self._tasks.values()]
            if is_cancelled():
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wake(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._changed.set()
        self._publisher.stop()

    def _start_due(self, stopping: asyncio.Event) -> float:
        """Take up the lists that are due soon. Returns in how many seconds there is more to do.

        The next ones come first; those of one instant come in another order in each process, which so share the work.
        """
        time = asyncio.get_running_loop().time()
        waits = [POLL_INTERVAL_SECONDS]
        pending = [(at, random.random(), name) for name, at in self._next.items() if name not in self._tasks]  # noqa: S311
        for at, _, name in sorted(pending):
            wait = max(self._seconds_until(at) - PREPARE_SECONDS, self._left_alone.get(name, 0.0) - time)
            if wait > 0:
                waits.append(wait)
            elif len(self._tasks) < MAX_CONCURRENT_LISTS:
                self._tasks[name] = asyncio.create_task(self._publish(name, stopping), name=f"publish {name} when due")
        return min(waits)

    def _seconds_until(self, at: datetime.datetime) -> float:
        """Return the time until an instant, by what is known of the clock of the database: only roughly right."""
        return (at - now()).total_seconds() - self._clock_ahead

    async def _publish(self, name: str, stopping: asyncio.Event) -> None:
        loop, seen = asyncio.get_running_loop(), self._next.get(name)
        try:
            due_in = await self._publisher.publish(name, stopping)
        except PriceListNotFound:  # it was deleted
            self._next.pop(name, None)
        except Exception as error:  # continue with the other lists
            log_failure(log, f"Could not publish the scheduled batches of {name} yet", error)
            count = self._errors[name] = self._errors.get(name, 0) + 1
            delay = min(FIRST_RETRY_SECONDS * 2 ** (count - 1), MAX_RETRY_SECONDS)
            self._left_alone[name] = loop.time() + delay * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        else:
            self._errors.pop(name, None)
            if due_in is not None:
                self._left_alone[name] = loop.time() + min(due_in - PREPARE_SECONDS, POLL_INTERVAL_SECONDS)
            elif self._next.get(name) is seen:  # otherwise its pointer has named another change meanwhile
                self._next.pop(name, None)
        finally:
            del self._tasks[name]
            self._changed.set()

    async def _poll(self, stopping: asyncio.Event) -> None:
        while not (stopping.is_set() or is_cancelled()):
            try:
                await self._look()
            except Exception as error:
                log_failure(log, "Could not look for scheduled batches, and will retry", error)
            await is_set_within(POLL_INTERVAL_SECONDS, stopping)

    async def _look(self) -> None:
        """Ask the database for its time, for what is due soon, and for what is late."""
        self._clock_ahead = (await server_time(self._client) - now()).total_seconds()
        for name, at in (await self._batches.next_due_by_list(2 * POLL_INTERVAL_SECONDS)).items():
            if name not in self._next or at < self._next[name]:
                self._next[name] = at
        self._metrics.overdue = await self._batches.count_overdue(OVERDUE_SECONDS)
        self._changed.set()


def now() -> datetime.datetime:
    """Return the time of this process, which may be wrong."""
    return datetime.datetime.now(datetime.UTC)
