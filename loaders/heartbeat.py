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


class Heartbeat:
    """Writes the heartbeat of one process, and records the old versions that it reads.

    It is written at an interval, and at once when a pointer moves.
    """

    def __init__(self, store: Store, pointers: PointerCache) -> None:
        self._processes = store.processes
        self._snapshots = store.snapshots
        self._pointers = pointers
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the background task."""
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    async def stop(self) -> None:
        """Finish the current beat, and remove this process from the registry."""
        self._stopping = True
        self._pointers.moved.set()
        if self._task:
            await self._task
        await self._try("Heartbeat", self._processes.leave())

    async def _run(self) -> None:
        loop, due = asyncio.get_running_loop(), 0.0
        while not self._stopping:
            moved = self._pointers.moved
            if loop.time() >= due and await self._try("Heartbeat", self._processes.beat(self._pointers.revisions())):
                due = loop.time() + HEARTBEAT_INTERVAL_SECONDS
            await self._try("Recording reads", self._note_reads())
            with suppress(TimeoutError):
                async with asyncio.timeout(READS_INTERVAL_SECONDS):
                    await moved.wait()
            if moved.is_set():
                due = 0.0

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
