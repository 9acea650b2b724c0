"""Long work yields after each step on an idle loop, and keeps its share of a busy one."""

import asyncio

import pytest

from storage import fair_yield
from storage.fair_yield import MAX_SLICE_SECONDS, SHARE, yield_to_loop

STEP_SECONDS = 0.001


class Clock:
    """A clock that only moves when the event loop is blocked."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def block(self, seconds: float) -> None:
        """Block the event loop."""
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(fair_yield, "perf_counter", clock.perf_counter)
    return clock


async def iterations_of_others(clock: Clock, steps: int, seconds: float, stages: int = 1) -> int:
    """Count how often another task runs, `seconds` at a time, during `steps` steps of long work.

    Each step has `stages` stages, and each stage yields.
    """
    count = 0
    ended = asyncio.Event()

    async def others() -> None:
        nonlocal count
        while not ended.is_set():
            count += 1
            clock.block(seconds)
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    for _ in range(steps):
        clock.block(STEP_SECONDS)
        for _ in range(stages):
            await yield_to_loop()
    ended.set()
    await task
    return count


async def test_other_tasks_run_after_each_step_if_they_take_no_time(clock: Clock) -> None:
    assert await iterations_of_others(clock, 20, 0) >= 20


async def test_work_keeps_its_share_if_other_tasks_take_long(clock: Clock) -> None:
    # At most this many steps fit into a time slice.
    steps_in_a_slice = SHARE * 0.04 / STEP_SECONDS
    assert 20 / steps_in_a_slice <= await iterations_of_others(clock, 20, 0.04) < 15


async def test_work_that_yields_in_several_stages_keeps_the_same_share(clock: Clock) -> None:
    steps_in_a_slice = SHARE * 0.04 / STEP_SECONDS
    assert 20 / steps_in_a_slice <= await iterations_of_others(clock, 20, 0.04, stages=3) < 15


async def test_a_time_slice_is_limited_however_long_other_tasks_take(clock: Clock) -> None:
    steps = 3 * round(MAX_SLICE_SECONDS / STEP_SECONDS)
    assert await iterations_of_others(clock, steps, 0.4) >= 3


async def test_one_of_several_working_tasks_runs_per_loop_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_yield, "SHARE", 0.0)
    monkeypatch.setattr(fair_yield, "MIN_SLICE_SECONDS", 0.0)
    done: list[list[int]] = []
    ended = asyncio.Event()

    async def iterate() -> None:
        while not ended.is_set():
            done.append([])
            await asyncio.sleep(0)

    async def work(number: int) -> None:
        for _ in range(10):
            await yield_to_loop()
            done[-1].append(number)

    iterating = asyncio.create_task(iterate())
    await asyncio.gather(*(work(number) for number in range(5)))
    ended.set()
    await iterating
    assert [numbers[0] for numbers in done if numbers] == 10 * [0, 1, 2, 3, 4]
    assert all(len(numbers) <= 1 for numbers in done)


async def test_cancelled_waiters_are_skipped(clock: Clock) -> None:
    waiting = [asyncio.create_task(yield_to_loop()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await waiting[2]
    assert [task.cancelled() for task in waiting] == [True, True, False]
