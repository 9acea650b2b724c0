"""Limits how much work one iteration of the event loop starts.

Two hundred clients at once would make an iteration take a tenth of a second, or half a second if their documents are
new. Batches, heartbeats and queries that wait for the database need several iterations for each command: the
transaction that publishes a batch would exceed its deadline each time.
"""

import asyncio
from collections import deque


class LoopLimiter:
    """Lets `limit` callers enter in each iteration of the event loop; the others wait, in order, for a later one."""

    def __init__(self, limit: int) -> None:
        self._limit = self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Return in the iteration in which the caller may proceed."""
        loop = asyncio.get_running_loop()
        if self._free == self._limit:
            loop.call_soon(self._admit)
        if self._free and not self._waiting:
            self._free -= 1
            return
        waiter = loop.create_future()
        self._waiting.append(waiter)
        await waiter

    def end_iteration(self) -> None:
        """Admit no further callers in this iteration."""
        self._free = 0

    def _admit(self) -> None:
        """Begin an iteration: admit those who wait, and run again in the next one if callers entered in this one."""
        self._free = self._limit
        while self._waiting and self._free:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._free -= 1
        if self._free < self._limit:
            asyncio.get_running_loop().call_soon(self._admit)
