"""How much work is done between two turns of the event loop, however fast the machine is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from unittest.mock import patch

from storage import fair_yield


@asynccontextmanager
async def steps_of(done: Callable[[], int]) -> AsyncIterator[list[int]]:
    """Collect how much is done in each turn of the event loop in which something is. Every yield ends a time slice."""
    steps: list[int] = []
    before = done()

    async def others() -> None:
        nonlocal before
        while True:
            now = done()
            if now > before:
                steps.append(now - before)
            before = now
            await asyncio.sleep(0)

    with patch.object(fair_yield, "SHARE", 0.0), patch.object(fair_yield, "MIN_SLICE_SECONDS", 0.0):
        running = asyncio.create_task(others())
        try:
            yield steps
            await asyncio.sleep(0)
        finally:
            running.cancel()
