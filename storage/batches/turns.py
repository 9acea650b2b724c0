"""Turns: a batch that others overtook several times takes the turn of its list, and those that come later wait for it.

Turns are for fairness; correctness does not depend on them. After a bounded wait a batch is published without its turn.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from weakref import WeakValueDictionary

from storage.mongodb.locks import Locks

MAX_OVERTAKEN = 3
"""How often a batch is overtaken before it takes the turn."""

MAX_TURN_WAIT_SECONDS = 10.0
"""How long a batch waits for those before it in the queue of its process, and for another that has the turn."""

TURN_POLL_SECONDS = 0.1
"""Poll interval while another batch has the turn."""


class Turn:
    """The place of one batch in the publish order of its list."""

    def __init__(self, locks: Locks, name: str, stack: AsyncExitStack, *, was_queued: bool) -> None:
        self._locks = locks
        self._name = name
        self._stack = stack
        self._was_queued = was_queued
        self._times_overtaken = 0
        self._is_taken = False
        self._has_waited = False

    async def wait(self) -> bool:
        """Wait while another batch has the turn, at most `MAX_TURN_WAIT_SECONDS`, and not again after that.

        Returns whether the batch waited, here or in the queue: another version may be current now.
        """
        waited, self._was_queued = self._was_queued, False
        if self._is_taken or self._has_waited:
            return waited
        try:
            async with asyncio.timeout(MAX_TURN_WAIT_SECONDS):
                while await self._locks.is_held(self._name):
                    waited = True
                    await asyncio.sleep(TURN_POLL_SECONDS)
        except TimeoutError:
            self._has_waited = True
        return waited

    async def note_overtaken(self) -> None:
        """Note that another version became current first; take the turn after `MAX_OVERTAKEN`, if it is free."""
        self._times_overtaken += 1
        if self._times_overtaken >= MAX_OVERTAKEN and not self._is_taken:
            await self.take()

    async def take(self) -> None:
        """Take the turn, if it is free."""
        token = await self._stack.enter_async_context(self._locks.held(self._name))
        self._is_taken = token is not None


class Turns:
    """The turns of all lists: a queue of the batches of this process, and a lock between the processes."""

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def queue(self, price_list: str) -> AsyncIterator[Turn]:
        """Yield the turn of a batch, and release it at the end.

        It comes once the earlier batches of this process are published, or `MAX_TURN_WAIT_SECONDS` are over: batches
        that publish at once would only overtake each other.
        """
        earlier = self._queues.setdefault(price_list, asyncio.Lock())
        was_queued = earlier.locked()
        async with AsyncExitStack() as stack:
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_TURN_WAIT_SECONDS):
                    await stack.enter_async_context(earlier)
            yield Turn(self._locks, f"publish/{price_list}", stack, was_queued=was_queued)
