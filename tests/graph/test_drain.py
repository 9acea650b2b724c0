"""A process that drains completes its subscriptions."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from graph.drain import Drain


class Source:
    """Yields the values of a queue, and records that it was closed."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[int] = asyncio.Queue()
        self.is_closed = False

    async def follow(self) -> AsyncGenerator[int, None]:
        try:
            while value := await self.values.get():
                yield value
        finally:
            self.is_closed = True


async def test_values_pass_unchanged_until_their_end() -> None:
    source = Source()
    for value in (1, 2, 0):
        source.values.put_nowait(value)
    assert [value async for value in Drain().until_ended(source.follow())] == [1, 2]
    assert source.is_closed


async def test_draining_ends_no_subscription_before_subscriptions_are_ended() -> None:
    drain, source = Drain(), Source()
    values = drain.until_ended(source.follow())
    source.values.put_nowait(1)
    assert await anext(values) == 1
    waiting = asyncio.create_task(anext(values, None))
    drain.begin()
    await asyncio.sleep(0.01)
    assert not waiting.done()
    drain.end_subscriptions()
    assert await asyncio.wait_for(waiting, 5) is None
    assert source.is_closed


async def test_a_subscription_that_starts_after_the_end_is_complete_at_once() -> None:
    drain, source = Drain(), Source()
    drain.end_subscriptions()
    assert [value async for value in drain.until_ended(source.follow())] == []


async def test_an_error_propagates() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError

    values = Drain().until_ended(failing())
    assert await anext(values) == 1
    with pytest.raises(LookupError):
        await anext(values)


async def test_a_cancelled_subscriber_closes_its_source() -> None:
    source = Source()
    values = Drain().until_ended(source.follow())
    waiting = asyncio.create_task(anext(values))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert source.is_closed
