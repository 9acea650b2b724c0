"""Turns: a batch that others overtook several times takes the turn of its list, and those that come later wait for it.

Only fairness depends on it. A batch waits a bounded time, and publishes then whoever has the turn.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from weakref import WeakValueDictionary

from storage.mongodb.locks import Locks

LOSSES_BEFORE_TURN = 3
"""How often a batch is overtaken before it takes the turn."""

MAX_TURN_WAIT_SECONDS = 10.0
"""How long a batch waits for those before it in the queue of its process, and for another that has the turn."""

TURN_POLL_SECONDS = 0.1
"""Poll interval while another batch has the turn."""


class Turn:
    """The part of one batch in the turns of its list."""

    def __init__(self, locks: Locks, name: str, stack: AsyncExitStack) -> None:
        self._locks = locks
        self._name = name
        self._stack = stack
        self._losses = 0
        self._is_taken = False
        self._is_patient = True

    async def wait(self) -> None:
        """Wait while another batch has the turn, at most `MAX_TURN_WAIT_SECONDS`, and not again after that."""
        if self._is_taken or not self._is_patient:
            return
        try:
            async with asyncio.timeout(MAX_TURN_WAIT_SECONDS):
                while await self._locks.is_held(self._name):  # noqa: ASYNC110 - another process ends it
                    await asyncio.sleep(TURN_POLL_SECONDS)
        except TimeoutError:
            self._is_patient = False

    async def lose(self) -> None:
        """Note that another version became current first; take the turn after `LOSSES_BEFORE_TURN`, if it is free."""
        self._losses += 1
        if self._losses >= LOSSES_BEFORE_TURN and not self._is_taken:
            token = await self._stack.enter_async_context(self._locks.held(self._name))
            self._is_taken = token is not None


class Turns:
    """The turns of all lists: a queue of the batches of this process, and a lock between the processes."""

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, price_list: str) -> AsyncIterator[Turn]:
        """Yield the turn of a batch of a list, when this process has published those before it; end it at the end.

        Batches that publish at once would only overtake each other.
        """
        queue = self._queues.setdefault(price_list, asyncio.Lock())
        async with AsyncExitStack() as stack:
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_TURN_WAIT_SECONDS):
                    await stack.enter_async_context(queue)
            yield Turn(self._locks, f"publish/{price_list}", stack)
