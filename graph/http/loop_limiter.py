"""What takes milliseconds is begun by a few requests in a turn of the event loop, so that turns stay short.

Where two hundred clients send documents that were never seen, a turn would else take half a second; a batch, a
heartbeat or an answer that waits for the database needs several turns for each command.
"""

import asyncio
from collections import deque


class LoopLimiter:
    """Lets `per_turn` pass in a turn of the event loop; who comes behind them waits for a later turn, in order."""

    def __init__(self, per_turn: int) -> None:
        self._per_turn = self._left = per_turn
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Return when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        if self._left == self._per_turn:
            loop.call_soon(self._turn)
        if self._left and not self._waiting:
            self._left -= 1
            return
        place = loop.create_future()
        self._waiting.append(place)
        await place

    def _turn(self) -> None:
        self._left = self._per_turn
        while self._waiting and self._left:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                self._left -= 1
        if self._left < self._per_turn:
            asyncio.get_running_loop().call_soon(self._turn)
