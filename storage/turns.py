"""Long work and everything else of a process share its event loop by turns.

Work that is done in slices, and gives way after every one, starves where many requests wait: each slice of some
milliseconds costs it a round of all the others. So how long it goes on depends on how long the others took. And where
many pieces of long work are under way, one of them has its turn in a round: all at once would hold the loop for the sum
of their turns.
"""

import asyncio
from collections import deque
from time import perf_counter
from weakref import WeakKeyDictionary

SHARE = 0.25
"""Work goes on for so much of the time that the others had since any work had its turn ..."""

LONGEST_SECONDS = 0.02
"""... but never for longer, and gives way after every slice where nobody else has much to do."""


class Turns:
    """The turns of one piece of work."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._seconds = 0.0

    async def give_way(self) -> None:
        """Between two slices: let the others have their turn, if it is time."""
        ended = perf_counter()
        if ended - self._began < self._seconds:
            return
        others = await _queue().wait(ended)
        self._began = perf_counter()
        self._seconds = min(SHARE * others, LONGEST_SECONDS)


class _Queue:
    """The pieces of work that wait for their turn on one event loop, which comes to one of them in a round."""

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


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


def _queue() -> _Queue:
    loop = asyncio.get_running_loop()
    queue = _queues.get(loop)
    if queue is None:
        queue = _queues[loop] = _Queue()
    return queue
