"""The switch of a process to a published version: once it is warm, or after a timeout."""

import asyncio
import logging
from collections.abc import Callable

from loaders.cache.warmer import Warmer
from storage import PriceList

log = logging.getLogger("pricebook.warming")

MAX_SWITCH_DELAY_SECONDS = 2.0
"""How long a published version is warmed before the process switches to it even if it is still cold."""


class VersionSwitch:
    """Switches one list to its newest pointer: warms the version that it names, then calls `switch`.

    A pointer that arrives during the warming is warmed next, from the version before it. Calls `done` with the name of
    the list once no pointer is left.
    """

    def __init__(
        self, pointer: PriceList, warmer: Warmer, switch: Callable[[PriceList], None], done: Callable[[str], None]
    ) -> None:
        self._name = pointer.name
        self._warmer = warmer
        self._switch = switch
        self._done = done
        self._next: PriceList | None = None
        self._newest_revision = 0
        self._deadline = 0.0
        self._warming: asyncio.Task[None] | None = None
        self.follow(pointer)
        self._task = asyncio.create_task(self._run(), name=f"switch of {pointer.name}")

    def follow(self, pointer: PriceList) -> None:
        """Switch to this pointer next. It replaces a pointer that still waits, and inherits its deadline."""
        if pointer.revision <= self._newest_revision:
            return
        self._newest_revision = pointer.revision
        if self._next is None:
            self._deadline = asyncio.get_running_loop().time() + MAX_SWITCH_DELAY_SECONDS
        self._next = pointer

    def cancel(self) -> None:
        """Stop warming and switching."""
        self._task.cancel()
        if self._warming:
            self._warming.cancel()

    async def _run(self) -> None:
        try:
            await self._switch_all()
        except Exception:
            log.exception("Switching %s to a new version failed.", self._name)
        self._done(self._name)

    async def _switch_all(self) -> None:
        pointer = self._next
        while pointer is not None:
            deadline, self._next = self._deadline, None
            try:
                await self._warm(pointer, deadline)
            except Exception:  # the version is served without
                log.exception("Warming a new version of %s failed.", self._name)
            self._switch(pointer)
            pointer = self._next

    async def _warm(self, pointer: PriceList, deadline: float) -> None:
        """Start to warm the version of a pointer; return when it is warm, or at the deadline."""
        if self._warming:
            self._warming.cancel()
        self._warming = self._warmer.start(pointer)
        remaining = deadline - asyncio.get_running_loop().time()
        await asyncio.wait([self._warming], timeout=max(0.0, remaining))
