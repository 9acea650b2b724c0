"""Long work and everything else of a process share its event loop by turns.

Work that is done in slices, and gives way after every one, starves where many requests wait: each slice of some
milliseconds costs it a round of all the others. So how long it goes on depends on how long the others took.
"""

import asyncio
from time import perf_counter

SHARE = 0.25
"""Work goes on for so much of the time that the others had in their last turn ..."""

LONGEST_SECONDS = 0.02
"""... but never for longer, and gives way after every slice where nobody else has much to do."""


class Turns:
    """The turns of one piece of work."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._others = 0.0

    async def give_way(self) -> None:
        """Between two slices: let the others have their turn, if it is time."""
        ended = perf_counter()
        if ended - self._began < min(SHARE * self._others, LONGEST_SECONDS):
            return
        await asyncio.sleep(0)
        self._began = perf_counter()
        self._others = self._began - ended
