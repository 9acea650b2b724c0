"""Fair sharing of the event loop between long-running work and everything else.

Long work runs in steps of some milliseconds and yields after each. If it yielded to the loop every time, each step
would cost it a full iteration of a busy loop, and it would starve. So a task gets a time slice that is proportional to
the time that the other tasks took before it, and yields only when the slice is used up. Of several tasks with long
work, one gets a slice per loop iteration; otherwise they would block the loop for the sum of their slices. All steps
of a task count towards one slice, even if different functions yield (such as decompressing and decoding).
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from weakref import WeakKeyDictionary

SHARE = 0.25
"""Length of a time slice, as a share of the time that other tasks took since the last slice of any long work."""

MIN_SLICE_SECONDS = 0.001
"""Lower limit of a time slice: a shorter one would be spent largely on the iteration of the event loop."""

MAX_SLICE_SECONDS = 0.02
"""Upper limit of a time slice."""


async def yield_to_loop() -> None:
    """Let other tasks run if the time slice of the current task is used up. Call it between two steps of long work."""
    task, now = asyncio.current_task(), perf_counter()
    if task is None:
        raise AssertionError("yield_to_loop() needs a running task.")
    time_slice = _slices.get(task)
    if time_slice and now - time_slice.began < time_slice.seconds:
        return
    others = await _queue().wait(now)
    seconds = min(max(SHARE * others, MIN_SLICE_SECONDS), MAX_SLICE_SECONDS)
    _slices[task] = _TimeSlice(perf_counter(), seconds)


@dataclass(frozen=True, slots=True)
class _TimeSlice:
    """The time slice of a task: its start and its length."""

    began: float
    seconds: float


class _Queue:
    """The tasks that wait for a time slice on one event loop, which wakes one of them per iteration."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last_ended = 0.0

    async def wait(self, ended: float) -> float:
        """End a time slice, wait for the next one, and return the seconds between the last slice of any task and it."""
        self._last_ended = ended
        woken = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._wake_next)
        self._waiting.append(woken)
        await woken
        return perf_counter() - self._last_ended

    def _wake_next(self) -> None:
        woken = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._wake_next)
        if not woken.done():
            woken.set_result(None)


_slices: WeakKeyDictionary["asyncio.Task[object]", _TimeSlice] = WeakKeyDictionary()
_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


def _queue() -> _Queue:
    loop = asyncio.get_running_loop()
    queue = _queues.get(loop)
    if queue is None:
        queue = _queues[loop] = _Queue()
    return queue
