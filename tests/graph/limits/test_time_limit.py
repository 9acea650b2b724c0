"""The time limit of a query: it ends what waits too long, and changes nothing else."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from graph.limits.limits import DEFAULT_LIMITS, OverLimit
from graph.limits.time_limit import within

SOON = replace(DEFAULT_LIMITS, seconds=0)


async def at_once() -> int:
    return 7


async def after_a_while() -> int:
    for _ in range(3):
        await asyncio.sleep(0)
    return 7


async def for_another_task() -> int:
    return await asyncio.create_task(after_a_while())


async def after_an_error_that_was_caught() -> int:
    failing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(failing.set_exception, KeyError("x"))
    try:
        return await failing
    except KeyError:
        return await after_a_while()


@pytest.mark.parametrize("query", [at_once, after_a_while, for_another_task, after_an_error_that_was_caught])
async def test_a_query_in_time_is_answered(query: Callable[[], Coroutine[None, None, int]]) -> None:
    assert await within(DEFAULT_LIMITS, query()) == 7


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError, asyncio.CancelledError])
async def test_the_errors_of_a_query_are_its_own(error: type[BaseException], *, waits: bool) -> None:
    async def failing() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    with pytest.raises(error):
        await within(DEFAULT_LIMITS, failing())


async def test_a_query_that_waits_too_long_is_ended_and_the_caller_told() -> None:
    ended = asyncio.Event()

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(OverLimit) as caught:
        await within(SOON, waiting())
    assert caught.value.code == "QUERY_TIMEOUT"
    assert ended.is_set()


async def test_who_is_cancelled_cancels_the_query() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def waiting() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    task = asyncio.create_task(within(DEFAULT_LIMITS, waiting()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
