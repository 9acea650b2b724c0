"""Clients that work for as long as a test's body runs."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager


@asynccontextmanager
async def at_work(clients: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run them, and end them with the body. An error of one of them is raised then."""
    tasks = [asyncio.create_task(client) for client in clients]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
