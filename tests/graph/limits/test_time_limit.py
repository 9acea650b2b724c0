"""The timeout of a query: it cancels a query that waits too long, and changes nothing else."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from graph.limits.limits import DEFAULT_LIMITS, OverLimit
from graph.limits.time_limit import run_with_timeout

NO_TIME = replace(DEFAULT_LIMITS, seconds=0)


async def immediately() -> int:
    return 7


async def after_a_while() -> int:
    for _ in range(3):
        await asyncio.sleep(0)
    return 7


async def in_another_task() -> int:
    return await asyncio.create_task(after_a_while())


async def after_a_caught_error() -> int:
    failing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(failing.set_exception, KeyError("x"))
    try:
        return await failing
    except KeyError:
        return await after_a_while()


@pytest.mark.parametrize("query", [immediately, after_a_while, in_another_task, after_a_caught_error])
async def test_a_query_in_time_returns_its_result(query: Callable[[], Coroutine[None, None, int]]) -> None:
    assert await run_with_timeout(DEFAULT_LIMITS, query()) == 7


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError, asyncio.CancelledError])
async def test_errors_of_a_query_are_propagated(error: type[BaseException], *, waits: bool) -> None:
    async def failing() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    with pytest.raises(error):
        await run_with_timeout(DEFAULT_LIMITS, failing())


async def test_a_query_that_waits_too_long_is_cancelled_with_a_timeout() -> None:
    ended = asyncio.Event()

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(OverLimit) as caught:
        await run_with_timeout(NO_TIME, waiting())
    assert caught.value.code == "QUERY_TIMEOUT"
    assert ended.is_set()


async def test_cancellation_cancels_the_query() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def waiting() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    task = asyncio.create_task(run_with_timeout(DEFAULT_LIMITS, waiting()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
