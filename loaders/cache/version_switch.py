"""Turning to a version that was published: when it is warm, or when its time is over."""

import asyncio
from collections.abc import Callable

from loaders.cache.warmer import Warmer
from storage import PriceList

# A version that was published is warmed for so long, in seconds, before readers are given it all the same.
MAX_SWITCH_DELAY_SECONDS = 2.0


class VersionSwitch:
    """The way of one list to its newest pointer: each in its turn is warmed, then given to `turn`.

    What is published meanwhile is warmed next, upon the one before. Calls `done`, with the list's name, when nothing
    is left to turn to.
    """

    def __init__(
        self, head: PriceList, warmer: Warmer, turn: Callable[[PriceList], None], done: Callable[[str], None]
    ) -> None:
        self._name = head.name
        self._warmer = warmer
        self._turn = turn
        self._done = done
        self._next: PriceList | None = None
        self._newest = 0
        self._due = 0.0
        self._warm: asyncio.Task[None] | None = None
        self.follow(head)
        self._task = asyncio.create_task(self._run(), name=f"turn of {head.name}")

    def follow(self, head: PriceList) -> None:
        """Turn to this pointer next; one that still waited is passed over, and its time is this one's."""
        if head.revision <= self._newest:
            return
        self._newest = head.revision
        if self._next is None:
            self._due = asyncio.get_running_loop().time() + MAX_SWITCH_DELAY_SECONDS
        self._next = head

    def cancel(self) -> None:
        """Leave it."""
        self._task.cancel()
        if self._warm:
            self._warm.cancel()

    async def _run(self) -> None:
        head = self._next
        while head is not None:
            due, self._next = self._due, None
            if self._warm:
                self._warm.cancel()
            self._warm = self._warmer.start(head)
            left = due - asyncio.get_running_loop().time()
            await asyncio.wait([self._warm], timeout=max(0.0, left))
            self._turn(head)
            head = self._next
        self._done(self._name)
