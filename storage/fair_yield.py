"""Long work and everything else of a process share its event loop by turns.

Work that is done in slices, and gives way after every one, starves where many requests wait: each slice of some
milliseconds costs it a round of all the others. So how long it goes on depends on how long the others took. And where
many tasks have long work, one of them has its turn in a round: all at once would hold the loop for the sum of their
turns. What one task does in several places, as decoding what it decompresses, are slices of one turn.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from weakref import WeakKeyDictionary

SHARE = 0.25
"""Work goes on for so much of the time that the others had since any work had its turn ..."""

LONGEST_SECONDS = 0.02
"""... but never for longer, and gives way after every slice where nobody else has much to do."""


async def yield_to_loop() -> None:
    """Between two slices of long work: let the others have their turn, if it is time."""
    task, ended = asyncio.current_task(), perf_counter()
    if task is None:
        raise AssertionError("Only a task can give way.")
    turn = _turns.get(task)
    if turn and ended - turn.began < turn.seconds:
        return
    others = await _queue().wait(ended)
    _turns[task] = _Turn(perf_counter(), min(SHARE * others, LONGEST_SECONDS))


@dataclass(frozen=True, slots=True)
class _Turn:
    """The turn of a task: when it began, and how long it may take."""

    began: float
    seconds: float


class _Queue:
    """The tasks that wait for their turn on one event loop, which comes to one of them in a round."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ended = 0.0

    async def wait(self, ended: float) -> float:
        """Wait, since then, and return for how many seconds nobody in the queue had a turn before this one."""
        self._ended = ended
        turn = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._next)
        self._waiting.append(turn)
        await turn
        return perf_counter() - self._ended

    def _next(self) -> None:
        turn = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
        if not turn.done():
            turn.set_result(None)


_turns: WeakKeyDictionary["asyncio.Task[object]", _Turn] = WeakKeyDictionary()
_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


def _queue() -> _Queue:
    loop = asyncio.get_running_loop()
    queue = _queues.get(loop)
    if queue is None:
        queue = _queues[loop] = _Queue()
    return queue
