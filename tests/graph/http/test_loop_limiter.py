"""Few pass in a turn of the event loop, in order, and nobody is forgotten."""

import asyncio

import pytest

from graph.http.loop_limiter import LoopLimiter


async def test_so_many_pass_in_a_turn_in_the_order_they_came() -> None:
    turnstile, passed = LoopLimiter(2), list[int]()

    async def come(number: int) -> None:
        await turnstile.enter()
        passed.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(7)]
    seen = []
    while len(passed) < 7:
        await asyncio.sleep(0)
        seen.append(len(passed))
    await asyncio.gather(*tasks)
    assert passed == list(range(7))
    assert all(after - before <= 2 for before, after in zip([0, *seen], seen, strict=False))


async def test_who_gave_up_takes_no_place() -> None:
    turnstile = LoopLimiter(1)
    await turnstile.enter()
    waiting = [asyncio.create_task(turnstile.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    async with asyncio.timeout(30):
        await asyncio.wait(waiting)
    assert waiting[1].cancelled()


async def test_after_a_rush_it_is_open_again() -> None:
    turnstile = LoopLimiter(1)
    async with asyncio.timeout(30):
        await asyncio.gather(*(turnstile.enter() for _ in range(5)))
        for _ in range(3):
            await asyncio.sleep(0)
        alone = turnstile.enter()
        with pytest.raises(StopIteration):
            alone.send(None)
