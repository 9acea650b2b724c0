"""How a process goes away: told to the balancer, to who follows something, then done."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

T = TypeVar("T")


class Drain:
    """How far a process is with it: it begins to drain, later ends what has no end of its own."""

    def __init__(self) -> None:
        self.has_begun = False
        self._ended = asyncio.Event()

    def begin(self) -> None:
        """Let the balancer know, by `/readyz`, that this process takes requests no longer, though it still does."""
        self.has_begun = True

    def end_subscriptions(self) -> None:
        """Complete all subscriptions, as their protocols have it: clients connect again, elsewhere."""
        self._ended.set()

    async def until_ended(self, values: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """Yield values as they come, until there are no more or subscriptions end."""
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            async with aclosing(values):
                while (value := await _first(anext(values), ended)) is not None:
                    yield value.result()
        except StopAsyncIteration:
            return
        finally:
            ended.cancel()


async def _first(awaited: Awaitable[T], ended: "asyncio.Future[Any]") -> "asyncio.Future[T] | None":
    """Return what is awaited, done; None where `ended` is done before."""
    value = asyncio.ensure_future(awaited)
    try:
        await asyncio.wait((value, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_done = value.done()
        if not is_done:
            value.cancel()
            await asyncio.wait((value,))
    return value if is_done else None
