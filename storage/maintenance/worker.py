"""The worker of a process: finishes its batches and those of dead processes, and runs the periodic maintenance."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pymongo.errors import PyMongoError

from storage.batches.lease_renewal import keep_lease
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.repository import Batch, BatchRepository
from storage.errors import Broken, Refused
from storage.maintenance.compaction import Compactor
from storage.maintenance.expiration import SnapshotExpirer
from storage.maintenance.garbage_collection import GarbageCollector

log = logging.getLogger("pricebook.worker")

POLL_INTERVAL_SECONDS = 2.0
"""Interval of takeovers and compaction. With `LEASE_SECONDS`, the batch of a dead process is taken over within 15 s."""

COLLECT_INTERVAL_SECONDS = 30.0
"""Interval of expiration and garbage collection."""

MAX_CONCURRENT_TAKEOVERS = 4
"""Number of batches of other processes that are finished at once. A batch takes the time to read its layer back."""

STOP_TIMEOUT_SECONDS = 5.0
"""How long background tasks may take to end when the process stops."""


class Worker:
    """The background tasks of a process."""

    def __init__(
        self,
        batches: BatchRepository,
        lifecycle: BatchLifecycle,
        compactor: Compactor,
        garbage_collector: GarbageCollector,
        expirer: SnapshotExpirer,
    ) -> None:
        self._batches = batches
        self._lifecycle = lifecycle
        self._compactor = compactor
        self._garbage_collector = garbage_collector
        self._expirer = expirer
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing: dict[str, asyncio.Task[Batch]] = {}
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start the background tasks."""
        for name, seconds, act in (
            ("take over", POLL_INTERVAL_SECONDS, self._take_over),
            ("compact", POLL_INTERVAL_SECONDS, self._compactor.run),
            ("expire", COLLECT_INTERVAL_SECONDS, self._expirer.run),
            ("collect", COLLECT_INTERVAL_SECONDS, self._garbage_collector.collect),
        ):
            self._tasks.add(asyncio.create_task(self._repeat(name, seconds, act), name=f"worker: {name}"))

    async def stop(self) -> None:
        """Stop at a safe point and release the leases, so that other processes finish the batches."""
        self._stopping.set()
        for finishing in self._finishing.values():
            finishing.cancel()
        tasks = [*self._tasks, *self._finishing.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_TIMEOUT_SECONDS)
            for overdue in late:
                overdue.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def finish(self, batch: Batch) -> asyncio.Task[Batch]:
        """Finish a batch in SEALING whose lease this process holds, in the background."""
        task = asyncio.create_task(self._finish(batch), name=f"finish batch {batch.id}")
        self._finishing[batch.id] = task
        task.add_done_callback(lambda _: self._finishing.pop(batch.id, None))
        return task

    async def _finish(self, batch: Batch) -> Batch:
        async with keep_lease(self._batches, batch):
            return await self._lifecycle.finish(batch)

    async def _take_over(self) -> None:
        finishing = []
        stalled = await self._batches.stalled()
        random.shuffle(stalled)  # so that batches that fail each time do not keep others from their turn
        for batch_id in stalled:
            taken = None if batch_id in self._finishing else await self._try_take_over(batch_id)
            if taken:
                log.warning("Taking over batch %s from a process that stopped.", batch_id)
                finishing.append(self.finish(taken))
            if len(finishing) == MAX_CONCURRENT_TAKEOVERS:
                break
        if finishing:
            await asyncio.wait(finishing)

    async def _try_take_over(self, batch_id: str) -> Batch | None:
        try:
            return await self._batches.take_over(batch_id)
        except Exception as error:  # continue with the other batches
            log.warning("Could not take over batch %s yet: %s: %s", batch_id, type(error).__name__, error)
            return None

    async def _repeat(self, name: str, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds * random.uniform(0.8, 1.0)):  # noqa: S311 - jitter, no secret
                    await self._stopping.wait()
                    return
            try:
                await act()
            except (Broken, Refused, PyMongoError) as error:
                log.warning("Task %r failed and will be retried: %s: %s", name, type(error).__name__, error)
            except Exception:
                log.exception("Task %r failed and will be retried.", name)
