"""The limiter admits a few callers in each iteration of the event loop, in order, and forgets none."""

import asyncio

import pytest

from graph.http.loop_limiter import LoopLimiter


async def test_a_limited_number_enters_in_each_iteration_in_order() -> None:
    limiter, entered = LoopLimiter(2), list[int]()

    async def enter(number: int) -> None:
        await limiter.enter()
        entered.append(number)

    tasks = [asyncio.create_task(enter(number)) for number in range(7)]
    counts = []
    while len(entered) < 7:
        await asyncio.sleep(0)
        counts.append(len(entered))
    await asyncio.gather(*tasks)
    assert entered == list(range(7))
    assert all(after - before <= 2 for before, after in zip([0, *counts], counts, strict=False))


async def test_a_cancelled_caller_takes_no_slot() -> None:
    limiter = LoopLimiter(1)
    await limiter.enter()
    waiting = [asyncio.create_task(limiter.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    async with asyncio.timeout(30):
        await asyncio.wait(waiting)
    assert waiting[1].cancelled()


async def test_after_a_burst_a_caller_enters_at_once() -> None:
    limiter = LoopLimiter(1)
    async with asyncio.timeout(30):
        await asyncio.gather(*(limiter.enter() for _ in range(5)))
        for _ in range(3):
            await asyncio.sleep(0)
        entering = limiter.enter()
        with pytest.raises(StopIteration):
            entering.send(None)
