"""Waiting for a condition by polling, with a timeout."""

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 30.0
POLL_INTERVAL_SECONDS = 0.02


async def until(probe: Callable[[], Awaitable[bool]], what: str, *, seconds: float = DEADLINE_SECONDS) -> None:
    """Poll `probe` until it returns true. Fail with "Not `what`" after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await probe():
        assert loop.time() < deadline, f"Not {what} within {seconds:g} s."
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
