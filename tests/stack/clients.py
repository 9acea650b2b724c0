"""Runs clients in the background of a test."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager


@asynccontextmanager
async def running(clients: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run clients until the body ends, then cancel them. Raises the first error of a client."""
    tasks = [asyncio.create_task(client) for client in clients]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
