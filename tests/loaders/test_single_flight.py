"""Concurrent calls for one key share one execution, and nothing of it is kept."""

import asyncio
import gc
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from loaders.single_flight import SingleFlight


class Work:
    """A coroutine that waits for `go`, and counts how often it is started."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = asyncio.Event()
        self.started: list[str] = []
        self.finished = 0
        self._error = error

    def __call__(self, key: str) -> Callable[[], Coroutine[Any, Any, str]]:
        return partial(self._run, key)

    async def _run(self, key: str) -> str:
        self.started.append(key)
        await self.go.wait()
        self.finished += 1
        if self._error:
            raise self._error
        return key.upper()


@pytest.fixture
def flight() -> SingleFlight[str, str]:
    """A `SingleFlight` without a task."""
    return SingleFlight("test")


async def start_callers(flight: SingleFlight[str, str], work: Work, keys: str) -> list[asyncio.Task[str]]:
    callers = [asyncio.create_task(flight.run(key, work(key))) for key in keys]
    await asyncio.sleep(0.001)
    return callers


async def test_concurrent_callers_of_one_key_share_one_task(flight: SingleFlight[str, str]) -> None:
    work = Work()
    callers = await start_callers(flight, work, "aabab")
    work.go.set()
    assert await asyncio.gather(*callers) == list("AABAB")
    assert work.started == ["a", "b"]


async def test_a_result_is_not_kept(flight: SingleFlight[str, str]) -> None:
    work = Work()
    work.go.set()
    for _ in range(2):
        assert await flight.run("a", work("a")) == "A"
    assert work.started == ["a", "a"]
    assert not flight._tasks


async def test_a_cancelled_caller_does_not_cancel_the_others(flight: SingleFlight[str, str]) -> None:
    work = Work()
    first, second = await start_callers(flight, work, "aa")
    first.cancel()
    await asyncio.sleep(0)
    work.go.set()
    assert await second == "A"
    assert first.cancelled()
    assert work.started == ["a"]


async def test_work_that_all_callers_left_is_finished_and_its_error_is_not_logged(
    flight: SingleFlight[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(ValueError("x"))
    callers = await start_callers(flight, work, "aa")
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    work.go.set()
    await asyncio.sleep(0.001)
    gc.collect()
    assert work.finished == 1
    assert not flight._tasks
    assert not caplog.records


async def test_an_error_reaches_all_waiting_callers_and_is_not_kept(flight: SingleFlight[str, str]) -> None:
    work = Work(ValueError("x"))
    callers = await start_callers(flight, work, "aaa")
    work.go.set()
    assert [type(error) for error in await asyncio.gather(*callers, return_exceptions=True)] == [ValueError] * 3
    healthy = Work()
    healthy.go.set()
    assert await flight.run("a", healthy("a")) == "A"


async def test_the_traceback_of_an_error_does_not_grow_with_the_number_of_callers(
    flight: SingleFlight[str, str],
) -> None:
    lengths: list[int] = []

    async def call(work: Work) -> None:
        try:
            await flight.run("a", work("a"))
        except ValueError as error:
            lengths.append(len(traceback.extract_tb(error.__traceback__)))

    work = Work(ValueError("x"))
    work.go.set()
    await asyncio.gather(*[call(work) for _ in range(50)])
    assert len(lengths) == 50
    assert len(set(lengths)) == 1


async def test_an_error_to_start_leaves_nothing_behind(flight: SingleFlight[str, str]) -> None:
    def start() -> Coroutine[Any, Any, str]:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await flight.run("a", start)
    assert not flight._tasks
