"""The heartbeat of a process: records the pointer revisions that it serves and the old versions that it reads."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress

from loaders.pointer_cache import PointerCache
from storage import HEARTBEAT_INTERVAL_SECONDS, Store

log = logging.getLogger("pricebook.heartbeat")

READS_INTERVAL_SECONDS = 2.0
"""Interval at which the old versions that were read are recorded."""

MIN_INTERVAL_SECONDS = 0.25
"""Least time between two heartbeats, however often pointers move."""

RETRY_SECONDS = 2.0
"""Time until a heartbeat that failed is written again."""


class Heartbeat:
    """Writes the heartbeat of one process, records the old versions that it reads, and samples the database's clock.

    It is written at an interval, and at once when a pointer moves.
    """

    def __init__(self, store: Store, pointers: PointerCache) -> None:
        self._processes = store.processes
        self._snapshots = store.snapshots
        self._pointers = pointers
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start the background tasks."""
        self._tasks = [
            asyncio.create_task(self._beat(), name="heartbeat"),
            asyncio.create_task(self._record_reads(), name="recording of reads"),
            asyncio.create_task(self._sample_clock(), name="sampling of the database's clock"),
        ]

    async def stop(self) -> None:
        """Finish the current beat, and remove this process from the registry."""
        self._stopping.set()
        self._pointers.moved.set()
        await asyncio.gather(*self._tasks)
        await self._try("Heartbeat", self._processes.leave())

    async def _beat(self) -> None:
        while not self._stopping.is_set():
            moved = self._pointers.moved
            is_written = await self._try("Heartbeat", self._processes.beat(self._pointers.revisions()))
            await self._wait(self._stopping, MIN_INTERVAL_SECONDS)
            await self._wait(moved, HEARTBEAT_INTERVAL_SECONDS if is_written else RETRY_SECONDS)

    async def _record_reads(self) -> None:
        while not self._stopping.is_set():
            await self._try("Recording reads", self._note_reads())
            await self._wait(self._stopping, READS_INTERVAL_SECONDS)

    async def _sample_clock(self) -> None:
        while not self._stopping.is_set():
            is_sampled = await self._try("Reading the time of the database", self._pointers.clock.sample())
            await self._wait(self._stopping, HEARTBEAT_INTERVAL_SECONDS if is_sampled else RETRY_SECONDS)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    async def _note_reads(self) -> None:
        keys = self._pointers.reads.take()
        if not keys:
            return
        try:
            await self._snapshots.note_reads(keys)
        except Exception:
            self._pointers.reads.put_back(keys)
            raise

    async def _try(self, name: str, action: Coroutine[None, None, None]) -> bool:
        try:
            await action
        except Exception as error:
            log.warning("%s failed: %s", name, error)
            return False
        return True
