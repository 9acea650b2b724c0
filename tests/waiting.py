"""Waiting for what happens elsewhere: asked again until it is so, and at most so long."""

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 30.0
PAUSE_SECONDS = 0.02


async def until(probe: Callable[[], Awaitable[bool]], what: str, *, seconds: float = DEADLINE_SECONDS) -> None:
    """Return when `probe` answers true; fail when it has not within `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await probe():
        assert loop.time() < deadline, f"Not {what} within {seconds:g} s."
        await asyncio.sleep(PAUSE_SECONDS)
