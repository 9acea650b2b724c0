"""What a watcher told, and waiting for it."""

import asyncio
from collections.abc import Callable

from storage import PriceList

DEADLINE_SECONDS = 20


class Told:
    """Everything that a watcher told."""

    def __init__(self) -> None:
        self.moves: list[PriceList] = []
        self._changed = asyncio.Event()

    def __call__(self, price_list: PriceList) -> None:
        self.moves.append(price_list)
        self._changed.set()

    async def until(self, probe: Callable[[], bool]) -> None:
        """Wait for what is told to make the probe true."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not probe():
                self._changed.clear()
                await self._changed.wait()

    async def until_revision(self, revision: int, price_list: str = "retail") -> None:
        await self.until(lambda: (price_list, revision) in {(move.name, move.revision) for move in self.moves})

    def revisions(self, price_list: str = "retail") -> list[int]:
        return [move.revision for move in self.moves if move.name == price_list]
