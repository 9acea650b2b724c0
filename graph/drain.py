"""Draining: a process that stops first becomes unready, then completes its subscriptions."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

T = TypeVar("T")


class Drain:
    """The progress of a process towards its end."""

    def __init__(self) -> None:
        self.is_draining = False
        self._subscriptions_ended = asyncio.Event()

    def begin(self) -> None:
        """Make `/readyz` respond 503, so that load balancers use other processes. Requests are still served."""
        self.is_draining = True

    def end_subscriptions(self) -> None:
        """Complete all subscriptions by their protocols. Clients reconnect, to other processes."""
        self._subscriptions_ended.set()

    async def until_ended(self, values: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """Yield values until there are no more or subscriptions end."""
        ended = asyncio.ensure_future(self._subscriptions_ended.wait())
        try:
            async with aclosing(values):
                while (value := await _first(anext(values), ended)) is not None:
                    yield value.result()
        except StopAsyncIteration:
            return
        finally:
            ended.cancel()


async def _first(awaitable: Awaitable[T], ended: "asyncio.Future[Any]") -> "asyncio.Future[T] | None":
    """Return the finished future of an awaitable; None if `ended` finishes before."""
    value = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((value, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_done = value.done()
        if not is_done:
            value.cancel()
            await asyncio.wait((value,))
    return value if is_done else None
