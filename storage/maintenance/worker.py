"""The worker of a process: finishes batches, publishes them on schedule, and may lead the maintenance."""

import asyncio
import logging
import random
from collections.abc import Coroutine

from storage.batches.batch import Batch
from storage.batches.lease_renewal import keep_lease
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.repository import BatchRepository
from storage.maintenance.deletion import PriceListDeleter
from storage.maintenance.leader import Leader
from storage.maintenance.periodic import log_failure, repeat
from storage.maintenance.publication_schedule import PublicationSchedule

log = logging.getLogger("pricebook.worker")

TAKEOVER_INTERVAL_SECONDS = 2.0
"""Interval of takeovers. With `LEASE_SECONDS`, the batch of a dead process is taken over within 15 s."""

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
        deleter: PriceListDeleter,
        leader: Leader,
        publications: PublicationSchedule,
    ) -> None:
        self._batches = batches
        self._lifecycle = lifecycle
        self._deleter = deleter
        self._leader = leader
        self._publications = publications
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing: dict[str, asyncio.Task[Batch]] = {}
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start the background tasks."""
        take_over = repeat("take over", TAKEOVER_INTERVAL_SECONDS, self._take_over, self._stopping)
        self._tasks = {
            asyncio.create_task(take_over, name="take over"),
            asyncio.create_task(self._leader.run(self._stopping), name="lead"),
            asyncio.create_task(self._publications.run(self._stopping), name="publish on schedule"),
        }

    async def stop(self) -> None:
        """End the background tasks and release the leases, so that other processes continue."""
        self._stopping.set()
        tasks = [*self._tasks, *self._finishing.values()]
        for finishing in self._finishing.values():
            finishing.cancel()
        if tasks:
            ended, late = await asyncio.wait(tasks, timeout=STOP_TIMEOUT_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)

    def finish(self, batch: Batch) -> asyncio.Task[Batch]:
        """Finish a batch in SEALING whose lease this process holds, in the background."""
        task = asyncio.create_task(self._finish(batch), name=f"finish batch {batch.id}")
        self._finishing[batch.id] = task
        task.add_done_callback(lambda _: self._finished(batch.id, task))
        return task

    def _finished(self, batch_id: str, task: asyncio.Task[Batch]) -> None:
        self._finishing.pop(batch_id, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            log_failure(log, f"Could not finish batch {batch_id}", error)

    async def _finish(self, batch: Batch) -> Batch:
        async with keep_lease(self._batches, batch):
            return await self._lifecycle.finish(batch)

    def end_superseded(self, name: str) -> None:
        """Reject the superseded batches of a list in the background. If it fails, the maintenance does it."""
        self._run(self._lifecycle.end_superseded(name), f"end superseded batches of {name}")

    def purge(self, name: str) -> None:
        """Remove the versions and batches of a deleted list in the background. If it fails, the maintenance does it."""
        self._run(self._deleter.purge(name), f"remove the versions of {name}")

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:  # the maintenance does it
                log_failure(log, f"Could not {name} yet", error)

        task = asyncio.create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
            return await self._lifecycle.take_over(batch_id)
        except Exception as error:  # continue with the other batches
            log_failure(log, f"Could not take over batch {batch_id} yet", error)
            return None
