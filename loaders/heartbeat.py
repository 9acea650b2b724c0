"""The heartbeat of this process: it tells which pointers it answers by, at once when one moves, and what it reads."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress

from loaders.pointer_cache import PointerCache
from storage import HEARTBEAT_INTERVAL_SECONDS, Store

log = logging.getLogger("pricebook.heartbeat")


class Heartbeat:
    """Beats in the background of one process."""

    def __init__(self, store: Store, pointers: PointerCache) -> None:
        self._processes = store.processes
        self._snapshots = store.snapshots
        self._pointers = pointers
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    async def stop(self) -> None:
        """End after the beat that is under way, and tell that this process is gone."""
        self._stopping = True
        self._pointers.moved.set()
        if self._task:
            await self._task
        await self._try(self._processes.leave())

    async def _run(self) -> None:
        while not self._stopping:
            moved = self._pointers.moved
            await self._try(self._processes.beat(self._pointers.revisions()))
            await self._try(self._note_reads())
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_INTERVAL_SECONDS):
                    await moved.wait()

    async def _note_reads(self) -> None:
        keys = self._pointers.reads.take()
        if not keys:
            return
        try:
            await self._snapshots.note_reads(keys)
        except Exception:
            self._pointers.reads.put_back(keys)
            raise

    async def _try(self, act: Coroutine[None, None, None]) -> None:
        try:
            await act
        except Exception as error:
            log.warning("The heartbeat was missed: %s", error)
